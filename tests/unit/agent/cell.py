"""A sandbox cluster with the agent in it, for the tests that drive the whole of it."""

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from agent import settings
from agent.brain import Brain
from agent.metrics import Metrics
from agent.node.report import Report
from agent.secrets.verification import RealAws
from controller.addons.agent_objects import agent_objects, configuration_objects
from controller.agent_rights import (
    CUSTOM_RESOURCES_ROLE,
    PODS_ROLE,
    SECRETS_ROLE,
    WIDE_SECRETS_ROLE,
    cluster_roles,
)
from kube.client import Access, Client
from kube.errors import NotFound
from kube.objects import CONFIG_MAP, SECRET, SERVICE_ACCOUNT, Object
from reconcile.clock import SystemClock, SystemRandom
from sandbox.world import SandboxCluster, World
from schemas.agent_documents import AgentConfiguration, AgentReport, load_report
from schemas.connection import AwsAccess

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pull"
HOST = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com"
AUDIENCE = "sts.amazonaws.com"
OURS = "pullpass-system"
RBAC = "rbac.authorization.k8s.io"
ROLES = {role["metadata"]["name"]: role for role in cluster_roles({})}
CLUSTER_RULES = ROLES[SECRETS_ROLE]["rules"]
# What the hub binds and grants beside them where there are node drivers.
NODE_RULES = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}]
REPORT_RULES = [
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["list", "watch"]},
]
RIGHTS = ("ServiceAccount", "Role", "RoleBinding", "ClusterRoleBinding")
Found = TypeVar("Found")


def eventually(look: Callable[[], Found | None], *, seconds: float = 60.0) -> Found:
    """What `look` finds as soon as it finds something true."""
    clock = SystemClock()
    deadline = clock.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert clock.monotonic() < deadline, "it did not come to that in time"
        threading.Event().wait(0.02)


class Replica:
    """A replica of the agent in a thread, as its process would run it."""

    def __init__(self, environment: dict[str, str]) -> None:
        metrics = Metrics()
        self.brain = Brain(
            settings.read(environment),
            RealAws(metrics.called_aws),
            clock=SystemClock(),
            random=SystemRandom(),
            metrics=metrics,
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.brain.run, args=(self._stopping,))
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


class Cell:
    """One cluster with an agent in it, and an admin beside it."""

    def __init__(self, world: World, cluster: SandboxCluster, folder: Path) -> None:
        self.world = world
        self.folder = folder
        document = yaml.safe_load(cluster.kubeconfig())["clusters"][0]["cluster"]
        self._server = document["server"]
        self._authority = base64.b64decode(document["certificate-authority-data"]).decode()
        self.admin = Client(
            Access(
                self._server,
                certificate_authority=self._authority,
                token=cluster.admin_token,
                allow_loopback=True,
            ),
            field_manager="admin",
        )
        endpoints = world.aws_endpoints
        self.configuration = AgentConfiguration(
            generation=1,
            cluster_uid="c-1",
            organisation="acme",
            cluster=cluster.name,
            removing=False,
            role_arn=ROLE,
            audience=AUDIENCE,
            region=None,
            registries=(HOST,),
            aws=AwsAccess(
                sts_endpoint=endpoints["sts"],
                ecr_endpoint=endpoints["ecr"],
                registry_endpoint=endpoints["registry"],
            ),
        )
        self.replicas: list[Replica] = []
        self._install()

    def apply(
        self, kind: str, name: str, *, namespace: str | None = None, api: str = "v1", **more: Any
    ) -> Object:
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {}) | more.pop("metadata", {})
        return self.admin.apply({"apiVersion": api, "kind": kind, "metadata": metadata, **more})

    def configure(self, **changes: Any) -> None:
        self.configuration = replace(self.configuration, **changes)
        pull_secret = self.configuration.pull_secret
        needed = {
            SECRETS_ROLE: True,
            WIDE_SECRETS_ROLE: self.configuration.wide_secrets,
            CUSTOM_RESOURCES_ROLE: pull_secret.custom_resources or pull_secret.adopt,
            PODS_ROLE: pull_secret.retry_pods,
        }
        roles = [role for role, wanted in needed.items() if wanted]
        for obj in reversed(configuration_objects(self.configuration, add_on="awsECR", roles=roles)):
            self.admin.apply(obj)

    def reconfigure(self, **changes: Any) -> None:
        self.configure(generation=self.configuration.generation + 1, **changes)

    def environment(self, pod: str = "pullpass-agent-1") -> dict[str, str]:
        """As the Deployment sets it, but for the address."""
        (self.folder / "ca.crt").write_text(self._authority)
        return {
            "PULLPASS_KUBERNETES_SERVER": self._server,
            "PULLPASS_KUBERNETES_TOKEN_FILE": str(self.folder / "kubernetes"),
            "PULLPASS_KUBERNETES_CA_FILE": str(self.folder / "ca.crt"),
            "PULLPASS_WEB_IDENTITY_TOKEN_FILE": str(self.folder / "aws"),
            "PULLPASS_HEALTH_PORT": "0",
            "PULLPASS_WEBHOOK_PORT": "0",
            "PULLPASS_POD_NAME": pod,
        }

    def node(self, name: str, **labels: str) -> None:
        self.apply("Node", name, metadata={"labels": labels})

    def driver(self, node: str, state: str = "ready", **told: Any) -> None:
        """Writes the report of a node's driver on this configuration."""
        report = Report(self.configuration.generation, node, "kubeadm", state, **told)  # type: ignore[arg-type]  # a test's state
        self.admin.apply(report.lease("c-1", SystemClock().now()))

    def start(self, pod: str = "pullpass-agent-1") -> "Replica":
        """Another replica of the whole agent."""
        replica = Replica(self.environment(pod))
        self.replicas.append(replica)
        return replica

    def stop(self) -> None:
        for replica in self.replicas:
            replica.stop()
        self.replicas.clear()

    def requests(self) -> int:
        """What the running agents have sent to the API server, but for the election."""
        return sum(replica.brain.requests for replica in self.replicas)

    def secret(self, namespace: str) -> Object | None:
        try:
            return self.admin.get(SECRET, "pullpass-ecr", namespace=namespace)
        except NotFound:
            return None

    def account(self, namespace: str, name: str = "default") -> Object:
        return self.admin.get(SERVICE_ACCOUNT, name, namespace=namespace)

    def references(self, namespace: str, name: str = "default") -> list[str]:
        try:
            found = self.account(namespace, name)
        except NotFound:
            return []
        return [entry["name"] for entry in found.get("imagePullSecrets") or ()]

    def report(self) -> AgentReport | None:
        try:
            found = self.admin.get(CONFIG_MAP, "pullpass-status", namespace=OURS)
        except NotFound:
            return None
        return load_report(found["data"]["report.json"])

    def reported(self, holds: Callable[[AgentReport], bool]) -> AgentReport:
        def look() -> AgentReport | None:
            report = self.report()
            current = report is not None and report.generation == self.configuration.generation
            return report if report is not None and current and holds(report) else None

        return eventually(look)

    def password(self, namespace: str) -> str | None:
        found = self.secret(namespace)
        if found is None:
            return None
        auths = json.loads(base64.b64decode(found["data"][".dockerconfigjson"]))["auths"]
        return str(auths[HOST]["password"])

    def served(self, namespace: str, *accounts: str) -> bool:
        return self.password(namespace) is not None and all(
            "pullpass-ecr" in self.references(namespace, name) for name in accounts or ("default",)
        )

    def _install(self) -> None:
        """What `pullpass connect` and the hub apply."""
        self.apply("Namespace", OURS)
        for role in ROLES.values():
            self.admin.apply(role)
        for obj in agent_objects(self.configuration.cluster_uid, audience=AUDIENCE, image="none"):
            if obj["kind"] in RIGHTS:
                self.admin.apply(obj)
        self._grant("ClusterRole", "cell-nodes", NODE_RULES)
        self._grant("Role", "cell-reports", REPORT_RULES, namespace=OURS)
        for file, audiences in (("kubernetes", []), ("aws", [AUDIENCE])):
            issued = self.admin.request_token(
                OURS, "pullpass-agent", audiences=audiences, expiration_seconds=3600
            )
            (self.folder / file).write_text(issued.token)

    def _grant(self, kind: str, name: str, rules: list[Object], namespace: str | None = None) -> None:
        api = f"{RBAC}/v1"
        self.apply(kind, name, namespace=namespace, api=api, rules=rules)
        self.apply(
            f"{kind}Binding",
            name,
            namespace=namespace,
            api=api,
            roleRef={"apiGroup": RBAC, "kind": kind, "name": name},
            subjects=[{"kind": "ServiceAccount", "name": "pullpass-agent", "namespace": OURS}],
        )
