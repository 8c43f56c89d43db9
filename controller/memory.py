"""What one process remembers of a cluster between two runs, so that an unchanged one costs only a look.

All of it can be lost at any time: the next run then does more, and comes to the same end. Only the worker that runs a
cluster touches its memory; the queue never runs one cluster twice at once. Held by `controller.cluster`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from controller.addons.addon import Identity, Server
from controller.applying import Desired, Remembered
from controller.eks import EksAccess
from fleet.records import Cluster
from kube.client import Client
from kube.errors import KubeError
from kube.objects import Object, ObjectKey
from reconcile.clock import Clock
from schemas import manifest as manifests
from schemas.connection import Connection
from schemas.manifest import Manifest


@dataclass
class Memory:
    """One cluster.

    `generation` and `since`: the change that was last read from the fleet, and when. `checked_at`: when version,
    ownership, rights and issuer were last asked for; None: ask. `settled`: Ready, and nothing was left to do.
    `expected`: objects without a namespace that are there or ought to be; None: look for all that there may be.
    `attempts`: runs in a row that waited for the cluster. `misses`: runs in a row without an answer. `stale`: the
    connection must be read again. `dialled`: what `client` was made from. `eks`: the way into an EKS cluster.
    """

    generation: int
    since: datetime
    manifest: Manifest
    connection: Connection | None
    stale: bool = False
    client: Client | None = None
    dialled: Connection | None = None
    eks: EksAccess | None = None
    identity: Identity = field(default_factory=Identity)
    server: Server = field(default_factory=Server)
    checked_at: datetime | None = None
    owner_version: str = ""
    renewal_failure: KubeError | None = None
    remembered: Remembered = field(default_factory=Remembered)
    evidence: dict[ObjectKey, Object] = field(default_factory=dict)
    expected: frozenset[ObjectKey] | None = None
    settled: bool = False
    attempts: int = 0
    misses: int = 0
    _desired: tuple[object, Desired] | None = None
    _counted: int = 0

    def turn(
        self, generation: int, since: datetime, manifest: Manifest, connection: Connection | None
    ) -> None:
        """A new change: what was found out must be found out again; what was applied still stands there."""
        self.stale = False
        self.generation, self.since = generation, since
        self.manifest, self.connection = manifest, connection
        self.unsettle()
        self.attempts = 0

    def unsettle(self) -> None:
        """Something went wrong or changed: ask everything again."""
        self.settled = False
        self.checked_at = None
        self.expected = None

    def desired(self, signature: object, build: Callable[[], Desired]) -> Desired:
        """The desired objects, built again only when what they are made from (`signature`) changed."""
        if self._desired is None or self._desired[0] != signature:
            self._desired = signature, build()
        return self._desired[1]

    def new_requests(self) -> int:
        """How many requests were sent since this was last asked."""
        sent = self.client.requests if self.client is not None else 0
        new, self._counted = sent - self._counted, sent
        return new

    def hang_up(self) -> None:
        """Gives the client's sockets back."""
        if self.client is not None:
            self.client.close()
            self.client = None
            self._counted = 0


class Memories:
    """Of all clusters of one process. Thread-safe; a memory that is dropped in the middle of a run hangs up at its end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, Memory] = {}
        self._running: set[str] = set()
        self._dropped: dict[str, list[Memory]] = {}  # while they ran

    @contextmanager
    def running(self, uid: str) -> Iterator[None]:
        """A run of this cluster: nobody hangs up on it."""
        with self._lock:
            self._running.add(uid)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(uid)
                dropped = self._dropped.pop(uid, [])
            for memory in dropped:
                memory.hang_up()

    def __contains__(self, uid: object) -> bool:
        return uid in self._kept

    def uids(self) -> tuple[str, ...]:
        """Of the clusters that are remembered."""
        with self._lock:
            return tuple(self._kept)

    def get(self, uid: str) -> Memory | None:
        """What is remembered of the cluster."""
        return self._kept.get(uid)

    def recall(self, cluster: Cluster, connection: Connection | None) -> Memory:
        """What is remembered, turned to the cluster's change; a new memory where there is none."""
        manifest = manifests.parse(cluster.manifest, cluster.settings)
        now = self._clock.now()
        with self._lock:
            memory = self._kept.get(cluster.uid)
            if memory is None:
                memory = self._kept[cluster.uid] = Memory(cluster.generation, now, manifest, connection)
            else:
                since = memory.since if memory.generation == cluster.generation else now
                memory.turn(cluster.generation, since, manifest, connection)
        return memory

    def drop(self, uids: Iterable[str]) -> None:
        """Forgets clusters; a run under way keeps its client to its end."""
        for uid in uids:
            with self._lock:
                memory = self._kept.pop(uid, None)
                if memory is not None and uid in self._running:
                    self._dropped.setdefault(uid, []).append(memory)
                    memory = None
            if memory is not None:
                memory.hang_up()
