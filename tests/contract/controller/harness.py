"""A hub without its processes: a real fleet, a sandbox cluster, and reconciles that a test runs one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from controller import rights
from controller.agent_rights import WEBHOOK_NAMES
from controller.cluster import Reconciler, Run
from controller.connecting import access_of
from controller.settings import ControllerSettings
from fleet import clusters, connections, events, shards
from fleet.clusters import Wish
from fleet.database import Database
from fleet.records import Cluster, ClusterKey, Principal, Role
from fleet.sealing import Sealer
from kube.client import Access, Client
from kube.errors import NotFound, Unreachable
from kube.objects import CONFIG_MAP, KINDS, MUTATING_WEBHOOK, NAMESPACE, Object, ObjectKey, key_of, kind_of
from reconcile.clock import FakeClock
from reconcile.outcome import Done, RequeueAfter
from schemas.agent_documents import (
    CONFIGURATION_KEY,
    CONFIGURATION_NAME,
    HUB_ACCOUNT,
    NAMESPACE_NAME,
    REPORT_KEY,
    REPORT_NAME,
    AgentConfiguration,
    AgentReport,
    ReportedCredential,
    ReportedHop,
    dump_report,
    labels,
    load_configuration,
)
from schemas.connection import Connection
from schemas.connection_bodies import parse as parse_connection
from schemas.status import AddOnStatus, ClusterStatus

ISSUER = "https://oidc.example.org/id/1"
PUBLIC_URL = "https://pullpass.example.org"
ROLE_ARN = "arn:aws:iam::123456789012:role/pull"
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
AUTHORITY = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="
ALICE = Principal("token-1", "alice", "acme", Role.ADMIN)
BOTH = {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE_ARN}}
SETTINGS = {"awsECR": {"registries": [REGISTRY], "delivery": "pullSecret"}}


class HasKubeconfig(Protocol):
    """A cluster of the sandbox, or a real one."""

    def kubeconfig(self) -> str:
        """An admin's."""


class Wire:
    """What a reconciler sends; may be told to break at the nth request, before or after the server acts on it."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.break_at: int | None = None
        self.break_after = False
        self.hear: Callable[[str], None] = lambda _line: None

    def dial(self, access: Access) -> Client:
        wire = self

        class Wired(Client):
            def _json(self, method: str, path: str, *args: Any, **named: Any) -> dict[str, Any]:
                number = len(wire.sent)
                wire.sent.append(f"{method} {path}")
                wire.hear(wire.sent[-1])
                if number == wire.break_at and not wire.break_after:
                    raise Unreachable("the wire broke before the request")
                answer = super()._json(method, path, *args, **named)
                if number == wire.break_at:
                    raise Unreachable("the wire broke behind the request")
                return answer

        return Wired(access)


class Hub:
    """One hub with cluster acme/demo."""

    def __init__(self, database: Database, cluster: HasKubeconfig, *, name: str = "demo") -> None:
        self.database = database
        self.cluster = cluster
        self.key = ClusterKey("acme", name)
        self.clock = FakeClock(datetime.now(UTC) - timedelta(minutes=1))  # an engine that follows is later
        self.wire = Wire()
        self.admin = Client(admin_access(cluster), field_manager="kubectl")
        self.agent = Client(admin_access(cluster), field_manager="pullpass-agent")
        self.answered: AgentConfiguration | None = None
        self.restart()

    def restart(self, **settings: Any) -> None:
        """A controller that knows nothing of the one before."""
        self.reconciler = Reconciler(
            self.database,
            ControllerSettings(
                agent_image="registry.example.org/pullpass@sha256:1",
                allow_loopback=True,
                **{"public_url": PUBLIC_URL, **settings},
            ),
            clock=self.clock,
            dial=self.wire.dial,
        )

    def close(self) -> None:
        self.reconciler.close()
        self.admin.close()
        self.agent.close()

    def install_rights(self) -> None:
        for obj in rights.objects():
            self.admin.apply(obj)

    def hub_connection(self, seconds: int = 3600) -> Connection:
        issued = self.admin.request_token(
            NAMESPACE_NAME, HUB_ACCOUNT, audiences=(), expiration_seconds=seconds
        )
        access = admin_access(self.cluster)
        body = {
            "server": access.server,
            "certificateAuthority": access.certificate_authority,
            "token": issued.token,
        }
        return parse_connection(body, now=self.clock.now(), allow_loopback=True)

    def connect(self, connection: Connection | None = None) -> None:
        connections.put(
            self.database, ALICE, self.key, connection or self.hub_connection(), now=self.clock.now()
        )

    def wish(
        self, add_ons: Mapping[str, Any], settings: Mapping[str, Any] | None = None, **spec: Any
    ) -> None:
        manifest = {
            "kind": "mk8s",
            "name": self.key.name,
            "spec": {
                "version": "1.34.4",
                "provider": {"generic": {"location": "aws-eu-central-1"}},
                "addOns": dict(add_ons),
                **spec,
            },
        }
        wanted = Wish(manifest, SETTINGS if settings is None else settings)
        clusters.put(self.database, ALICE, self.key, wanted, now=self.clock.now())

    def run(self) -> Run:
        """One reconcile, as a worker would run it."""
        uid = self.uid
        shard = shards.shard_of(uid)
        epochs = shards.heartbeat(self.database, "process-1", now=self.clock.now())
        return self.reconciler.reconcile(uid, shard=shard, epoch=epochs[shard])

    @property
    def uid(self) -> str:
        return self.stored().uid

    def stored(self) -> Cluster:
        return clusters.read(self.database, self.key)

    def status(self) -> ClusterStatus:
        return self.stored().status

    def ecr(self) -> AddOnStatus:
        return self.status().add_ons["awsECR"]

    def codes(self, add_on: str = "awsECR") -> list[str]:
        status = self.status().add_ons.get(add_on)
        return [] if status is None else [issue.code for issue in status.issues]

    def reasons(self) -> list[str]:
        """Of the event log, oldest first."""
        return [event.reason for event in reversed(events.page(self.database, self.key).items)]

    def configuration(self) -> AgentConfiguration:
        found = self.admin.get(CONFIG_MAP, CONFIGURATION_NAME, namespace=NAMESPACE_NAME)
        return load_configuration(found["data"][CONFIGURATION_KEY])

    def report(self, **members: Any) -> None:
        """Writes the report that an agent with nothing to complain of would write; `members` say otherwise."""
        now = self.clock.now().replace(microsecond=0)
        configuration = self.configuration()
        good: dict[str, Any] = {
            "generation": configuration.generation,
            "agent_version": "0.1.0",
            "written_at": now,
            "removed": configuration.removing,
            "registries": (REGISTRY,),
            "hops": tuple(ReportedHop(name, succeeded=True) for name in ("token", "sts", "ecr", "registry")),
            "verified_at": now,
            "credentials": (ReportedCredential("eu-central-1", (REGISTRY,), now, now + timedelta(hours=12)),),
            "namespaces_selected": 1,
            "namespaces_ready": 1,
        }
        self.agent.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": REPORT_NAME,
                    "namespace": NAMESPACE_NAME,
                    "labels": dict(labels(configuration.cluster_uid, "awsECR")),
                },
                "data": {REPORT_KEY: dump_report(AgentReport(**{**good, **members}))},
            }
        )

    def answer_as_agent(self) -> None:
        """What an agent would do now, if one runs: answers a configuration it has not answered yet."""
        try:
            configuration = self.configuration()
            doubted = (
                "AgentNotRunning" in self.codes()
            )  # where no pod can run, the report alone proves the contrary
            if configuration != self.answered or doubted:
                self.report()
        except NotFound:
            configuration = None
        self.answered = configuration
        self.vouch()

    def vouch(self) -> None:
        """What the agent's leader would do with each of our webhooks: writes its authority where there is none."""
        for name in WEBHOOK_NAMES:
            try:
                found = self.agent.get(MUTATING_WEBHOOK, name)
            except NotFound:
                continue
            if all(webhook["clientConfig"].get("caBundle") for webhook in found["webhooks"]):
                continue
            self.agent.apply(
                {
                    "apiVersion": MUTATING_WEBHOOK.api_version,
                    "kind": MUTATING_WEBHOOK.kind,
                    "metadata": {"name": name},
                    "webhooks": [
                        {"name": webhook["name"], "clientConfig": {"caBundle": AUTHORITY}}
                        for webhook in found["webhooks"]
                    ],
                }
            )

    def settle(self, *, steps: int = 200) -> Run:
        """Runs, with an agent in the cluster, until nothing is left to do; failures are tried again."""
        for _ in range(steps):
            run = self.run()
            if isinstance(run.outcome, Done) or not self.exists():
                return run
            self.answer_as_agent()
            self.clock.advance(run.outcome.seconds if isinstance(run.outcome, RequeueAfter) else 1)
        raise AssertionError(f"not settled: {self.status()}")

    def exists(self) -> bool:
        page = clusters.page(self.database, "acme")
        return any(cluster.key == self.key for cluster in page.items)

    def objects(self) -> dict[ObjectKey, Object]:
        """Everything in the cluster with our uid."""
        return everything(self.admin, "app.kubernetes.io/managed-by=pullpass,pullpass.dev/cluster")


def opened(path: Path) -> Database:
    """The fleet of a test."""
    return Database(f"sqlite:///{path}", sealer=Sealer((b"k" * 32,)))


@contextmanager
def settled(hub: Hub) -> Iterator[Hub]:
    """The hub with both add-ons ready in a cluster that others use too; takes everything of it out again."""
    hub.install_rights()
    hub.wish(BOTH)
    hub.connect()
    hub.settle()
    yield hub
    for key, obj in hub.objects().items():
        hub.admin.delete(kind_of(obj), key.name, namespace=key.namespace or None)
    for obj in reversed(rights.objects()):
        if obj["kind"] != NAMESPACE.kind:
            hub.admin.delete(
                kind_of(obj), obj["metadata"]["name"], namespace=obj["metadata"].get("namespace")
            )


def admin_access(cluster: HasKubeconfig) -> Access:
    body = {"kubeconfig": cluster.kubeconfig()}
    connection = parse_connection(body, now=datetime.now(UTC), allow_loopback=True)
    return access_of(connection, allow_loopback=True)


def everything(client: Client, selector: str | None = None) -> dict[ObjectKey, Object]:
    found = {}
    for kind in KINDS:
        try:
            objects = client.list(kind, label_selector=selector).items
        except NotFound:  # a custom resource that is not installed
            continue
        found.update({key_of(obj): obj for obj in objects})
    return found
