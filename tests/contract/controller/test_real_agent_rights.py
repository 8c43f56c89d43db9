"""The agent on a real API server: what RBAC and admission let it do with the rights that the hub gave it.

One hub stands for all of these tests, and each leaves the cluster as it found it.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.agent_rights import CLUSTER_WIDE_ROLES
from kube.client import Client
from kube.errors import ApiError, Forbidden
from kube.objects import CLUSTER_ROLE_BINDING, CONFIG_MAP, SECRET, SERVICE_ACCOUNT, Object
from schemas.agent_documents import AGENT_ACCOUNT, NAMESPACE_NAME, REPORT_NAME, SECRET_NAME, labels
from tests.contract.controller.harness import Hub, opened, settled
from tests.support.kubernetes import RealCluster

OURS = {"app.kubernetes.io/managed-by": "pullpass"}
DOCKER_CONFIG = "kubernetes.io/dockerconfigjson"


@pytest.fixture(scope="module")
def real_hub(
    real_cluster: RealCluster, migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hub]:
    database = opened(Path(shutil.copy(migrated, tmp_path_factory.mktemp("hub"))))
    hub = Hub(database, real_cluster)
    with settled(hub):
        yield hub
    hub.close()
    database.close()


@pytest.fixture(scope="module")
def agent(real_hub: Hub, real_cluster: RealCluster) -> Iterator[Client]:
    """Whoever holds the token of the agent's account."""
    issued = real_hub.admin.request_token(NAMESPACE_NAME, AGENT_ACCOUNT, audiences=(), expiration_seconds=600)
    client = Client(real_cluster.access(issued.token), field_manager="pullpass-agent")

    def turned_away() -> bool:
        try:
            client.apply(secret(kind="Opaque"), dry_run=True)
        except ApiError:
            return True
        return False

    eventually(turned_away)  # an admission policy comes into force a moment after it was stored
    yield client
    client.close()


def eventually(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(1200):
        if holds():
            return
        pause.wait(0.05)
    raise AssertionError("it did not come to that within a minute")


def secret(
    name: str = SECRET_NAME, *, kind: str = DOCKER_CONFIG, marks: dict[str, str] | None = None
) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "default", "labels": OURS if marks is None else marks},
        "type": kind,
        "data": {".dockerconfigjson": "e30="},
    }


def test_the_agent_reads_its_configuration_and_writes_its_report(real_hub: Hub, agent: Client) -> None:
    metadata = {
        "name": REPORT_NAME,
        "namespace": NAMESPACE_NAME,
        "labels": dict(labels(real_hub.uid, "awsECR")),
    }
    agent.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}})
    listed = agent.list(CONFIG_MAP, namespace=NAMESPACE_NAME, field_selector="metadata.name=pullpass-agent")
    assert len(listed.items) == 1


def test_the_agent_makes_changes_and_deletes_its_own_secret(agent: Client) -> None:
    agent.apply(secret())
    agent.apply({**secret(), "data": {".dockerconfigjson": "e30K"}})
    listed = agent.list(SECRET, field_selector=f"metadata.name={SECRET_NAME}")
    agent.delete(SECRET, SECRET_NAME, namespace="default")
    assert len(listed.items) == 1


@pytest.mark.parametrize(
    "refused",
    [
        secret(name="other"),
        secret(kind="Opaque"),
        secret(marks={}),
        secret(marks={"app.kubernetes.io/managed-by": "helm"}),
    ],
)
def test_the_agent_writes_no_other_secret(agent: Client, refused: Object) -> None:
    with pytest.raises(ApiError) as caught:
        agent.apply(refused)
    assert caught.value.status in {403, 422}


def test_the_agent_touches_no_secret_that_is_not_ours(real_hub: Hub, agent: Client) -> None:
    real_hub.admin.apply(secret(marks={"team": "shop"}))
    try:
        with pytest.raises(ApiError):
            agent.apply(secret())
        with pytest.raises(ApiError):
            agent.delete(SECRET, SECRET_NAME, namespace="default")
    finally:
        real_hub.admin.delete(SECRET, SECRET_NAME, namespace="default")


def test_the_agent_reads_no_other_secret(agent: Client) -> None:
    with pytest.raises(Forbidden):
        agent.list(SECRET, namespace="default")


@pytest.fixture
def wide_agent(real_hub: Hub, agent: Client) -> Iterator[Client]:
    """The agent with every right that settings may give it."""
    bound: list[Object] = [
        {
            "apiVersion": CLUSTER_ROLE_BINDING.api_version,
            "kind": CLUSTER_ROLE_BINDING.kind,
            "metadata": {"name": f"{role}-for-a-test"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": AGENT_ACCOUNT, "namespace": NAMESPACE_NAME}],
        }
        for role in CLUSTER_WIDE_ROLES
    ]
    for obj in bound:
        real_hub.admin.apply(obj)

    def listed() -> bool:
        try:
            agent.list(SECRET, namespace="default")
        except Forbidden:
            return False
        return True

    eventually(listed)  # RBAC hears of a binding by a watch
    yield agent
    for obj in bound:
        real_hub.admin.delete(CLUSTER_ROLE_BINDING, obj["metadata"]["name"])


def own(name: str, kind: str, *, namespace: str = NAMESPACE_NAME, **metadata: Any) -> Object:
    data = {"tls.crt": "", "tls.key": ""} if kind == "kubernetes.io/tls" else {"key": "eA=="}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "type": kind,
        "data": data,
    }


def test_with_wider_rights_the_agent_makes_changes_and_deletes_its_own_secrets(wide_agent: Client) -> None:
    wide_agent.apply(secret(name="other"))
    wide_agent.apply({**secret(name="other"), "data": {".dockerconfigjson": "e30K"}})
    wide_agent.delete(SECRET, "other", namespace="default")
    for name, kind in (("pullpass-credentials", "Opaque"), ("pullpass-webhook", "kubernetes.io/tls")):
        wide_agent.create(own(name, kind))
        wide_agent.apply(own(name, kind))
        wide_agent.delete(SECRET, name, namespace=NAMESPACE_NAME)


@pytest.mark.parametrize(
    "refused",
    [
        secret(name="other", kind="Opaque"),
        secret(name="other", marks={}),
        own("pullpass-credentials", "Opaque", namespace="default"),
        own("pullpass-credentials", "kubernetes.io/tls"),
        own("other", "Opaque"),
        # It would hold a token of the hub.
        own(
            "pullpass-webhook",
            "kubernetes.io/service-account-token",
            annotations={"kubernetes.io/service-account.name": "pullpass-hub"},
        ),
    ],
)
def test_with_wider_rights_the_agent_makes_no_other_secret(wide_agent: Client, refused: Object) -> None:
    with pytest.raises(ApiError) as caught:
        wide_agent.create(refused)
    assert "the Pullpass agent makes no secrets but its own" in str(caught.value)


@pytest.fixture
def labelled(real_hub: Hub) -> Iterator[str]:
    """A secret of the users' own, with data beside."""
    body = secret(name="labelled", marks={"team": "shop"})
    body["data"]["other"] = "eA=="
    real_hub.admin.apply(body)
    yield "labelled"
    real_hub.admin.delete(SECRET, "labelled", namespace="default")


def test_a_labelled_secret_is_filled(wide_agent: Client, labelled: str) -> None:
    change = {"data": {".dockerconfigjson": "e30K"}, "metadata": {"annotations": {"pullpass.dev/a": "b"}}}
    filled = wide_agent.merge_patch(SECRET, labelled, change, namespace="default")
    assert filled["data"] == {".dockerconfigjson": "e30K", "other": "eA=="}


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"other": "eQ=="}},
        {"data": {"other": None}},
        {"data": {"more": "eQ=="}},
        {"metadata": {"labels": OURS}},
        {"metadata": {"labels": None}},
        {"metadata": {"finalizers": ["example.org/x"]}},
    ],
)
def test_nothing_else_of_a_labelled_secret_is_changed(
    wide_agent: Client, labelled: str, change: Object
) -> None:
    with pytest.raises(ApiError) as caught:
        wide_agent.merge_patch(SECRET, labelled, change, namespace="default")
    assert "changes nothing of a secret that is not its own" in str(caught.value)


def test_a_labelled_secret_is_not_deleted(wide_agent: Client, labelled: str) -> None:
    with pytest.raises(ApiError):
        wide_agent.delete(SECRET, labelled, namespace="default")


@pytest.fixture
def account(real_hub: Hub) -> Iterator[str]:
    metadata = {"name": "builder", "namespace": "default", "annotations": {"team": "shop"}}
    real_hub.admin.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    yield "builder"
    real_hub.admin.delete(SERVICE_ACCOUNT, "builder", namespace="default")


def test_the_agent_puts_references_into_service_accounts_and_takes_them_out(
    agent: Client, account: str
) -> None:
    for names, mark in ((["pullpass-ecr"], "pullpass-ecr"), ([], None)):
        change = {
            "imagePullSecrets": [{"name": name} for name in names],
            "metadata": {"annotations": {"pullpass.dev/image-pull-secret": mark}},
        }
        agent.merge_patch(SERVICE_ACCOUNT, account, change, namespace="default")


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"annotations": {"eks.amazonaws.com/role-arn": "x"}}},
        {"metadata": {"annotations": {"team": None}}},
        {"metadata": {"labels": {"a": "b"}}},
        {"secrets": [{"name": "x"}]},
        {"automountServiceAccountToken": False},
    ],
)
def test_the_agent_changes_nothing_else_of_a_service_account(
    agent: Client, account: str, change: Object
) -> None:
    with pytest.raises(ApiError) as caught:
        agent.merge_patch(SERVICE_ACCOUNT, account, change, namespace="default")
    assert "changes nothing of a service account but imagePullSecrets" in str(caught.value)
