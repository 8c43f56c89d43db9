from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agent.node.plugin import Verification
from agent.node.report import Report
from agent.nodes.leases import NodeReport, NodeVerification, read
from kube.objects import Object

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


def test_what_a_driver_writes_is_read_whole() -> None:
    verified = Verification(NOW, ok=False, code="EcrAccessDenied", message="no")
    told = Report(4, "worker-1", "k3s", "waiting", "NoSlot", "others", "abc", NOW, verified)
    assert read(told.lease("0190", NOW)) == NodeReport(
        node="worker-1",
        generation=4,
        state="waiting",
        reason="NoSlot",
        message="others",
        distribution="k3s",
        written_at=NOW,
        token_expires_at=NOW,
        verified=NodeVerification(NOW, succeeded=False, code="EcrAccessDenied", message="no"),
    )


def test_a_report_says_of_its_own_node_only() -> None:
    lease = Report(4, "worker-1", "k3s", "ready").lease("0190", NOW)
    lease["metadata"]["name"] = "pullpass-node-worker-2"
    found = read(lease)
    assert found is not None
    assert found.node == "worker-2"


@pytest.mark.parametrize(
    "metadata",
    [
        {"name": "pullpass-restart-slot-0", "annotations": {"pullpass.dev/report": "{}"}},
        {"name": "pullpass-node-a"},
        {"name": "pullpass-node-a", "annotations": {"pullpass.dev/report": "no JSON"}},
        {"name": "pullpass-node-a", "annotations": {"pullpass.dev/report": '{"version": 2}'}},
        {"name": "pullpass-node-a", "annotations": {"pullpass.dev/report": '{"version": 1}'}},
    ],
    ids=["a slot's", "no report", "no JSON", "another version", "members missing"],
)
def test_what_is_no_report_is_none(metadata: Object) -> None:
    assert read({"metadata": metadata}) is None
