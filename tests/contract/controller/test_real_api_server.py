"""The hub on a real API server: what its RBAC and its admission make of our rights, and nothing less."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from controller.agent_rights import SECRETS_ROLE
from fleet import clusters
from kube.errors import ApiError
from kube.objects import DEPLOYMENT, MUTATING_WEBHOOK, SERVICE_ACCOUNT
from schemas.agent_documents import AGENT_ACCOUNT, NAMESPACE_NAME, WEBHOOK_NAME
from schemas.status import State
from tests.contract.controller.harness import ALICE, AUTHORITY, BOTH, SETTINGS, Hub, settled
from tests.support.kubernetes import RealCluster


@pytest.fixture
def real_hub(real_cluster: RealCluster, new_hub: Callable[..., Hub]) -> Iterator[Hub]:
    with settled(new_hub(cluster=real_cluster)) as hub:
        yield hub


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
        "services",
        "deployments",
        "poddisruptionbudgets",
        "roles",
        "rolebindings",
        "clusterrolebindings",
        "clusterrolebindings",
        "mutatingwebhookconfigurations",
    ]


def test_it_renews_its_own_token(real_hub: Hub) -> None:
    real_hub.clock.advance(1300)
    real_hub.run()
    assert "ConnectionRenewed" in real_hub.reasons()


def test_a_removed_cluster_is_given_back(real_hub: Hub) -> None:
    clusters.remove(real_hub.database, ALICE, real_hub.key, now=real_hub.clock.now())
    real_hub.settle()
    assert (real_hub.exists(), real_hub.objects()) == (False, {})


def test_every_webhook_is_one_that_the_api_server_takes(real_hub: Hub) -> None:
    pull_secret = {
        "namespaces": ["shop"],
        "namespaceSelector": {"a": "b"},
        "appendToPods": True,
        "labelled": {"failurePolicy": "Fail"},
    }
    real_hub.wish(BOTH, {"awsECR": {**SETTINGS["awsECR"], "pullSecret": pull_secret}})
    real_hub.settle()
    found = real_hub.admin.get(MUTATING_WEBHOOK, WEBHOOK_NAME)["webhooks"]
    assert [webhook["failurePolicy"] for webhook in found] == ["Fail", "Ignore"]
    assert all(webhook["clientConfig"]["caBundle"] == AUTHORITY for webhook in found)


def test_the_hub_binds_no_other_role(real_hub: Hub) -> None:
    memory = real_hub.reconciler._memories.get(real_hub.uid)
    client = None if memory is None else memory.client
    assert client is not None
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": SECRETS_ROLE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    }
    with pytest.raises(ApiError):
        client.apply(binding)
