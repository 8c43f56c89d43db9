from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agent.node import configuration as driver
from schemas.addons.aws_ecr import NodeDelivery
from schemas.agent_documents import (
    AgentConfiguration,
    AgentReport,
    dump_report,
    load_configuration,
    load_report,
)
from schemas.connection import AwsAccess
from schemas.node_documents import (
    NodeConfiguration,
    ReportedNode,
    ReportedNodes,
    ReportedVerification,
    dump_node_configuration,
)
from schemas.stored import canonical_text

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
CONFIGURATION = NodeConfiguration(
    generation=7,
    cluster_uid="0190",
    organisation="acme",
    cluster="demo",
    removing=False,
    role_arn="arn:aws:iam::123456789012:role/pull",
    identity="shared",
    audience="sts.amazonaws.com",
    region="eu-central-1",
    match_images=("*.dkr.ecr.*.amazonaws.com",),
    verify_image="123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:1",
    node=NodeDelivery(max_unavailable=3, selector={"pool": "apps"}, restart_device_nodes=True),
    aws=AwsAccess(sts_endpoint="https://sts.example.com", no_proxy="10.0.0.0/8"),
)
NODES = ReportedNodes(
    desired=9,
    ready=1,
    existing=1,
    restarting=1,
    waiting=1,
    rolled_back=1,
    unsupported=1,
    refused=1,
    failed=1,
    pending=2,
    removed=3,
    late=4,
    not_done=(ReportedNode("a", "refused", "ConfigWrong", "line 3", "k3s", silent=True),),
    token_expires_at=NOW,
    verified=ReportedVerification(NOW, 1, "a", "EcrAccessDenied", "no"),
    left=True,
)


def test_a_driver_reads_what_the_hub_writes() -> None:
    assert driver.parse(dump_node_configuration(CONFIGURATION)) == driver.Configuration(
        generation=7,
        cluster=driver.Cluster("0190", "acme", "demo"),
        removing=False,
        selector={"pool": "apps"},
        role_arn="arn:aws:iam::123456789012:role/pull",
        identity="shared",
        audience="sts.amazonaws.com",
        region="eu-central-1",
        match_images=("*.dkr.ecr.*.amazonaws.com",),
        max_unavailable=3,
        restart_device_nodes=True,
        verify_image="123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:1",
        aws=driver.AwsEndpoints(sts_endpoint="https://sts.example.com", no_proxy="10.0.0.0/8"),
    )


@pytest.mark.parametrize("identity", driver.IDENTITIES)
def test_a_driver_reads_a_configuration_without_what_is_optional(identity: str) -> None:
    bare = replace(
        CONFIGURATION,
        role_arn=None,
        region=None,
        verify_image=None,
        aws=AwsAccess(),
        node=NodeDelivery(),
        identity=identity,
    )
    assert driver.parse(dump_node_configuration(bare)).identity == identity


def test_the_sum_over_nodes_comes_back_as_it_was() -> None:
    report = AgentReport(3, "0.1.0", NOW, pull_secrets=False, nodes=NODES)
    assert load_report(dump_report(report)) == report


def test_a_report_of_an_older_agent_knows_no_nodes_and_makes_pull_secrets() -> None:
    text = canonical_text(
        {"version": 1, "generation": 3, "agentVersion": "0.1.0", "writtenAt": "2026-11-22T06:00:00Z"}
    )
    found = load_report(text)
    assert (found.pull_secrets, found.nodes) == (True, None)


def test_a_configuration_of_an_older_hub_always_wants_pull_secrets() -> None:
    text = canonical_text(
        {
            "version": 1,
            "generation": 3,
            "clusterUid": "0190",
            "organisation": "acme",
            "cluster": "demo",
            "removing": False,
            "roleArn": "arn:aws:iam::123456789012:role/pull",
            "audience": "sts.amazonaws.com",
            "region": None,
            "pullSecret": {"serviceAccounts": "all"},
        }
    )
    found: AgentConfiguration = load_configuration(text)
    assert (found.pull_secrets, found.nodes, found.node_selector) == ("always", "none", {})


def test_only_so_many_nodes_are_read_from_a_report() -> None:
    many = replace(NODES, not_done=tuple(ReportedNode(str(number), "waiting") for number in range(50)))
    found = load_report(dump_report(AgentReport(3, "0.1.0", NOW, nodes=many)))
    assert found.nodes is not None
    assert len(found.nodes.not_done) == 20
