"""The objects of one cluster, and what happened to them: etcd and the watch cache in one.

Objects are values: once stored they are never changed in place, so that readers need no copy and the bytes of an
object are made once. One counter is every object's resourceVersion, as etcd's revision is.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sandbox.kubernetes import field_ownership as ownership
from sandbox.kubernetes.kinds import KINDS, Kind

Object = dict[str, Any]
WINDOW = 1000  # events of a kind that a watch may resume behind; older: 410


def timestamp(when: datetime) -> str:
    """RFC 3339 to the second, as Kubernetes writes times."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def dumped(document: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(eq=False)
class Stored:
    """One object as it is now. `managers` are those of its managedFields, decoded."""

    object: Object
    managers: ownership.Managers
    revision: int
    _encoded: bytes | None = field(default=None, repr=False)

    @property
    def encoded(self) -> bytes:
        """Its JSON, made once."""
        if self._encoded is None:
            self._encoded = dumped(self.object)
        return self._encoded

    @property
    def metadata(self) -> Object:
        """Its metadata."""
        metadata: Object = self.object["metadata"]
        return metadata

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return (self.metadata.get("namespace", ""), self.metadata["name"])


@dataclass(frozen=True)
class Change:
    """What happened at `revision`; `before` is None for a creation, `after` None for a removal.

    `last` is the object to tell of: `after`, or on removal the last state with the removal's revision.
    """

    revision: int
    before: Stored | None
    after: Stored | None
    last: Stored


class WindowPassed(Exception):
    """The changes behind the revision asked for are no longer known; `oldest` is the first that is."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"oldest known is {oldest}")
        self.oldest = oldest


class Store:
    """Holds every object. `lock` is held across read-modify-write; it is also what watchers wait on."""

    def __init__(self, *, window: int = WINDOW) -> None:
        self.lock = threading.Condition()
        self.revision = 1
        self.starts = 1  # counts up when the API server restarts: every watch under way ends
        self.closed = False
        self._tables: dict[Kind, dict[tuple[str, str], Stored]] = {kind: {} for kind in KINDS}
        self._changes: dict[Kind, deque[Change]] = {kind: deque(maxlen=window) for kind in KINDS}
        self._floor: dict[Kind, int] = dict.fromkeys(KINDS, 0)

    def get(self, kind: Kind, namespace: str, name: str) -> Stored | None:
        """One object."""
        return self._tables[kind].get((namespace, name))

    def all(self, kind: Kind, namespace: str = "") -> tuple[list[Stored], int]:
        """All of a kind, or of a kind in a namespace, in order of namespace and name; and the revision of the list."""
        with self.lock:
            found = [
                one for (where, _), one in self._tables[kind].items() if not namespace or where == namespace
            ]
            revision = self.revision
        found.sort(key=lambda one: one.key)
        return found, revision

    def write(self, kind: Kind, obj: Object, managers: ownership.Managers) -> Stored:
        """Stores `obj`, a dict that nobody else holds, under a new resourceVersion."""
        with self.lock:
            self.revision += 1
            metadata = dict(obj["metadata"])
            metadata["resourceVersion"] = str(self.revision)
            if managers:
                metadata["managedFields"] = ownership.encoded(managers)
            else:
                metadata.pop("managedFields", None)
            after = Stored(obj | {"metadata": metadata}, managers, self.revision)
            before = self._tables[kind].get(after.key)
            self._tables[kind][after.key] = after
            self._record(kind, Change(self.revision, before, after, after))
            return after

    def remove(self, kind: Kind, namespace: str, name: str) -> Stored:
        """Takes an object out; `KeyError` when it is not there."""
        with self.lock:
            before = self._tables[kind].pop((namespace, name))
            self.revision += 1
            metadata = before.metadata | {"resourceVersion": str(self.revision)}
            last = Stored(before.object | {"metadata": metadata}, before.managers, self.revision)
            self._record(kind, Change(self.revision, before, None, last))
            return last

    def _record(self, kind: Kind, change: Change) -> None:
        changes = self._changes[kind]
        if len(changes) == changes.maxlen:
            self._floor[kind] = changes[0].revision
        changes.append(change)
        self.lock.notify_all()

    def changes_since(self, kind: Kind, revision: int) -> tuple[list[Change], int]:
        """The changes behind `revision` and the revision they lead up to.

        Raises:
            WindowPassed: some of them are forgotten.
        """
        with self.lock:
            if revision < self._floor[kind]:
                changes = self._changes[kind]
                raise WindowPassed(changes[0].revision if changes else self.revision)
            found: list[Change] = []
            for change in reversed(self._changes[kind]):
                if change.revision <= revision:
                    break
                found.append(change)
            found.reverse()
            return found, self.revision

    def knows(self, kind: Kind, revision: int) -> bool:
        """Whether a list or a watch may go on from `revision`."""
        return revision >= self._floor[kind]

    def wait(self, kind: Kind, revision: int, timeout_seconds: float) -> None:
        """Until a change of `kind` behind `revision`, a restart, the store's end, or the time has passed."""
        starts = self.starts

        def something() -> bool:
            changes = self._changes[kind]
            return self.closed or self.starts != starts or bool(changes and changes[-1].revision > revision)

        with self.lock:
            self.lock.wait_for(something, timeout_seconds)

    def forget_changes(self) -> None:
        """As a compaction: no watch and no page of a list goes on from before now."""
        with self.lock:
            for kind in KINDS:
                self._changes[kind].clear()
                self._floor[kind] = self.revision

    def restart(self) -> None:
        """As a restart of the API server: watches end, and none resumes from before now."""
        with self.lock:
            self.starts += 1
            self.forget_changes()
            self.lock.notify_all()

    def close(self) -> None:
        """Ends every watch."""
        with self.lock:
            self.closed = True
            self.lock.notify_all()

    def snapshot(self) -> dict[str, Any]:
        """All of it as JSON; the history of changes is not kept."""
        with self.lock:
            objects = [one.object for table in self._tables.values() for one in table.values()]
            return {"revision": self.revision, "objects": objects}

    def restore(self, revision: int, objects: Iterable[Object]) -> None:
        """Takes back what `snapshot` gave, into an empty store."""
        kinds = {(kind.api_version, kind.kind): kind for kind in KINDS}
        with self.lock:
            for obj in objects:
                managers = ownership.decoded(obj["metadata"].get("managedFields", []))
                stored = Stored(obj, managers, int(obj["metadata"]["resourceVersion"]))
                self._tables[kinds[obj["apiVersion"], obj["kind"]]][stored.key] = stored
            self.revision = revision
            self.forget_changes()
