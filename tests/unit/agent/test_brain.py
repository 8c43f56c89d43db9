import base64
import json
import socket
import ssl
import threading
from http.client import HTTPConnection
from typing import Any

import pytest
import urllib3

from agent.webhook.certificate import NAMES
from controller.addons.agent_objects import pod_identity_objects
from controller.addons.webhook_objects import pull_secret_webhooks
from kube.objects import CONFIG_MAP, LEASE, MUTATING_WEBHOOK, SECRET, SERVICE_ACCOUNT
from schemas.addons.aws_ecr import Labelled, PullSecret
from schemas.agent_documents import AgentReport
from schemas.pod_identity_documents import PodIdentityConfiguration
from tests.unit.agent.cell import AUDIENCE, HOST, OURS, ROLE, Cell, Replica, eventually

LABELLED = Labelled()
POD_IDENTITY = PodIdentityConfiguration(
    generation=1,
    cluster_uid="c-1",
    audience=AUDIENCE,
    region="eu-central-1",
    regional_sts=False,
    token_expiration_seconds=86400,
)


class Pair:
    """Two replicas of one cluster's agent."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.replicas = [cell.start("one"), cell.start("two")]
        for replica in self.replicas:
            eventually(lambda replica=replica: probe(replica, "readyz") == 200)  # type: ignore[misc]
            eventually(lambda replica=replica: self._serves(replica))  # type: ignore[misc]

    @property
    def leader(self) -> Replica:
        [leader] = [replica for replica in self.replicas if replica.brain.leading]
        return leader

    @property
    def standby(self) -> Replica:
        [standby] = [replica for replica in self.replicas if not replica.brain.leading]
        return standby

    def _serves(self, replica: Replica) -> bool:
        """Whether it has the certificate, which the leader made."""
        return any(line.startswith("pullpass_agent_webhook_certificate") for line in metrics(replica))

    def end(self, replica: Replica) -> None:
        replica.stop()
        self.replicas.remove(replica)
        self.cell.replicas.remove(replica)

    def serving(self, key: str) -> str:
        """What the certificate's Secret holds, in base64."""
        return str(self.cell.admin.get(SECRET, "pullpass-webhook", namespace=OURS)["data"][key])

    def asked(self, replica: Replica, path: str, obj: dict[str, Any]) -> dict[str, Any]:
        """The response of a replica, asked as the API server asks."""
        request = {
            "uid": "u-1",
            "operation": "CREATE",
            "namespace": obj["metadata"]["namespace"],
            "name": obj["metadata"].get("name", ""),
            "userInfo": {"username": "somebody"},
            "object": obj,
        }
        body = json.dumps(
            {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        )
        context = ssl.create_default_context(cadata=base64.b64decode(self.serving("ca.crt")).decode())
        with (
            socket.create_connection(("127.0.0.1", replica.brain.webhook_port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=NAMES[0]) as secured,
        ):
            connection = HTTPConnection("127.0.0.1")
            connection.sock = secured
            word = base64.b64decode(self.serving("path-word")).decode()
            connection.request("POST", f"{path}/{word}", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert 200 == answer.status
            return dict(json.loads(answer.read())["response"])


def probe(replica: Replica, path: str) -> int:
    with urllib3.PoolManager() as pool:
        return pool.request("GET", f"http://127.0.0.1:{replica.brain.health_port}/{path}").status


def metrics(replica: Replica) -> list[str]:
    with urllib3.PoolManager() as pool:
        answer = pool.request("GET", f"http://127.0.0.1:{replica.brain.health_port}/metrics")
        return answer.data.decode().splitlines()


def patched(response: dict[str, Any]) -> list[dict[str, Any]]:
    return list(json.loads(base64.b64decode(response["patch"])))


def labelled_secret(namespace: str = "shop") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "mine",
            "namespace": namespace,
            "labels": {LABELLED.secret_label.key: LABELLED.secret_label.value},
        },
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(b"FAKE").decode()},
    }


@pytest.fixture
def pair(cell: Cell) -> Pair:
    cell.configure()
    return Pair(cell)


@pytest.fixture
def labelling(cell: Cell) -> Pair:
    """Two replicas that fill labelled secrets, in namespace shop."""
    labels = {LABELLED.namespace_label.key: LABELLED.namespace_label.value}
    cell.apply("Namespace", "shop", metadata={"labels": labels})
    cell.configure(pull_secret=PullSecret(labelled=LABELLED), wide_secrets=True)
    pair = Pair(cell)
    cell.reported(lambda report: report.namespaces_ready == 2)
    return pair


def test_one_of_two_leads_and_both_are_ready_and_healthy(pair: Pair) -> None:
    assert [200] * 4 == [probe(replica, path) for replica in pair.replicas for path in ("readyz", "healthz")]
    assert "pullpass_agent_leader 1.0" in metrics(pair.leader)
    assert "pullpass_agent_leader 0.0" in metrics(pair.standby)


def test_only_the_leader_asks_aws_and_knows_of_secrets(pair: Pair) -> None:
    pair.cell.reported(lambda report: report.namespaces_ready == 1)
    told = 'pullpass_agent_secret_expiry_seconds{name="pullpass-ecr",namespace="default"}'
    assert [True, False] == [
        any(line.startswith(told) for line in metrics(replica)) for replica in (pair.leader, pair.standby)
    ]
    assert not [line for line in metrics(pair.standby) if line.startswith("pullpass_agent_aws_calls_total{")]


def test_another_goes_on_at_once_and_asks_ecr_for_nothing_that_is_still_good(pair: Pair) -> None:
    cell = pair.cell
    cell.reported(lambda report: report.namespaces_ready == 1)
    before = cell.password("default")
    pair.end(pair.leader)
    cell.apply("Namespace", "shop")
    eventually(lambda: cell.served("shop"))
    assert before == cell.password("shop")
    assert not [line for line in metrics(pair.leader) if 'service="ecr"' in line]


def test_a_leader_that_ends_takes_its_name_off_the_lease(cell: Cell) -> None:
    cell.configure()
    replica = cell.start("one")
    eventually(lambda: replica.brain.leading)
    cell.stop()
    assert "holderIdentity" not in cell.admin.get(LEASE, "pullpass-agent", namespace=OURS)["spec"]


def test_who_leads_stands_in_the_report(pair: Pair) -> None:
    report = pair.cell.reported(lambda report: report.namespaces_ready == 1)
    assert (
        pair.cell.admin.get(LEASE, "pullpass-agent", namespace=OURS)["spec"]["holderIdentity"]
        == report.leader
    )


def test_readiness_asks_neither_for_aws_nor_for_a_configuration(cell: Cell) -> None:
    cell.world.aws.set_down("sts")
    replica = cell.start()
    assert eventually(lambda: probe(replica, "readyz") == 200)


def test_without_the_api_server_it_is_healthy_and_says_what_it_waits_for(cell: Cell) -> None:
    (cell.folder / "kubernetes").write_text("of.another.cluster")
    replica = cell.start()
    with urllib3.PoolManager() as pool:
        answer = pool.request("GET", f"http://127.0.0.1:{replica.brain.health_port}/readyz", retries=False)
    assert (503, 200) == (answer.status, probe(replica, "healthz"))
    assert "waiting for the configuration" in answer.data.decode()


def test_both_replicas_fill_labelled_secrets_at_admission(labelling: Pair) -> None:
    filled = [
        patched(labelling.asked(replica, "/labelled-secrets", labelled_secret()))
        for replica in (labelling.leader, labelling.standby)
    ]
    assert filled[0] == filled[1]
    [value] = [each["value"] for each in filled[0] if each["path"] == "/data/.dockerconfigjson"]
    assert (
        labelling.cell.password("default") == json.loads(base64.b64decode(value))["auths"][HOST]["password"]
    )


def test_what_the_webhook_missed_is_filled_by_the_watch(labelling: Pair) -> None:
    cell = labelling.cell
    cell.admin.apply({**labelled_secret(), "data": {".dockerconfigjson": base64.b64encode(b"{}").decode()}})

    def filled() -> bool:
        found = cell.admin.get(SECRET, "mine", namespace="shop")
        auths = json.loads(base64.b64decode(found["data"][".dockerconfigjson"])).get("auths", {})
        return HOST in auths

    assert eventually(filled)
    assert (1, 1) == cell.reported(lambda report: report.labelled_secrets == (1, 1)).labelled_secrets


def test_the_ca_bundle_is_written_and_survives_what_the_hub_applies(labelling: Pair) -> None:
    cell = labelling.cell
    [webhook] = pull_secret_webhooks(cell.configuration.pull_secret, {})

    def bundles() -> set[str]:
        found = cell.admin.get(MUTATING_WEBHOOK, "pullpass-agent")
        return {each["clientConfig"].get("caBundle", "") for each in found["webhooks"]}

    cell.admin.apply(webhook)
    eventually(lambda: "" not in bundles())
    cell.admin.apply(webhook)
    assert {labelling.serving("ca.crt")} == bundles()


def test_both_replicas_give_pods_their_aws_identity(pair: Pair) -> None:
    cell = pair.cell
    for obj in pod_identity_objects(POD_IDENTITY):
        cell.admin.apply(obj)
    annotated = {"metadata": {"annotations": {"eks.amazonaws.com/role-arn": ROLE}}}
    cell.admin.merge_patch(SERVICE_ACCOUNT, "default", annotated, namespace="default")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"serviceAccountName": "default", "containers": [{"name": "web", "image": "web"}]},
    }

    def given(replica: Replica) -> bool:
        response = pair.asked(replica, "/pod-identity", pod)
        return "patch" in response and ROLE in json.dumps(patched(response))

    assert all(eventually(lambda replica=replica: given(replica)) for replica in pair.replicas)  # type: ignore[misc]


def test_for_the_pod_identity_webhook_alone_it_reports_and_needs_no_more_rights(
    cell: Cell, capsys: pytest.CaptureFixture[str]
) -> None:
    for obj in pod_identity_objects(POD_IDENTITY):
        cell.admin.apply(obj)
    cell.start()
    report = cell.reported(lambda report: report.webhook is not None and report.webhook.served != ())
    assert report.webhook is not None
    assert (("pullpass-pod-identity",), "") == (report.webhook.served, report.webhook.error)
    assert "Forbidden" not in capsys.readouterr().out


def test_the_add_on_can_go_and_come_back_while_the_webhook_stays(cell: Cell) -> None:
    for obj in pod_identity_objects(POD_IDENTITY):
        cell.admin.apply(obj)
    cell.configure()
    cell.start()
    eventually(lambda: cell.served("default"))
    cell.reconfigure(removing=True)
    cell.reported(lambda report: report.removed)
    cell.admin.delete(CONFIG_MAP, "pullpass-agent", namespace=OURS)
    eventually(lambda: "informer-namespaces" not in {thread.name for thread in threading.enumerate()})

    def reported_for_the_webhook() -> AgentReport | None:
        report = cell.report()
        return report if report is not None and report.generation == POD_IDENTITY.generation else None

    assert not eventually(reported_for_the_webhook).removed
    cell.reconfigure(removing=False)
    assert eventually(lambda: cell.served("default"))
