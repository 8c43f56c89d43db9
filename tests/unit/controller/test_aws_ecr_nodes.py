"""awsECR by nodes: what keeps it from being installed, and what the drivers' sum makes of its status."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.addons import aws_ecr
from controller.addons.addon import Server
from controller.addons.agent_objects import DEPLOYMENT_KEY, REPORT_KEY
from controller.addons.node_objects import DAEMON_SET_KEY
from kube.objects import Object, ObjectKey
from schemas.agent_documents import REPORT_KEY as MEMBER
from schemas.agent_documents import AgentReport, dump_report
from schemas.node_documents import ReportedNode, ReportedNodes, ReportedVerification
from schemas.status import State
from tests.unit.controller.samples import AWS, NOW, context

UP: Object = {
    "status": {
        "conditions": [{"type": "Available", "status": "True", "lastTransitionTime": "2026-11-22T05:00:00Z"}]
    }
}
NODE = {"awsECR": {"delivery": "node"}}
AUTO: dict[str, Any] = {}
WORKLOADS = {"awsECR": {"identity": "serviceAccount", "serviceAccounts": ["shop/web"]}}
NO_ROLE: dict[str, Any] = {"awsWorkloadIdentity": {}, "awsECR": {}}
NEW = Server((1, 34), "v1.34.4", frozenset({"sts.amazonaws.com"}))
LONG_AGO = NOW - timedelta(hours=3)


def evidence(nodes: ReportedNodes | None, **members: Any) -> dict[ObjectKey, Object]:
    told: dict[str, Any] = {"pull_secrets": False, "nodes": nodes, **members}
    report = AgentReport(3, "0.1.0", NOW, **told)
    return {
        DEPLOYMENT_KEY: UP,
        DAEMON_SET_KEY: {"metadata": {}},
        REPORT_KEY: {"data": {MEMBER: dump_report(report)}},
    }


def codes(**changes: Any) -> list[str]:
    return [issue.code for issue in aws_ecr.obstacles(context(**changes))]


@pytest.mark.parametrize(
    ("settings", "provider", "expected"),
    [
        (NODE, None, ["RoleArnMissing"]),
        (NODE, AWS, []),
        (AUTO, AWS, []),
        ({"awsECR": {"delivery": "pullSecret"}}, AWS, ["RoleArnMissing"]),
    ],
)
def test_a_role_is_missing_where_no_instance_has_one(
    settings: dict[str, Any], provider: dict[str, Any] | None, expected: list[str]
) -> None:
    assert codes(add_ons=NO_ROLE, settings=settings, provider=provider, server=NEW) == expected


def test_an_issuer_that_blocks_does_not_concern_the_role_of_instances() -> None:
    blocked = replace(context().identity, blocks=True, issues=(context().issue("IssuerNotSwitched"),))
    assert codes(add_ons=NO_ROLE, settings=NODE, provider=AWS, identity=blocked) == []
    assert codes(settings=NODE, identity=blocked) == ["IssuerNotSwitched"]


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (NEW, []),
        (Server((1, 33), "v1.33.9", NEW.token_audiences), ["KubernetesTooOldForServiceAccounts"]),
        (replace(NEW, token_audiences=frozenset()), ["RightsMissing"]),
        (replace(NEW, token_audiences=frozenset({"*"})), []),
    ],
)
def test_service_accounts_need_a_kubelet_that_hands_over_their_tokens(
    server: Server, expected: list[str]
) -> None:
    assert codes(settings=WORKLOADS, server=server) == expected


def test_the_version_that_is_too_old_is_named() -> None:
    [issue] = aws_ecr.obstacles(context(settings=WORKLOADS, server=Server((1, 33), "v1.33.9")))
    assert "v1.33.9" in issue.message


@pytest.mark.parametrize(
    ("nodes", "since", "expected"),
    [
        (None, NOW, State.INSTALLING),
        (ReportedNodes(desired=2, pending=2), NOW, State.INSTALLING),
        (ReportedNodes(desired=2, ready=1, waiting=1), NOW, State.INSTALLING),
        (ReportedNodes(desired=2, ready=1, pending=1), LONG_AGO, State.READY),
        (ReportedNodes(desired=2, ready=1, waiting=1, late=1), LONG_AGO, State.DEGRADED),
        (ReportedNodes(desired=2, waiting=2, late=2), LONG_AGO, State.FAILED),
        (ReportedNodes(desired=2, ready=2), NOW, State.READY),
    ],
    ids=[
        "no driver has reported",
        "none is ready",
        "they take turns after a change",
        "one has just joined",
        "one does not get on",
        "none gets on",
        "all are ready",
    ],
)
def test_the_state_follows_the_nodes(nodes: ReportedNodes | None, since: Any, expected: State) -> None:
    assert aws_ecr.observe(context(settings=NODE, since=since), evidence(nodes)).state is expected


@pytest.mark.parametrize(
    ("state", "reason", "code"),
    [
        ("unsupported", "Talos", "NodeUnsupported"),
        ("refused", "ConfigurationWrong", "NodeRefused"),
        ("refused", "PluginCannotRun", "PluginFailed"),
        ("rolledBack", "KubeletNotHealthy", "NodeRolledBack"),
        ("failed", "HostRefused", "NodeFailed"),
        ("waiting", "DeviceNode", "NodeWaiting"),
    ],
)
def test_a_node_in_trouble_is_an_issue_of_its_kind(state: str, reason: str, code: str) -> None:
    node = ReportedNode("worker-1", state, reason, "the driver's words", "k3s")
    status = aws_ecr.observe(
        context(settings=NODE), evidence(ReportedNodes(desired=2, ready=1, not_done=(node,)))
    )
    [issue] = status.issues
    assert (status.state, issue.code, issue.resources) == (State.DEGRADED, code, ("Node/worker-1",))
    assert "the driver's words" in issue.message
    assert "${" not in issue.remedy


@pytest.mark.parametrize(
    ("pull_secrets", "late", "told"), [(False, 2, True), (False, 0, False), (True, 2, False)]
)
def test_nodes_that_no_driver_answers_for_are_an_issue_where_nothing_else_serves(
    pull_secrets: bool, late: int, told: bool
) -> None:
    silent = ReportedNode("worker-1", "pending", "", "no driver has reported", "")
    nodes = ReportedNodes(desired=2, pending=2, late=late, not_done=(silent,))
    found = evidence(nodes, pull_secrets=pull_secrets)
    status = aws_ecr.observe(context(settings=NODE, since=LONG_AGO), found)
    messages = [issue.message for issue in status.issues if issue.code == "NodesLate"]
    assert told == bool(messages)
    assert all("worker-1 for one: no driver has reported" in message for message in messages)


def test_a_node_that_takes_its_turn_is_no_issue() -> None:
    node = ReportedNode("worker-1", "waiting", "NoSlot", "another restarts")
    status = aws_ecr.observe(
        context(settings=NODE), evidence(ReportedNodes(desired=2, ready=1, not_done=(node,)))
    )
    assert status.issues == ()


def test_a_plugin_without_credentials_is_worse_than_nodes_that_are_not_done() -> None:
    proof = ReportedVerification(NOW, 1, "worker-1", "EcrAccessDenied", "AccessDenied")
    nodes = ReportedNodes(desired=2, ready=2, verified=proof)
    status = aws_ecr.observe(context(settings=NODE), evidence(nodes))
    verified = next(each for each in status.conditions if each.type == "CredentialsVerified")
    assert (status.state, verified.status, verified.reason) == (State.DEGRADED, "False", "EcrAccessDenied")


@pytest.mark.parametrize(
    ("changes", "code", "program"),
    [
        ({"provider": AWS, "add_ons": NO_ROLE}, "NodeRoleMayNotPull", "aws attach-node-role demo"),
        ({"provider": AWS}, "EcrAccessDenied", "aws setup demo"),
    ],
    ids=["the role of the instances", "the cluster's own role"],
)
def test_the_role_that_may_not_pull_is_mended_by_its_own_command(
    changes: dict[str, Any], code: str, program: str
) -> None:
    proof = ReportedVerification(NOW, 1, "worker-1", "EcrAccessDenied", "AccessDenied")
    nodes = ReportedNodes(desired=1, ready=1, verified=proof)
    [issue] = aws_ecr.observe(context(settings=NODE, **changes), evidence(nodes)).issues
    assert (code, True) == (issue.code, program in issue.remedy)
    assert "${ROLE" not in issue.message + issue.remedy


def test_a_code_that_this_hub_does_not_know_is_the_plugins() -> None:
    proof = ReportedVerification(None, 1, "worker-1", "Novel", "what")
    status = aws_ecr.observe(
        context(settings=NODE), evidence(ReportedNodes(desired=1, ready=1, verified=proof))
    )
    assert [issue.code for issue in status.issues] == ["PluginFailed"]


def test_the_token_that_runs_out_first_is_shown() -> None:
    nodes = ReportedNodes(desired=1, ready=1, token_expires_at=NOW)
    details = aws_ecr.observe(context(settings=NODE), evidence(nodes)).details
    assert details["nodes"]["tokenExpiresAt"] == "2026-11-22T06:00:00Z"


def test_drivers_stay_until_they_have_given_back() -> None:
    wanted = context(settings={"awsECR": {"delivery": "pullSecret"}})
    assert aws_ecr.stage(wanted, evidence(ReportedNodes(desired=1, ready=1))) == "leaving"
    assert aws_ecr.stage(wanted, evidence(None)) == "leaving"
    assert aws_ecr.stage(wanted, evidence(ReportedNodes(desired=1, removed=1, left=True))) == ""
    assert aws_ecr.stage(wanted, {}) == ""


def test_the_word_that_drivers_have_left_must_be_of_this_generation() -> None:
    wanted = context(settings={"awsECR": {"delivery": "pullSecret"}}, generation=4)
    assert aws_ecr.stage(wanted, evidence(ReportedNodes(left=True))) == "leaving"


def test_with_identity_service_account_there_are_never_pull_secrets() -> None:
    status = aws_ecr.observe(context(settings=WORKLOADS, server=NEW), evidence(ReportedNodes(desired=1)))
    assert "no pull secrets" in status.details["deliveryReason"]
