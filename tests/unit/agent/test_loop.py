import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent.health import Metrics
from agent.secrets.loop import SecretsAgent
from agent.secrets.service_accounts import MARK
from agent.secrets.verification import RealAws
from kube.client import Access, Client
from kube.errors import NotFound
from kube.objects import CONFIG_MAP, NAMESPACE, SECRET, SERVICE_ACCOUNT, Object
from reconcile.clock import SystemClock, SystemRandom
from sandbox.world import SandboxCluster, World
from schemas.addons.aws_ecr import PullSecret
from schemas.agent_documents import AgentConfiguration, AgentReport, dump_configuration, load_report
from schemas.connection import AwsAccess

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pull"
HOST = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com"
AUDIENCE = "sts.amazonaws.com"
OURS = "pullpass-system"
RBAC = "rbac.authorization.k8s.io"
# Exactly the rights that `agent.secrets` writes down.
CLUSTER_RULES = [
    {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": ["pullpass-ecr"],
        "verbs": ["get", "list", "watch", "create", "patch", "delete"],
    },
    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get", "list", "watch", "patch"]},
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
]
OWN_RULES = [
    {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": ["pullpass-agent"],
        "verbs": ["get", "list", "watch"],
    },
    {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": ["pullpass-status"],
        "verbs": ["create", "get", "patch"],
    },
]
Found = TypeVar("Found")


def eventually(look: Callable[[], Found | None], *, seconds: float = 15.0) -> Found:
    """What `look` finds as soon as it finds something true."""
    clock = SystemClock()
    deadline = clock.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert clock.monotonic() < deadline, "it did not come to that in time"
        threading.Event().wait(0.02)


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
        self._agents: list[tuple[threading.Thread, threading.Event, Client]] = []
        self._install()

    def apply(
        self, kind: str, name: str, *, namespace: str | None = None, api: str = "v1", **more: Any
    ) -> Object:
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {}) | more.pop("metadata", {})
        return self.admin.apply({"apiVersion": api, "kind": kind, "metadata": metadata, **more})

    def configure(self, **changes: Any) -> None:
        self.configuration = replace(self.configuration, **changes)
        data = {"configuration.json": dump_configuration(self.configuration)}
        self.apply("ConfigMap", "pullpass-agent", namespace=OURS, data=data)

    def reconfigure(self, **changes: Any) -> None:
        self.configure(generation=self.configuration.generation + 1, **changes)

    def start(self) -> None:
        stop, metrics = threading.Event(), Metrics()
        client = Client(
            Access(
                self._server,
                certificate_authority=self._authority,
                token_file=str(self.folder / "kubernetes"),
                allow_loopback=True,
            )
        )
        agent = SecretsAgent(
            client,
            RealAws(metrics.called_aws),
            token_file=str(self.folder / "aws"),
            clock=SystemClock(),
            random=SystemRandom(),
            metrics=metrics,
        )
        thread = threading.Thread(target=agent.run, args=(stop,))
        thread.start()
        self._agents.append((thread, stop, client))

    def stop(self) -> None:
        for thread, stop, client in self._agents:
            stop.set()
            thread.join(10)
            assert not thread.is_alive()
            client.close()
        self._agents.clear()

    def requests(self) -> int:
        """What the running agent has sent to the API server."""
        return self._agents[-1][2].requests

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
        agent = {"kind": "ServiceAccount", "name": "pullpass-agent", "namespace": OURS}
        self.apply("Namespace", OURS)
        self.apply("ServiceAccount", "pullpass-agent", namespace=OURS)
        api, binding = f"{RBAC}/v1", {"apiGroup": RBAC, "name": "pullpass-agent-secrets"}
        self.apply("ClusterRole", "pullpass-agent-secrets", api=api, rules=CLUSTER_RULES)
        self.apply(
            "ClusterRoleBinding",
            "pullpass-agent-secrets",
            api=api,
            roleRef={**binding, "kind": "ClusterRole"},
            subjects=[agent],
        )
        self.apply("Role", "pullpass-agent-secrets", namespace=OURS, api=api, rules=OWN_RULES)
        self.apply(
            "RoleBinding",
            "pullpass-agent-secrets",
            namespace=OURS,
            api=api,
            roleRef={**binding, "kind": "Role"},
            subjects=[agent],
        )
        for file, audiences in (("kubernetes", []), ("aws", [AUDIENCE])):
            issued = self.admin.request_token(
                OURS, "pullpass-agent", audiences=audiences, expiration_seconds=3600
            )
            (self.folder / file).write_text(issued.token)


@pytest.fixture(scope="module")
def signing_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def world(signing_key: str) -> Iterator[World]:
    world = World(run_workloads=False)
    world.start()
    yield world
    world.stop()


@pytest.fixture
def cell(world: World, signing_key: str, tmp_path: Path) -> Iterator[Cell]:
    issuer = "https://issuer.example/demo"
    cluster = world.add_cluster("demo", issuer=issuer, public=True, signing_key=signing_key)
    world.create_oidc_provider(ACCOUNT, issuer, [AUDIENCE])
    world.create_role(
        ROLE,
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRoleWithWebIdentity",
                    "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.example/demo"},
                    "Condition": {
                        "StringEquals": {
                            "issuer.example/demo:aud": AUDIENCE,
                            "issuer.example/demo:sub": f"system:serviceaccount:{OURS}:pullpass-agent",
                        }
                    },
                }
            ],
        },
    )
    cell = Cell(world, cluster, tmp_path)
    yield cell
    cell.stop()
    cell.admin.close()


@pytest.fixture
def running(cell: Cell) -> Cell:
    """An agent that has filled namespace default and said so."""
    cell.configure()
    cell.start()
    cell.reported(lambda report: report.namespaces_ready == 1)
    return cell


def test_it_fills_selected_namespaces_with_a_password_that_aws_issued(running: Cell) -> None:
    password = running.password("default")
    assert password is not None
    assert running.world.aws.password_is_valid(password) is not None
    assert running.references("default") == ["pullpass-ecr"]


def test_the_namespaces_of_kubernetes_and_our_own_stay_as_they_are(running: Cell) -> None:
    found = {name: (running.secret(name), running.references(name)) for name in ("kube-system", OURS)}
    assert found == {name: (None, []) for name in ("kube-system", OURS)}


def test_the_report_tells_of_the_proof_and_the_credential(running: Cell) -> None:
    report = running.reported(lambda report: report.verified_at is not None)
    assert [(hop.name, hop.succeeded) for hop in report.hops] == [
        ("token", True),
        ("sts", True),
        ("ecr", True),
        ("registry", True),
    ]
    assert [(each.region, each.registries) for each in report.credentials] == [("eu-central-1", (HOST,))]
    assert (report.namespaces_selected, report.namespace_errors, report.removed) == (1, (), False)


def test_many_namespaces_cost_one_call_to_ecr(cell: Cell) -> None:
    names = [f"shop-{number}" for number in range(25)]
    for name in names:
        cell.apply("Namespace", name)
    cell.configure()
    cell.start()
    cell.reported(lambda report: report.namespaces_ready == 26)
    assert all(cell.served(name) for name in names)
    # One apply and one patch for each; four lists and watches, the last report, and a report or two.
    assert cell.requests() <= 26 * 2 + 12
    assert cell.world.aws.calls["GetAuthorizationToken"] == 1


def test_a_new_namespace_is_served_at_once(running: Cell) -> None:
    running.apply("Namespace", "shop")
    eventually(lambda: running.served("shop"))
    assert running.world.aws.calls["GetAuthorizationToken"] == 1


def test_a_new_service_account_is_served_at_once(running: Cell) -> None:
    running.apply("ServiceAccount", "builder", namespace="default")
    eventually(lambda: running.served("default", "builder"))


def test_a_secret_that_was_deleted_comes_back(running: Cell) -> None:
    running.admin.delete(SECRET, "pullpass-ecr", namespace="default")
    eventually(lambda: running.served("default"))


def test_a_secret_that_was_edited_is_put_right_in_place(running: Cell) -> None:
    before = running.secret("default")
    assert before is not None
    body = {"data": {".dockerconfigjson": base64.b64encode(b'{"auths":{}}').decode()}}
    running.admin.merge_patch(SECRET, "pullpass-ecr", body, namespace="default")

    def mended() -> Object | None:
        found = running.secret("default")
        return found if found is not None and found["data"] == before["data"] else None

    assert eventually(mended)["metadata"]["uid"] == before["metadata"]["uid"]


def test_a_reference_that_was_taken_out_comes_back_beside_those_of_others(running: Cell) -> None:
    body = {"imagePullSecrets": [{"name": "regcred"}]}
    running.admin.merge_patch(SERVICE_ACCOUNT, "default", body, namespace="default")
    eventually(lambda: running.references("default") == ["regcred", "pullpass-ecr"])


def test_a_secret_of_somebody_else_is_left_alone_and_reported(running: Cell) -> None:
    running.reconfigure(pull_secret=PullSecret(exclude_namespaces=("kube-*", "taken")))
    running.apply("Namespace", "taken")
    foreign = {"name": "pullpass-ecr", "namespace": "taken"}
    running.admin.create({"apiVersion": "v1", "kind": "Secret", "metadata": foreign, "type": "Opaque"})
    running.reconfigure(pull_secret=PullSecret())
    report = running.reported(lambda report: bool(report.namespace_errors))
    assert [(error.namespace, error.code) for error in report.namespace_errors] == [
        ("taken", "SecretNotOurs")
    ]
    found = running.secret("taken")
    assert found is not None
    assert (found["type"], running.references("taken")) == ("Opaque", [])


def test_while_aws_is_down_the_old_secret_stays(running: Cell) -> None:
    before = running.secret("default")
    running.world.aws.set_down("sts")
    running.reconfigure(role_arn=f"arn:aws:iam::{ACCOUNT}:role/other")
    report = running.reported(lambda report: any(not hop.succeeded for hop in report.hops))
    assert [hop.code for hop in report.hops] == ["", "StsUnreachable"]
    assert running.secret("default") == before


def test_another_role_brings_another_password_into_the_same_secret(running: Cell) -> None:
    before, old = running.secret("default"), running.password("default")
    policy = {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity"}
    federated = {"Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.example/demo"}}
    condition = {"Condition": {"StringEquals": {"issuer.example/demo:aud": AUDIENCE}}}
    other = f"arn:aws:iam::{ACCOUNT}:role/other"
    running.world.create_role(
        other, {"Version": "2012-10-17", "Statement": [{**policy, **federated, **condition}]}
    )
    running.reconfigure(role_arn=other)
    eventually(lambda: running.password("default") != old)
    after = running.secret("default")
    assert before is not None
    assert after is not None
    assert before["metadata"]["uid"] == after["metadata"]["uid"]


def test_a_namespace_that_is_no_longer_selected_is_given_back(running: Cell) -> None:
    running.apply("Namespace", "shop")
    eventually(lambda: running.served("shop"))
    running.reconfigure(pull_secret=PullSecret(namespaces=("default",)))
    eventually(lambda: running.secret("shop") is None and running.references("shop") == [])
    assert running.served("default")


def test_a_label_that_goes_deselects(running: Cell) -> None:
    running.apply("Namespace", "shop", metadata={"labels": {"pull": "yes"}})
    running.reconfigure(pull_secret=PullSecret(namespace_selector={"pull": "yes"}))
    eventually(lambda: running.served("shop") and running.secret("default") is None)
    running.admin.merge_patch(NAMESPACE, "shop", {"metadata": {"labels": {"pull": None}}})
    eventually(lambda: running.secret("shop") is None)


def test_removal_gives_everything_back_and_says_so(running: Cell) -> None:
    running.apply("Namespace", "shop")
    eventually(lambda: running.served("shop"))
    running.admin.merge_patch(
        SERVICE_ACCOUNT,
        "default",
        {"imagePullSecrets": [{"name": "regcred"}, {"name": "pullpass-ecr"}]},
        namespace="shop",
    )
    running.reconfigure(removing=True)
    running.reported(lambda report: report.removed)
    assert [running.secret(name) for name in ("default", "shop")] == [None, None]
    assert [running.references(name) for name in ("default", "shop")] == [[], ["regcred"]]
    assert MARK not in json.dumps(running.account("default"))


def test_a_removal_that_is_cancelled_fills_again(running: Cell) -> None:
    running.reconfigure(removing=True)
    running.reported(lambda report: report.removed)
    running.reconfigure(removing=False)
    running.reported(lambda report: not report.removed and report.namespaces_ready == 1)
    assert running.served("default")


def test_a_new_agent_goes_on_without_asking_aws(running: Cell) -> None:
    before = running.secret("default")
    running.stop()
    running.start()
    running.apply("Namespace", "shop")
    eventually(lambda: running.served("shop"))
    calls = running.world.aws.calls
    assert (calls["AssumeRoleWithWebIdentity"], calls["GetAuthorizationToken"]) == (1, 1)
    assert running.secret("default") == before


def test_without_a_configuration_nothing_is_touched(cell: Cell) -> None:
    cell.start()
    cell.apply("Namespace", "shop")
    cell.configure(registries=())  # the first thing it does is to look for pods: there are none
    report = cell.reported(lambda _: True)
    assert (report.registries, cell.secret("shop"), cell.references("shop")) == ((), None, [])


@pytest.mark.parametrize("document", ["{}", "no JSON", '{"version": 99}'])
def test_a_configuration_that_cannot_be_read_changes_nothing(running: Cell, document: str) -> None:
    running.apply("ConfigMap", "pullpass-agent", namespace=OURS, data={"configuration.json": document})
    running.apply("Namespace", "shop")
    eventually(lambda: running.served("shop"))
    assert running.served("default")


def test_without_a_role_the_credential_stays_and_aws_is_not_asked(running: Cell) -> None:
    before = running.secret("default")
    running.reconfigure(role_arn="")
    running.reported(lambda _: True)
    assert running.secret("default") == before
    assert running.world.aws.calls["AssumeRoleWithWebIdentity"] == 1


def test_with_no_accounts_wanted_a_reference_that_somebody_wrote_stays(running: Cell) -> None:
    running.apply(
        "ServiceAccount", "builder", namespace="default", imagePullSecrets=[{"name": "pullpass-ecr"}]
    )
    running.reconfigure(pull_secret=PullSecret(service_accounts="none"))
    eventually(lambda: running.references("default") == [])
    assert running.references("default", "builder") == ["pullpass-ecr"]


def test_registries_seen_on_pods_outlive_both_pods_and_agent(running: Cell) -> None:
    running.stop()
    running.reconfigure(registries=())
    running.start()
    running.reported(lambda report: report.registries == (HOST,))
    assert running.served("default")


def test_registries_are_read_off_the_images_of_pods(cell: Cell) -> None:
    cell.configure(registries=())
    cell.start()
    cell.reported(lambda report: report.registries == ())
    cell.apply(
        "Pod",
        "web",
        namespace="default",
        spec={"containers": [{"name": "web", "image": f"{HOST}/shop/web:1"}]},
    )
    eventually(lambda: cell.served("default"))
    cell.reported(lambda report: report.registries == (HOST,) and report.verified_at is not None)
