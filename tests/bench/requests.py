"""What a look and a full apply of one cluster cost, against the same requests sent by a bare urllib3 pool.

On a real API server with RBAC, a fleet in SQLite and one reconcile at a time. The bare pool sends what the reconcile
sent (method, path, headers, body) to the same server in the same state, and reads the answers: it decides nothing,
remembers nothing and writes no status. CPU is that of this process, TLS included; the API server's is not in it.
"""

from __future__ import annotations

import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import urllib3
from urllib3.connectionpool import HTTPConnectionPool

from controller import applying, rights
from controller.cluster import Reconciler
from controller.ownership import CLUSTER_LABEL
from controller.settings import ControllerSettings
from fleet import clusters, connections, shards
from fleet.clusters import Wish
from fleet.database import Database
from fleet.records import ClusterKey, Principal, Role
from fleet.sealing import Sealer
from kube.client import Client
from kube.objects import CLUSTER_ROLE_BINDING, CONFIG_MAP, MUTATING_WEBHOOK
from reconcile.clock import SystemClock
from reconcile.outcome import Done
from schemas import connection_bodies
from schemas.agent_documents import CONFIGURATION_NAME, HUB_ACCOUNT, NAMESPACE_NAME
from schemas.connection import Connection
from schemas.pod_identity_documents import POD_IDENTITY_NAME
from tests.bench.agent import report_on, trust_of
from tests.support.kubernetes import Etcd, RealCluster

ROUNDS = 10
LOOKS_A_ROUND = 30
APPLIES_A_ROUND = 4
KEY = ClusterKey("acme", "demo")
ADMIN = Principal("bench", "bench", KEY.org, Role.ADMIN)
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
ROLE = "arn:aws:iam::123456789012:role/pullpass"


@dataclass(frozen=True)
class Sent:
    """One request, and the status of its answer."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    status: int


@dataclass
class Cost:
    """Seconds of CPU and of wall time, and how often."""

    cpu: float = 0.0
    wall: float = 0.0
    times: int = 0

    def add(self, work: Callable[[], object]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall
        self.times += 1

    @property
    def cpu_milliseconds(self) -> float:
        return 1000 * self.cpu / self.times

    @property
    def wall_milliseconds(self) -> float:
        return 1000 * self.wall / self.times


@dataclass
class Figure:
    """One line of the table."""

    name: str
    sent: Sequence[Sent]
    ours: Cost = field(default_factory=Cost)
    bare: Cost = field(default_factory=Cost)


def run() -> None:
    with tempfile.TemporaryDirectory() as directory, _cluster(Path(directory)) as cluster:
        stage = _Stage(cluster, Path(directory))
        try:
            figures = _look(stage), _full_apply(stage)
        finally:
            stage.close()
    print(
        f"{'requests':24}{'sent':>6}{'ours CPU ms':>14}{'bare CPU ms':>14}{'ratio':>8}"
        f"{'ours wall ms':>14}{'bare wall ms':>14}{'ratio':>8}"
    )
    for figure in figures:
        ours, bare = figure.ours, figure.bare
        print(
            f"{figure.name:24}{len(figure.sent):>6}{ours.cpu_milliseconds:>14.2f}{bare.cpu_milliseconds:>14.2f}"
            f"{ours.cpu / bare.cpu:>8.2f}"
            f"{ours.wall_milliseconds:>14.2f}{bare.wall_milliseconds:>14.2f}{ours.wall / bare.wall:>8.2f}"
        )


def _look(stage: _Stage) -> Figure:
    """Of a healthy cluster that nobody changed."""
    stage.reconcile()
    stage.answer_as_agent()
    outcome = stage.reconcile()
    if outcome != Done():
        raise RuntimeError(f"the cluster did not become Ready: {outcome}")
    with _recorded() as sent:
        stage.reconcile()
    figure = Figure("look", sent)
    for _ in range(ROUNDS):
        for _ in range(LOOKS_A_ROUND):
            figure.ours.add(stage.reconcile)
        for _ in range(LOOKS_A_ROUND):
            figure.bare.add(lambda: stage.replay(sent))
    return figure


def _full_apply(stage: _Stage) -> Figure:
    """Of both add-ons, enabled on a connected cluster with nothing of ours in it, questions about it included."""
    stage.wipe()
    stage.change()
    with _recorded() as sent:
        stage.reconcile()
    figure = Figure("full apply", sent)
    for _ in range(ROUNDS):
        for _ in range(APPLIES_A_ROUND):
            stage.wipe()
            stage.change()
            figure.ours.add(stage.reconcile)
        for _ in range(APPLIES_A_ROUND):
            stage.wipe()
            figure.bare.add(lambda: stage.replay(sent))
    return figure


class _Stage:
    """A connected cluster in a fleet, a reconciler, and a bare pool to the same API server."""

    def __init__(self, cluster: RealCluster, directory: Path) -> None:
        self._certificate_authority = cluster.certificate_authority
        self._admin = Client(cluster.admin(), field_manager="pullpass-agent")
        for obj in rights.objects():
            self._admin.apply(obj)
        self._database = Database(
            f"sqlite:///{directory}/pullpass.db", sealer=Sealer.from_file(directory / "sealing.key")
        )
        self._database.migrate()
        self._changes = 0
        now = datetime.now(UTC)
        created = clusters.create(self._database, ADMIN, KEY, self._wish(), now=now).cluster
        self._uid, self._shard = created.uid, shards.shard_of(created.uid)
        connections.put(self._database, ADMIN, KEY, self._connection(cluster), now=now)
        self._epoch = shards.heartbeat(self._database, "bench", now=now)[self._shard]
        settings = ControllerSettings(agent_image="pullpass:bench", allow_loopback=True)
        self._reconciler = Reconciler(self._database, settings, clock=SystemClock())
        tls = ssl.create_default_context(cadata=cluster.certificate_authority)
        self._pool = urllib3.HTTPSConnectionPool("127.0.0.1", cluster.port, ssl_context=tls)

    def close(self) -> None:
        self._reconciler.close()
        self._pool.close()
        self._admin.close()
        self._database.close()

    def reconcile(self) -> object:
        """One run; how it ended. Raises when it failed."""
        outcome = self._reconciler.reconcile(self._uid, shard=self._shard, epoch=self._epoch).outcome
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def replay(self, sent: Sequence[Sent]) -> None:
        for each in sent:
            answer = self._pool.request(each.method, each.path, body=each.body, headers=each.headers)
            if answer.status != each.status:
                raise RuntimeError(
                    f"{each.method} {each.path}: {answer.status}, not {each.status}: {answer.data!r}"
                )

    def change(self) -> None:
        """A change that the next run acts on."""
        self._changes += 1
        clusters.put(self._database, ADMIN, KEY, self._wish(), now=datetime.now(UTC))

    def wipe(self) -> None:
        """Takes everything out of the cluster that a reconcile put there."""
        ours = f"{CLUSTER_LABEL}={self._uid}"
        for kind in (*applying.LOOKED_AT, CLUSTER_ROLE_BINDING, MUTATING_WEBHOOK):
            namespace = NAMESPACE_NAME if kind.namespaced else None
            for obj in self._admin.list(kind, namespace=namespace, label_selector=ours).items:
                self._admin.delete(kind, obj["metadata"]["name"], namespace=namespace)

    def answer_as_agent(self) -> None:
        """Writes what an agent does that has nothing to complain of: its report, and trust in its webhook."""
        found = self._admin.get(CONFIG_MAP, CONFIGURATION_NAME, namespace=NAMESPACE_NAME)
        self._admin.apply(report_on(found))
        webhook = self._admin.get(MUTATING_WEBHOOK, POD_IDENTITY_NAME)
        self._admin.apply(trust_of(webhook, self._certificate_authority))

    def _wish(self) -> Wish:
        manifest = {
            "kind": "mk8s",
            "name": KEY.name,
            "spec": {
                "version": "1.34.4",
                "provider": {"generic": {"location": "aws-eu-central-1"}},
                "addOns": {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": f"{ROLE}-{self._changes % 2}"}},
            },
        }
        return Wish(manifest, {"awsECR": {"registries": [REGISTRY]}})

    def _connection(self, cluster: RealCluster) -> Connection:
        issued = self._admin.request_token(
            NAMESPACE_NAME, HUB_ACCOUNT, audiences=(), expiration_seconds=24 * 3600
        )
        body = {
            "server": cluster.server,
            "certificateAuthority": cluster.certificate_authority,
            "token": issued.token,
        }
        return connection_bodies.parse(body, now=datetime.now(UTC), allow_loopback=True)


@contextmanager
def _cluster(directory: Path) -> Iterator[RealCluster]:
    etcd = Etcd(directory)
    cluster = RealCluster("bench", directory / "cluster", etcd)
    try:
        etcd.start()
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        etcd.stop()


@contextmanager
def _recorded() -> Iterator[list[Sent]]:
    """Everything that urllib3 sends in between."""
    sent: list[Sent] = []
    send = HTTPConnectionPool.urlopen

    def urlopen(pool: HTTPConnectionPool, method: str, url: str, **rest: Any) -> urllib3.BaseHTTPResponse:
        answer = send(pool, method, url, **rest)
        sent.append(Sent(method, url, dict(rest["headers"]), rest["body"], answer.status))
        return answer

    HTTPConnectionPool.urlopen = urlopen  # type: ignore[method-assign,assignment]
    try:
        yield sent
    finally:
        HTTPConnectionPool.urlopen = send  # type: ignore[method-assign]
