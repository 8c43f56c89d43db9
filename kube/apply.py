"""Bringing a cluster to a list of desired objects, and taking away what is ours and no longer wanted.

Called by `controller` for what Pullpass installs, and by `cli` for the rights that an admin installs.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from kube import errors
from kube.client import Client
from kube.objects import KINDS, Kind, Object, ObjectKey, in_apply_order, key_of


class Change(enum.Enum):
    """What an apply did to an object."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Applied:
    """One object as the server has it after the apply; `object` is the server's answer."""

    key: ObjectKey
    change: Change
    object: Object

    @property
    def resource_version(self) -> str:
        """To be remembered: as long as the cluster shows this one, nobody has touched the object."""
        return str(self.object["metadata"]["resourceVersion"])


def resource_versions(objects: Iterable[Object]) -> dict[ObjectKey, str]:
    """Key to resource version, as lists give them (metadata-only ones too)."""
    return {key_of(obj): str(obj["metadata"]["resourceVersion"]) for obj in objects}


def apply_all(
    client: Client, desired: Iterable[Object], *, before: Mapping[ObjectKey, str]
) -> tuple[Applied, ...]:
    """Applies `desired` in the order their kinds need each other.

    Args:
        client: The cluster.
        desired: Objects of kinds in `kube.objects.KINDS`.
        before: Resource versions of what was there, by key; what is missing counts as absent.

    Raises:
        kube.errors.KubeError: at the first object that is refused; those before it stay applied.
    """
    applied = []
    for obj in in_apply_order(desired):
        key = key_of(obj)
        result = client.apply(obj)
        version = str(result["metadata"]["resourceVersion"])
        if key not in before:
            change = Change.CREATED
        else:
            change = Change.UNCHANGED if before[key] == version else Change.CHANGED
        applied.append(Applied(key, change, result))
    return tuple(applied)


def prune(
    client: Client,
    kinds: Iterable[Kind],
    *,
    labels: Mapping[str, str],
    keep: Collection[ObjectKey],
    namespace: str | None = None,
) -> tuple[ObjectKey, ...]:
    """Deletes every object of `kinds` that carries all of `labels` and is not in `keep`; returns what was deleted.

    Goes backwards through the apply order. An object that is being deleted already is left alone, and so is one that
    was replaced since it was listed (its uid is the precondition).

    Args:
        client: The cluster.
        kinds: Which kinds to look at.
        labels: What marks an object as ours; at least one.
        keep: What stays.
        namespace: Where to look for namespaced kinds; None: everywhere.

    Raises:
        ValueError: without labels, which would be everything.
        kube.errors.KubeError: as the lists and deletions do.
    """
    if not labels:
        raise ValueError("pruning without labels would delete what is not ours")
    selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    deleted = []
    for kind in sorted(kinds, key=KINDS.index, reverse=True):
        where = namespace if kind.namespaced else None
        for obj in client.list(kind, namespace=where, label_selector=selector, metadata_only=True).items:
            metadata = obj["metadata"]
            key = key_of(obj)
            # The selector says it already; what is deleted is checked by ourselves as well.
            ours = labels.items() <= (metadata.get("labels") or {}).items()
            if key in keep or not ours or metadata.get("deletionTimestamp"):
                continue
            try:
                client.delete(kind, key.name, namespace=key.namespace or None, uid=metadata["uid"])
            except errors.Conflict:
                continue
            deleted.append(key)
    return tuple(deleted)
