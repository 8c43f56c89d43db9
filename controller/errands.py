"""Does what somebody waits for: errands of the clusters whose shards this process holds, a few at a time.

Beside the reconciles and never in their way: threads of their own, a client of its own for each errand, and a cluster
that does not answer holds up nothing but other errands. Called by `controller.engine`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Mapping

import structlog

from controller import issuer, preview
from controller.addons.addon import Context
from controller.budget import Budget
from controller.doctor import Walk
from controller.doors import Door
from controller.eks import EksAccesses
from controller.outcomes import Obstacle, judge
from controller.settings import ControllerSettings
from fleet import clusters, connections, errands
from fleet.database import Database
from fleet.errands import ErrandKind
from fleet.errors import FleetError
from fleet.records import Cluster, Errand
from kube.client import Access, Client
from reconcile.clock import Clock
from schemas import manifest as manifests
from schemas.connection import Connection
from schemas.errors import Refusal
from schemas.status import Json

_THREADS = 4

_log = structlog.get_logger(__name__)


class Errands:
    """The threads; `take` hands them work.

    Args:
        database: The fleet.
        settings: Of the controller.
        clock: The time.
        dial: Makes the client of a cluster.
    """

    def __init__(
        self,
        database: Database,
        settings: ControllerSettings,
        *,
        clock: Clock,
        dial: Callable[[Access], Client] = Client,
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._dial = dial
        self._shelf = issuer.FleetShelf(database)
        self._eks = EksAccesses(database, settings.aws_principal)
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._stopping = threading.Event()
        self._queue: queue.SimpleQueue[tuple[Errand, int] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"errand-{number}", daemon=True)
            for number in range(_THREADS)
        ]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """No more errands; those under way may end within the time, and are lost after it."""
        self._stopping.set()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(timeout_seconds)

    def take(self, waiting: Iterable[Errand], epochs: Mapping[int, int]) -> None:
        """Those that are not under way already."""
        for errand in waiting:
            epoch = epochs.get(errand.shard)
            with self._lock:
                if epoch is None or errand.id in self._under_way:
                    continue
                self._under_way.add(errand.id)
            self._queue.put((errand, epoch))

    def do(self, errand: Errand) -> Json:
        """The result of one errand; never raises for what the world does."""
        cluster = clusters.load(self._database, errand.cluster_uid)
        if cluster is None:
            return {"error": "the cluster is gone"}
        try:
            if errand.kind == ErrandKind.DOCTOR:
                return self._doctor(cluster)
            return self._preview(cluster, errand)
        except Exception as error:  # noqa: BLE001 - somebody waits: a bug is told as well, and logged
            failure = judge(error)
            if failure is not None:
                return {"error": f"{failure.code}: {failure.message}" if failure.code else failure.message}
            _log.exception("errand failed", cluster=str(cluster.key), errand=errand.kind)
            return {"error": "the controller failed; its log says how"}

    def _work(self) -> None:
        while (item := self._queue.get()) is not None and not self._stopping.is_set():
            errand, epoch = item
            try:
                result = self.do(errand)
                errands.finish(
                    self._database,
                    errand.id,
                    result,
                    shard=errand.shard,
                    epoch=epoch,
                    now=self._clock.now(),
                )
            except FleetError as error:
                _log.warning("errand not stored; it is done again", errand=errand.kind, error=str(error))
            except Exception:  # noqa: BLE001 - a bug must not end the thread; it stays under way, and is not tried again
                _log.exception("errand failed", errand=errand.kind)
                continue
            with self._lock:
                self._under_way.discard(errand.id)

    def _doctor(self, cluster: Cluster) -> Json:
        def find_door() -> Door:
            found = connections.read(self._database, cluster.uid)
            if found is None:
                raise Obstacle("ConnectionMissing", "no connection is stored")
            return self._door(cluster, found, self._budget())

        try:
            connection = connections.read(self._database, cluster.uid)
        except FleetError:
            connection = None  # the walk's first hop says why
        add_on = cluster.status.add_ons.get("awsECR")
        reported = add_on.details.get("registries", ()) if add_on is not None else ()
        walk = Walk(
            context=self._context(cluster, connection, manifests.parse(cluster.manifest, cluster.settings)),
            find_door=find_door,
            shelf=self._shelf,
            public_url=self._settings.public_url,
            reported=tuple(str(host) for host in reported),
            clock=self._clock,
        )
        try:
            return walk.run()
        finally:
            walk.close()

    def _preview(self, cluster: Cluster, errand: Errand) -> Json:
        try:
            manifest = manifests.parse(errand.body["manifest"], errand.body["settings"])
        except Refusal as refusal:
            return {"error": refusal.message}
        connection = connections.read(self._database, cluster.uid)
        if connection is None:
            return {"error": "ConnectionMissing: no connection is stored"}
        context = self._context(cluster, connection, manifest)
        budget = self._budget()
        door = self._door(cluster, connection, budget)
        client = door.open(self._clock.now())
        try:
            with budget.step("the dry runs"):
                return preview.preview(
                    context,
                    client,
                    self._shelf,
                    public_url=self._settings.public_url,
                    issuer_by_eks=door.issuer_by_eks,
                )
        finally:
            client.close()

    def _budget(self) -> Budget:
        return Budget(self._clock, self._settings.reconcile_seconds)

    def _door(self, cluster: Cluster, connection: Connection, budget: Budget) -> Door:
        def dial(access: Access) -> Client:
            return self._dial(access).within(budget.left)

        return Door(cluster.key, connection, self._eks, dial, self._settings.allow_loopback)

    def _context(
        self, cluster: Cluster, connection: Connection | None, manifest: manifests.Manifest
    ) -> Context:
        connection = connection or Connection(server="")
        now = self._clock.now()
        return Context(
            uid=cluster.uid,
            key=cluster.key,
            generation=cluster.generation,
            manifest=manifest,
            connection=connection,
            agent_image=connection.agent_image or self._settings.agent_image,
            now=now,
            since=now,
        )
