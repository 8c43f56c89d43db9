from __future__ import annotations

from fleet import clusters
from kube.objects import CLUSTER_ROLE, NAMESPACE, SERVICE_ACCOUNT, kind_of
from reconcile.outcome import Retryable
from sandbox.world import SandboxCluster
from schemas.agent_documents import HUB_ACCOUNT, NAMESPACE_NAME
from schemas.status import State
from tests.contract.controller.harness import ALICE, BOTH, Hub, everything


def remove(hub: Hub) -> None:
    clusters.remove(hub.database, ALICE, hub.key, now=hub.clock.now())


def test_a_removed_cluster_is_given_back_and_forgotten(ready_hub: Hub) -> None:
    remove(ready_hub)
    ready_hub.run()
    during = ready_hub.ecr().state, ready_hub.configuration().removing
    ready_hub.settle()
    assert during == (State.REMOVING, True)
    assert (ready_hub.exists(), ready_hub.objects()) == (False, {})


def test_every_add_on_is_removing_until_the_cluster_is_gone(ready_hub: Hub) -> None:
    url = ready_hub.status().oidc_provider_url
    remove(ready_hub)
    ready_hub.run()
    status = ready_hub.status()
    assert {key: each.state for key, each in status.add_ons.items()} == dict.fromkeys(BOTH, State.REMOVING)
    assert status.oidc_provider_url == url


def test_what_connect_installed_stays_for_the_admin(ready_hub: Hub) -> None:
    remove(ready_hub)
    ready_hub.settle()
    assert ready_hub.admin.get(CLUSTER_ROLE, HUB_ACCOUNT)["metadata"]["name"] == HUB_ACCOUNT
    assert ready_hub.admin.get(SERVICE_ACCOUNT, HUB_ACCOUNT, namespace=NAMESPACE_NAME)
    assert ready_hub.admin.get(NAMESPACE, NAMESPACE_NAME)


def test_the_ownership_object_goes_last(ready_hub: Hub) -> None:
    remove(ready_hub)
    ready_hub.settle()
    deleted = [line for line in ready_hub.wire.sent if line.startswith("DELETE")]
    assert [line.rpartition("/")[2] for line in deleted[-2:]] == ["pullpass-status", "pullpass-owner"]


def test_the_agent_loses_its_rights_before_its_report_is_deleted(ready_hub: Hub) -> None:
    remove(ready_hub)
    ready_hub.settle()
    deleted = [line.split("/")[-2] for line in ready_hub.wire.sent if line.startswith("DELETE")]
    assert deleted == [
        "mutatingwebhookconfigurations",  # of awsWorkloadIdentity, which has nothing to give back
        "configmaps",
        "deployments",
        "poddisruptionbudgets",
        "services",
        "rolebindings",
        "rolebindings",
        "clusterrolebindings",
        "clusterrolebindings",
        "roles",
        "configmaps",
        "secrets",
        "secrets",
        "leases",
        "serviceaccounts",
        "configmaps",
        "configmaps",
    ]


def test_a_removal_waits_for_the_agent(ready_hub: Hub) -> None:
    remove(ready_hub)
    ready_hub.run()
    before = set(ready_hub.objects())
    for _ in range(5):
        ready_hub.run()
    assert set(ready_hub.objects()) == before


def test_a_removal_says_that_the_cluster_is_unreachable_and_goes_on_when_it_is_back(
    ready_hub: Hub, cluster: SandboxCluster
) -> None:
    remove(ready_hub)
    cluster.take_down()
    ready_hub.run()
    run = ready_hub.run()
    assert isinstance(run.outcome, Retryable)
    assert (ready_hub.ecr().state, ready_hub.codes()) == (State.REMOVING, ["ClusterUnreachable"])
    cluster.bring_up()
    ready_hub.settle()
    assert not ready_hub.exists()


def test_a_cancelled_removal_converges_back(ready_hub: Hub) -> None:
    remove(ready_hub)
    ready_hub.run()
    ready_hub.wish(BOTH)
    ready_hub.settle()
    assert (ready_hub.ecr().state, ready_hub.configuration().removing) == (State.READY, False)


def test_a_cluster_that_another_hub_took_over_is_forgotten_untouched(ready_hub: Hub) -> None:
    for key, obj in ready_hub.objects().items():
        ready_hub.admin.merge_patch(
            kind_of(obj),
            key.name,
            {"metadata": {"labels": {"pullpass.dev/cluster": "other"}}},
            namespace=key.namespace or None,
        )
    before = everything(ready_hub.admin)
    remove(ready_hub)
    ready_hub.settle()
    assert (ready_hub.exists(), everything(ready_hub.admin)) == (False, before)
