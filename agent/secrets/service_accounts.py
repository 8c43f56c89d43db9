"""References to pull secrets in service accounts: added once, taken back, never another's touched. Pure.

`imagePullSecrets` is an atomic list (listType=atomic), so server-side apply would take it from whoever else writes
it: the whole list is read, changed and patched, with the resource version as a lock. An annotation on the account
remembers the names that we put there, so a reference that somebody else put there is never taken away.
Called by `agent.secrets.filling`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from kube.objects import Object

MARK = "pullpass.dev/image-pull-secret"


@dataclass(frozen=True)
class Account:
    """A service account as far as it matters here.

    `references` are the names in `imagePullSecrets`, in order ("" for an entry without one); `marked` are those that
    we put there.
    """

    namespace: str
    name: str
    resource_version: str
    references: tuple[str, ...]
    marked: frozenset[str]


def read(obj: Object) -> Account:
    """The account in a ServiceAccount object."""
    metadata = obj["metadata"]
    mark = (metadata.get("annotations") or {}).get(MARK, "")
    return Account(
        namespace=metadata["namespace"],
        name=metadata["name"],
        resource_version=metadata["resourceVersion"],
        references=tuple(entry.get("name", "") for entry in obj.get("imagePullSecrets") or ()),
        marked=frozenset(name for name in mark.split(",") if name),
    )


def merged(
    references: tuple[str, ...], marked: frozenset[str], wanted: Collection[str], kept: Collection[str] = ()
) -> tuple[tuple[str, ...], frozenset[str]]:
    """References and marks once those that are `wanted` are there and those of ours that nobody wants are not.

    What somebody else put there stays, in its order, and is never marked. `kept` names stay as they are, whoever put
    them there. New ones come at the end, in the order of their names.
    """
    gone = marked - frozenset(wanted) - frozenset(kept)
    left = tuple(name for name in references if name not in gone)
    new = tuple(sorted(set(wanted) - set(left) - {""}))
    still = frozenset(name for name in marked - gone if name in left)
    return (*left, *new), still | frozenset(new)


def patch_for(account: Account, wanted: Collection[str], kept: Collection[str] = ()) -> Object | None:
    """The merge patch that brings `account` there; None where it is there."""
    references, marked = merged(account.references, account.marked, wanted, kept)
    if (references, marked) == (account.references, account.marked):
        return None
    # null, in a merge patch, leaves the member out, which is how an account without references is stored.
    entries = [{"name": name} if name else {} for name in references] or None
    mark = ",".join(sorted(marked)) or None
    return {
        "metadata": {"resourceVersion": account.resource_version, "annotations": {MARK: mark}},
        "imagePullSecrets": entries,
    }
