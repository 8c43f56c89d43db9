"""Delivery by nodes: what the hub installs for it, how it leaves, and what is left where it cannot."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from agent.node import configuration as driver
from agent.node.report import Report
from fleet import clusters, statuses
from kube.objects import CONFIG_MAP, LEASE
from schemas.agent_documents import CONFIGURATION_KEY, NAMESPACE_NAME
from schemas.node_documents import NODE_NAME, ReportedNode, ReportedNodes, ReportedVerification
from schemas.status import State
from tests.contract.controller.harness import ALICE, BOTH, REGISTRY, Hub

NODE = {"awsECR": {"delivery": "node", "registries": [REGISTRY]}}
AUTO = {"awsECR": {"registries": [REGISTRY]}}
PULL_SECRET = {"awsECR": {"delivery": "pullSecret", "registries": [REGISTRY]}}
OF_DRIVERS = {
    ("ServiceAccount", NODE_NAME),
    ("ConfigMap", NODE_NAME),
    ("ResourceQuota", NODE_NAME),
    ("Role", NODE_NAME),
    ("RoleBinding", NODE_NAME),
    ("ClusterRoleBinding", NODE_NAME),
    ("DaemonSet", NODE_NAME),
}


def names(hub: Hub) -> set[tuple[str, str]]:
    return {(key.kind, key.name) for key in hub.objects()}


def leases(hub: Hub) -> list[str]:
    listed = hub.admin.list(
        LEASE, namespace=NAMESPACE_NAME, label_selector="app.kubernetes.io/component=node"
    )
    return [lease["metadata"]["name"] for lease in listed.items]


def report_of_driver(hub: Hub, node: str = "worker-1") -> None:
    hub.admin.apply(Report(1, node, "kubeadm", "ready").lease(hub.uid, hub.clock.now()))


def driver_configuration(hub: Hub) -> driver.Configuration:
    found = hub.admin.get(CONFIG_MAP, NODE_NAME, namespace=NAMESPACE_NAME)
    return driver.parse(found["data"][CONFIGURATION_KEY])


def by_nodes(hub: Hub, **members: object) -> None:
    """The report of an agent whose nodes all deliver."""
    now = hub.clock.now().replace(microsecond=0)
    nodes = ReportedNodes(
        desired=2, ready=2, token_expires_at=now + timedelta(hours=20), verified=ReportedVerification(now)
    )
    hub.report(
        **{
            "nodes": nodes,
            "pull_secrets": False,
            "registries": (),
            "hops": (),
            "verified_at": None,
            "credentials": (),
            "namespaces_selected": 0,
            "namespaces_ready": 0,
            **members,
        }
    )


@pytest.fixture
def node_hub(hub: Hub) -> Hub:
    """Delivery by nodes, Ready."""
    hub.wish(BOTH, NODE)
    hub.run()
    by_nodes(hub)
    hub.run()
    return hub


def test_drivers_are_installed_and_their_report_makes_it_ready(node_hub: Hub) -> None:
    conditions = {condition.type: condition.status for condition in node_hub.ecr().conditions}
    assert names(node_hub) >= OF_DRIVERS
    assert (node_hub.ecr().state, node_hub.ecr().issues) == (State.READY, ())
    assert conditions == dict.fromkeys(
        ["Reachable", "IssuerUsable", "Installed", "NodesReady", "CredentialsVerified", "Ready"], "True"
    )


def test_the_drivers_are_told_what_the_hub_wants(node_hub: Hub) -> None:
    found = driver_configuration(node_hub)
    assert (found.removing, found.generation) == (False, node_hub.stored().generation)
    assert found.match_images == (REGISTRY,)
    assert found.region == "eu-central-1"


def test_the_fleet_knows_when_the_first_token_on_a_node_runs_out(node_hub: Hub) -> None:
    expected = node_hub.clock.now().replace(microsecond=0) + timedelta(hours=20)
    assert statuses.earliest_node_token_expiry(node_hub.database) == expected


def test_delivery_that_is_given_up_waits_until_nodes_have_given_back(node_hub: Hub) -> None:
    report_of_driver(node_hub)
    node_hub.wish(BOTH, PULL_SECRET)
    node_hub.run()
    asked = driver_configuration(node_hub).removing
    waiting = names(node_hub) >= OF_DRIVERS
    node_hub.report(nodes=ReportedNodes(desired=1, ready=1))
    node_hub.run()
    still_there = names(node_hub) >= OF_DRIVERS
    node_hub.report(nodes=ReportedNodes(desired=1, removed=1, left=True))
    node_hub.run()
    assert (asked, waiting, still_there) == (True, True, True)
    assert not names(node_hub) & OF_DRIVERS
    assert leases(node_hub) == []
    assert node_hub.configuration().nodes == "none"


def test_delivery_that_is_wanted_again_is_never_taken_away(node_hub: Hub) -> None:
    node_hub.wish(BOTH, PULL_SECRET)
    node_hub.run()
    node_hub.wish(BOTH, NODE)
    node_hub.run()
    assert names(node_hub) >= OF_DRIVERS
    assert not driver_configuration(node_hub).removing


def test_a_removal_waits_for_the_nodes_and_leaves_nothing(node_hub: Hub) -> None:
    report_of_driver(node_hub)
    clusters.remove(node_hub.database, ALICE, node_hub.key, now=node_hub.clock.now())
    node_hub.run()
    waiting = names(node_hub) >= OF_DRIVERS, driver_configuration(node_hub).removing
    node_hub.report(nodes=ReportedNodes(desired=1, removed=1, left=True))
    node_hub.settle()
    assert waiting == (True, True)
    assert (node_hub.exists(), node_hub.objects(), leases(node_hub)) == (False, {}, [])


def test_nodes_that_stay_down_are_named_and_then_left_behind(node_hub: Hub) -> None:
    node_hub.wish({"awsWorkloadIdentity": {}}, NODE)
    node_hub.run()
    down = ReportedNodes(desired=1, pending=1, not_done=(ReportedNode("worker-1", "pending", silent=True),))
    node_hub.report(removed=False, nodes=down)
    node_hub.run()
    before = node_hub.codes()
    node_hub.clock.advance(600)
    node_hub.report(removed=False, nodes=down)
    node_hub.run()
    named = [(issue.code, issue.resources) for issue in node_hub.ecr().issues]
    node_hub.report(removed=True, nodes=ReportedNodes(desired=1, not_done=down.not_done, left=True))
    node_hub.run()
    assert before == []
    assert named == [("NodesNotCleaned", ("Node/worker-1",))]
    assert "awsECR" not in node_hub.status().add_ons
    assert "NodesNotCleaned" in node_hub.reasons()


@pytest.mark.parametrize("after", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("number", range(3, 60, 4))
def test_a_removal_cut_short_leaves_nothing(node_hub: Hub, number: int, after: bool) -> None:
    report_of_driver(node_hub)
    clusters.remove(node_hub.database, ALICE, node_hub.key, now=node_hub.clock.now())
    node_hub.wire.sent.clear()
    node_hub.wire.break_at, node_hub.wire.break_after = number, after
    node_hub.run()
    node_hub.report(nodes=ReportedNodes(desired=1, removed=1, left=True), removed=True, generation=99)
    node_hub.run()
    node_hub.wire.break_at = None
    node_hub.restart()
    if node_hub.exists():
        node_hub.settle()
    assert (node_hub.exists(), node_hub.objects(), leases(node_hub)) == (False, {}, [])


def test_auto_says_which_nodes_pull_secrets_serve(hub: Hub) -> None:
    hub.wish(BOTH, AUTO)
    hub.run()
    stuck = ReportedNode("talos-1", "unsupported", "Talos", "no systemd", "talos")
    nodes = ReportedNodes(desired=3, ready=2, unsupported=1, not_done=(stuck,))
    hub.report(nodes=nodes, pull_secrets=True)
    hub.run()
    details = hub.ecr().details
    assert hub.ecr().state is State.READY
    assert hub.codes() == ["NodeUnsupported"]
    assert details["delivery"] == "mixed"
    assert "talos-1 (unsupported: Talos); pull secrets serve the rest" in details["deliveryReason"]
    assert details["nodes"]["unsupported"] == 1


def test_nodes_alone_that_cannot_be_changed_make_it_degraded(hub: Hub) -> None:
    hub.wish(BOTH, NODE)
    hub.run()
    stuck = ReportedNode("talos-1", "unsupported", "Talos", "no systemd", "talos")
    by_nodes(hub, nodes=ReportedNodes(desired=3, ready=2, unsupported=1, not_done=(stuck,)))
    hub.run()
    assert (hub.ecr().state, hub.codes()) == (State.DEGRADED, ["NodeUnsupported"])


def test_what_the_plugin_is_told_by_aws_is_shown(node_hub: Hub) -> None:
    failed = ReportedVerification(None, 1, "worker-1", "TrustPolicyMismatch", "Not authorized")
    by_nodes(node_hub, nodes=ReportedNodes(desired=2, ready=2, verified=failed))
    node_hub.run()
    [issue] = node_hub.ecr().issues
    assert (issue.code, issue.resources) == ("TrustPolicyMismatch", ("Node/worker-1",))
    assert "pullpass-system:pullpass-node" in issue.message


def test_on_aws_without_a_role_nodes_use_that_of_their_instances(hub: Hub) -> None:
    aws = {
        "region": "eu-west-1",
        "deployRoleArn": "arn:aws:iam::210987654321:role/deploy",
        "vpcId": "vpc-1",
        "image": {"recommended": "amazon/al2023"},
        "nodePools": [],
    }
    hub.wish({"awsWorkloadIdentity": {}, "awsECR": {}}, {}, provider={"aws": aws})
    hub.run()
    by_nodes(hub, nodes=ReportedNodes(desired=2, ready=2, existing=1))
    hub.run()
    assert (hub.ecr().state, driver_configuration(hub).role_arn) == (State.READY, None)
    assert hub.configuration().pull_secrets == "never"
    assert "the role of their instances" in hub.ecr().details["deliveryReason"]
    assert "1 by an ECR provider that was there before" in hub.ecr().details["deliveryReason"]


def test_identity_service_account_lets_kubelets_ask_for_the_audience(hub: Hub) -> None:
    settings = {"awsECR": {"identity": "serviceAccount", "serviceAccounts": ["shop/web"]}}
    hub.wish(BOTH, settings)
    hub.run()
    found = {key.name: obj for key, obj in hub.objects().items() if key.kind == "ClusterRoleBinding"}
    assert found["pullpass-node-audience"]["subjects"] == [
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}
    ]
    assert driver_configuration(hub).identity == "serviceAccount"


def test_another_audience_waits_for_the_admin_who_allows_it(hub: Hub) -> None:
    settings = {
        "awsECR": {"identity": "serviceAccount", "serviceAccounts": ["shop/web"]},
        "awsWorkloadIdentity": {"audience": "other"},
    }
    hub.wish(BOTH, settings)
    hub.run()
    [issue] = hub.ecr().issues
    assert (hub.ecr().state, issue.code) == (State.BLOCKED, "RightsMissing")
    assert "kubectl patch clusterrole pullpass-node-audience" in issue.message
    patch = json.loads(issue.message.partition("-p '")[2].rpartition("'")[0])
    assert patch[0]["value"] == "other"
