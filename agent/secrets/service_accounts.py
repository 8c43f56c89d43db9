"""References to the pull secret in service accounts: added once, taken back, never another's touched. Pure.

`imagePullSecrets` is an atomic list (listType=atomic), so server-side apply would take it from whoever else writes
it: the whole list is read, changed and patched, with the resource version as a lock. An annotation on the account
remembers that the reference is ours, so a reference that somebody else put there is never taken away.
Called by `agent.secrets.filling`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kube.objects import Object
from schemas.agent_documents import SECRET_NAME

MARK = "pullpass.dev/image-pull-secret"


@dataclass(frozen=True)
class Account:
    """A service account as far as it matters here.

    `references` are the names in `imagePullSecrets`, in order ("" for an entry without one); `marked` tells that
    the reference to our secret was put there by us.
    """

    namespace: str
    name: str
    resource_version: str
    references: tuple[str, ...]
    marked: bool

    @property
    def refers(self) -> bool:
        """Whether our secret is among the references."""
        return SECRET_NAME in self.references


def read(obj: Object) -> Account:
    """The account in a ServiceAccount object."""
    metadata = obj["metadata"]
    return Account(
        namespace=metadata["namespace"],
        name=metadata["name"],
        resource_version=metadata["resourceVersion"],
        references=tuple(entry.get("name", "") for entry in obj.get("imagePullSecrets") or ()),
        marked=MARK in (metadata.get("annotations") or {}),
    )


def added(references: Iterable[str]) -> tuple[str, ...]:
    """`references` with ours: at the end, unless it is there already."""
    before = tuple(references)
    return before if SECRET_NAME in before else (*before, SECRET_NAME)


def taken_back(references: Iterable[str]) -> tuple[str, ...]:
    """`references` without ours; the others in their order."""
    return tuple(name for name in references if name != SECRET_NAME)


def patch_to_add(account: Account) -> Object | None:
    """The merge patch that adds our reference and marks it; None where one is there, whoever put it there."""
    if account.refers:
        return None
    return _patch(account, added(account.references), mark=SECRET_NAME)


def patch_to_take_back(account: Account) -> Object | None:
    """The merge patch that takes our reference and its mark away; None where we never put one."""
    if not account.marked:
        return None
    return _patch(account, taken_back(account.references), mark=None)


def _patch(account: Account, references: tuple[str, ...], *, mark: str | None) -> Object:
    # null, in a merge patch, leaves the member out, which is how an account without references is stored.
    entries = [{"name": name} if name else {} for name in references] or None
    return {
        "metadata": {"resourceVersion": account.resource_version, "annotations": {MARK: mark}},
        "imagePullSecrets": entries,
    }
