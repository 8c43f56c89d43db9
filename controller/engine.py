"""The engine: leases shards, turns changes and the passing of time into keys, and runs the workers.

One thread beats (leases are lost when it does not), one listens for changes and plans looks, the workers reconcile.
Started by `cli` (`pullpass controller`, `pullpass up`). It may be killed at any time: shards pass to other processes
after `fleet.shards.LEASE_SECONDS`, work rows stand until they are finished, and everything else is read again.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Callable, Mapping

import structlog

from controller import metrics
from controller.cluster import Reconciler
from controller.errands import Errands
from controller.looks import Looks
from controller.retention import Retention
from controller.settings import ControllerSettings
from controller.sightings import Sightings
from fleet import errands, shards, work
from fleet.database import Database
from fleet.errors import FleetError
from kube.client import Access, Client
from reconcile.clock import Clock, Random
from reconcile.outcome import Done, Outcome, ReconcileError
from reconcile.queue import Queue
from reconcile.workers import Workers

__all__ = ["ControllerSettings", "Engine"]

_BEAT_SECONDS = shards.LEASE_SECONDS / 3
_TICK_SECONDS = 0.5
_GATHER_SECONDS = 0.02  # on SQLite every write rings: changes that come together are read together
_STOP_SECONDS = 25.0
_LEADING_SHARD = 0  # whoever holds it does what is to be done once for the whole fleet
_ERRANDS_STOP_SECONDS = 2.0  # for each of their threads: who asked may ask again

_log = structlog.get_logger(__name__)


class Engine:
    """One process's share of the fleet.

    Args:
        database: The fleet; migrated.
        settings: Of the controller.
        clock: The time.
        random: Chance, for looks and back-off.
        dial: Makes the client of a cluster.
    """

    def __init__(
        self,
        database: Database,
        settings: ControllerSettings,
        *,
        clock: Clock,
        random: Random,
        dial: Callable[[Access], Client] = Client,
    ) -> None:
        self._database = database
        self._clock = clock
        self._process = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._queue: Queue[str] = Queue(clock=clock, random=random)
        self._reconciler = Reconciler(database, settings, clock=clock, dial=dial, changed=self._queue.add)
        self._errands = Errands(database, settings, clock=clock, dial=dial)
        self._looks = Looks(settings.look_seconds, random=random)
        self._sightings = Sightings(database, started_at=clock.monotonic())
        self._retention = Retention(database, audit_days=settings.audit_days)
        self._workers = Workers(
            self._queue,
            self._reconcile,
            observer=_Observer(self._queue),
            healthy=settings.workers,
            failing=settings.failing_workers,
        )
        self._lock = threading.Lock()
        self._epochs: Mapping[int, int] = {}
        self._due: dict[str, int] = {}  # uid to the generation that was handed to the queue
        self._gone: list[str] = []  # clusters that nobody need look at any more
        self._beating = threading.Condition()
        self._gathering = threading.Condition()  # nobody notifies it: a pause
        self._ending = False
        self._crash: Exception | None = None

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set, then finishes the runs under way and gives its shards up."""
        bell = work.Bell(self._database)
        heart = threading.Thread(target=self._beat, args=(stop,), name="heartbeat", daemon=True)
        heart.start()
        self._workers.start()
        self._errands.start()
        _log.info("controller started", process=self._process)
        held: dict[int, int] = {}
        try:
            while not stop.is_set():
                try:
                    held = self._follow(held)
                    self._hand_out(held)
                    self._sightings.flush(self._clock.monotonic())
                    if _LEADING_SHARD in held:
                        self._retention.go_on(at=self._clock.monotonic(), now=self._clock.now())
                except FleetError as error:
                    _log.warning("database does not answer", error=str(error))
                if bell.wait(_TICK_SECONDS, stop):
                    with self._gathering:
                        self._clock.wait(self._gathering, _GATHER_SECONDS)
        finally:
            self._finish(heart)
            bell.close()
        if self._crash is not None:
            raise self._crash

    def _finish(self, heart: threading.Thread) -> None:
        """The heart goes on beating until the last run has ended: its writes need the leases."""
        self._errands.stop(_ERRANDS_STOP_SECONDS)
        if not self._workers.stop(_STOP_SECONDS):
            _log.warning("some runs did not end in time; their clusters are reconciled by the next process")
        with self._beating:
            self._ending = True
            self._beating.notify_all()
        heart.join()
        self._reconciler.close()
        self._sightings.flush(self._clock.monotonic(), ending=True)
        try:
            shards.release(self._database, self._process)
        except FleetError as error:
            _log.warning("shards not released; they pass on when the lease ends", error=str(error))
        _log.info("controller stopped", process=self._process)

    def _beat(self, stop: threading.Event) -> None:
        heard_at = self._clock.monotonic()
        while True:
            try:
                epochs = shards.heartbeat(self._database, self._process, now=self._clock.now())
                heard_at = self._clock.monotonic()
                self._hold(epochs)
            except FleetError as error:
                _log.warning("heartbeat failed", error=str(error))
                if self._clock.monotonic() - heard_at >= shards.LEASE_SECONDS:
                    self._hold({})  # others may have taken them by now
            except Exception as error:  # noqa: BLE001 - a process whose heart stopped must end, and say why
                _log.exception("heartbeat crashed")
                self._crash = error
                self._hold({})
                stop.set()
                return
            with self._beating:
                if not self._ending:
                    self._clock.wait(self._beating, _BEAT_SECONDS)
                if self._ending:
                    return

    def _hold(self, epochs: Mapping[int, int]) -> None:
        with self._lock:
            self._epochs = dict(epochs)
        metrics.SHARDS_HELD.set(len(epochs))

    def _follow(self, held: Mapping[int, int]) -> dict[int, int]:
        """Takes up the clusters of new shards and drops those of lost ones; a new epoch is both."""
        with self._lock:
            epochs = dict(self._epochs)
        changed = {shard for shard in held.keys() | epochs.keys() if held.get(shard) != epochs.get(shard)}
        if not changed:
            return epochs
        lost = [
            item.uid for item in work.population(self._database, [each for each in changed if each in held])
        ]
        for uid in lost:
            self._queue.discard(uid)
        with self._lock:
            for uid in lost:
                self._due.pop(uid, None)
        self._looks.drop(lost)
        self._reconciler.drop(lost)
        gained = [each for each in changed if each in epochs]
        population = work.population(self._database, gained)
        self._looks.start((item.uid for item in population), self._clock.monotonic())
        # What whoever held them before had in hand: somebody watches it.
        for uid in work.unsettled(self._database, gained):
            self._queue.add(uid)
        return epochs

    def _hand_out(self, held: Mapping[int, int]) -> None:
        with self._lock:
            gone, self._gone = self._gone, []
        self._looks.drop(gone)
        now = self._clock.monotonic()
        due = work.due(self._database, held.keys())
        # Asked each time: the work row that an errand comes with may be finished before anybody here has seen it, and
        # one whose result was not stored is done again.
        self._errands.take(errands.waiting(self._database, held.keys(), now=self._clock.now()), held)
        for item in due:
            self._looks.start((item.uid,), now)
            with self._lock:
                if self._due.get(item.uid, -1) >= item.generation:
                    continue  # the queue has it; a failure's back-off is not cut short by other people's changes
                self._due[item.uid] = item.generation
            self._queue.restart(item.uid)
        looks = self._looks.due(now)
        metrics.LOOKS.inc(len(looks))
        for uid in looks:
            self._queue.add(uid)

    def _reconcile(self, uid: str) -> Outcome:
        shard = shards.shard_of(uid)
        with self._lock:
            epoch = self._epochs.get(shard)
        if epoch is None:
            return Done()
        run = self._reconciler.reconcile(
            uid, shard=shard, epoch=epoch, in_healthy_lane=self._queue.failures(uid) == 0
        )
        if run.answered:
            self._sightings.note(uid, self._clock.now())
        if run.gone:
            with self._lock:
                self._due.pop(uid, None)
                self._gone.append(uid)
            return Done()
        if run.generation is not None:
            self._finish_work(uid, run.generation)
        if isinstance(run.outcome, ReconcileError):
            raise run.outcome
        return run.outcome

    def _finish_work(self, uid: str, generation: int) -> None:
        """The change has been acted on; what is left to do stands in the queue, and in the looks of whoever follows."""
        with self._lock:
            handed = self._due.get(uid)
            if handed is None or handed > generation:
                return
        work.finish(self._database, uid, generation=handed)
        with self._lock:  # only now: while its row stood, it would have been handed out again
            if self._due.get(uid) == handed:
                del self._due[uid]


class _Observer:
    """Every run as figures, and a line in the log where it failed."""

    def __init__(self, queue: Queue[str]) -> None:
        self._queue = queue

    def finished(self, key: object, result: str, seconds: float, error: BaseException | None) -> None:
        metrics.RECONCILES.labels(result).inc()
        metrics.SECONDS.observe(seconds)
        healthy, failing = self._queue.depth()
        metrics.QUEUE_DEPTH.labels("healthy").set(healthy)
        metrics.QUEUE_DEPTH.labels("failing").set(failing)
        if result == "error":
            _log.error("reconcile failed", cluster=key, exc_info=error)
        elif error is not None:
            _log.warning("reconcile failed", cluster=key, result=result, error=str(error))
