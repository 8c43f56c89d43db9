"""The agent beside node drivers: it sums up what they say, and makes pull secrets only where they are needed."""

from __future__ import annotations

from datetime import UTC, datetime

from kube.objects import NODE
from tests.unit.agent.cell import Cell, eventually


def serving(cell: Cell, **changes: str) -> None:
    """One node, which is not done yet, and an agent that was told of drivers."""
    for node in cell.admin.list(NODE).items:
        cell.admin.delete(NODE, node["metadata"]["name"])
    cell.node("worker-1")
    cell.configure(**{"pull_secrets": "rest", "nodes": "serving", **changes})
    cell.start()


def test_until_nodes_deliver_pull_secrets_do_and_then_they_are_given_back(cell: Cell) -> None:
    serving(cell)
    eventually(lambda: cell.served("default"))
    cell.driver("worker-1")
    eventually(lambda: cell.secret("default") is None and cell.references("default") == [])
    report = cell.reported(lambda report: not report.pull_secrets)
    assert report.nodes is not None
    assert (1, (), 0) == (report.nodes.ready, report.hops, report.namespaces_selected)


def test_a_cluster_without_nodes_is_served_by_pull_secrets(cell: Cell) -> None:
    for node in cell.admin.list(NODE).items:
        cell.admin.delete(NODE, node["metadata"]["name"])
    cell.configure(pull_secrets="rest", nodes="serving")
    cell.start()
    eventually(lambda: cell.served("default"))


def test_a_node_that_cannot_be_changed_keeps_pull_secrets_for_all(cell: Cell) -> None:
    cell.node("worker-2")
    serving(cell)
    cell.node("worker-2")
    cell.driver("worker-1")
    cell.driver("worker-2", "unsupported", reason="Talos")
    report = cell.reported(lambda report: report.nodes is not None and report.nodes.unsupported == 1)
    eventually(lambda: cell.served("default"))
    assert report.nodes is not None
    assert [(node.name, node.reason) for node in report.nodes.not_done] == [("worker-2", "Talos")]


def test_where_nodes_alone_deliver_no_secret_is_made_and_aws_is_not_asked(cell: Cell) -> None:
    serving(cell, pull_secrets="never")
    expires_at = datetime(2027, 1, 1, tzinfo=UTC)
    cell.driver("worker-1", token_expires_at=expires_at)
    report = cell.reported(lambda report: report.nodes is not None and report.nodes.ready == 1)
    assert report.nodes is not None
    assert report.nodes.token_expires_at == expires_at
    assert (cell.secret("default"), dict(cell.world.aws.calls)) == (None, {})


def test_a_removal_ends_when_secrets_and_nodes_are_given_back(cell: Cell) -> None:
    serving(cell)
    cell.driver("worker-1")
    cell.reported(lambda report: report.nodes is not None and report.nodes.ready == 1)
    cell.reconfigure(removing=True, nodes="leaving")
    waiting = cell.reported(lambda report: report.nodes is not None and report.nodes.pending == 1)
    cell.driver("worker-1", "removed")
    cell.reported(lambda report: report.removed)
    assert not waiting.removed


def test_drivers_that_leave_are_waited_for_while_pull_secrets_go_on(cell: Cell) -> None:
    serving(cell)
    cell.driver("worker-1")
    cell.reported(lambda report: report.nodes is not None and report.nodes.ready == 1)
    cell.reconfigure(pull_secrets="always", nodes="leaving")
    eventually(lambda: cell.served("default"))
    cell.driver("worker-1", "removed")
    cell.reported(lambda report: report.nodes is not None and report.nodes.left)
    cell.configure(nodes="none")
    cell.reported(lambda report: report.nodes is None)


def test_a_node_outside_the_selector_is_served_by_pull_secrets(cell: Cell) -> None:
    serving(cell)
    cell.node("worker-1", pool="other")
    cell.driver("worker-1", "removed")
    cell.node("worker-2", pool="apps")
    cell.reconfigure(node_selector={"pool": "apps"})
    cell.driver("worker-2")
    report = cell.reported(lambda report: report.nodes is not None and report.nodes.ready == 1)
    assert report.nodes is not None
    assert report.nodes.desired == 1
    eventually(lambda: cell.served("default"))
