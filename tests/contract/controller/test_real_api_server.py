"""The same on a real API server: what its RBAC and its admission make of our rights, and nothing less."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from controller import rights
from controller.agent_rights import SECRETS_ROLE
from fleet import clusters
from kube.client import Client
from kube.errors import ApiError, Forbidden
from kube.objects import CONFIG_MAP, DEPLOYMENT, NAMESPACE, SECRET, SERVICE_ACCOUNT, Object, kind_of
from schemas.agent_documents import AGENT_ACCOUNT, NAMESPACE_NAME, REPORT_NAME, SECRET_NAME, labels
from schemas.status import State
from tests.contract.controller.harness import ALICE, BOTH, Hub
from tests.support.kubernetes import RealCluster

OURS = {"app.kubernetes.io/managed-by": "pullpass"}
DOCKER_CONFIG = "kubernetes.io/dockerconfigjson"


@pytest.fixture
def real_hub(real_cluster: RealCluster, new_hub: Callable[..., Hub]) -> Iterator[Hub]:
    hub = new_hub(cluster=real_cluster)
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


@pytest.fixture
def agent(real_hub: Hub, real_cluster: RealCluster) -> Iterator[Client]:
    """Whoever holds the token of the agent's account."""
    issued = real_hub.admin.request_token(NAMESPACE_NAME, AGENT_ACCOUNT, audiences=(), expiration_seconds=600)
    client = Client(real_cluster.access(issued.token), field_manager="pullpass-agent")
    pause = threading.Event()
    for _ in range(100):  # an admission policy comes into force a moment after it was stored
        try:
            client.apply(secret(kind="Opaque"), dry_run=True)
        except ApiError:
            break
        pause.wait(0.1)
    yield client
    client.close()


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


def test_it_becomes_ready_with_no_more_rights_than_written_down(real_hub: Hub) -> None:
    assert real_hub.ecr().state is State.READY


def test_drift_is_repaired(real_hub: Hub) -> None:
    real_hub.admin.delete(DEPLOYMENT, AGENT_ACCOUNT, namespace=NAMESPACE_NAME)
    real_hub.admin.merge_patch(
        SERVICE_ACCOUNT, AGENT_ACCOUNT, {"automountServiceAccountToken": True}, namespace=NAMESPACE_NAME
    )
    real_hub.run()
    account = real_hub.admin.get(SERVICE_ACCOUNT, AGENT_ACCOUNT, namespace=NAMESPACE_NAME)
    assert account["automountServiceAccountToken"] is False
    assert real_hub.admin.get(DEPLOYMENT, AGENT_ACCOUNT, namespace=NAMESPACE_NAME)


def test_an_unchanged_cluster_settles_to_one_list_per_kind(real_hub: Hub) -> None:
    for _ in range(5):  # the controller manager moves the Deployment's status for a while
        real_hub.wire.sent.clear()
        real_hub.run()
    assert [line.split("?")[0].rpartition("/")[2] for line in real_hub.wire.sent] == [
        "configmaps",
        "serviceaccounts",
        "deployments",
        "roles",
        "rolebindings",
        "clusterrolebindings",
    ]


def test_it_renews_its_own_token(real_hub: Hub) -> None:
    real_hub.clock.advance(1300)
    real_hub.run()
    assert "ConnectionRenewed" in real_hub.reasons()


def test_a_removed_cluster_is_given_back(real_hub: Hub) -> None:
    clusters.remove(real_hub.database, ALICE, real_hub.key, now=real_hub.clock.now())
    real_hub.settle()
    assert (real_hub.exists(), real_hub.objects()) == (False, {})


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


def test_the_hub_binds_no_other_role(real_hub: Hub) -> None:
    client = real_hub.reconciler._memories[real_hub.uid].client
    assert client is not None
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": SECRETS_ROLE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    }
    with pytest.raises(ApiError):
        client.apply(binding)
