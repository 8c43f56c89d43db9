from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.node import slots
from agent.node.configuration import parse
from agent.node.kubernetes import Object
from agent.node.report import NodeState, Report
from agent.node.slots import Wait, acquire, release
from tests.unit.agent.node.cluster import Cluster, node, pod
from tests.unit.agent.node.conftest import CONFIGURATION

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
SERVER = {"node-role.kubernetes.io/control-plane": ""}


def ask(cluster: Cluster, name: str, plan_hash: str = "new", **changes: Any) -> str:
    """The reason to wait; empty when the node may go."""
    wanted = parse(json.dumps({**CONFIGURATION, **changes}))
    found = cluster.node(name)
    assert found
    wait = acquire(cluster, found, wanted, plan_hash, NOW)
    return wait.reason if wait else ""


def say(  # noqa: PLR0917 - the tests read best so
    cluster: Cluster,
    name: str,
    state: NodeState,
    plan_hash: str = "new",
    generation: int = 1,
    reason: str = "",
) -> None:
    cluster.apply_lease(Report(generation, name, "kubeadm", state, reason, hash=plan_hash).lease("5e1f", NOW))


def holders(cluster: Cluster) -> list[str]:
    return [
        one["spec"]["holderIdentity"]
        for name, one in sorted(cluster.kept.items())
        if name.startswith(slots.PREFIX)
    ]


@pytest.fixture
def cluster() -> Cluster:
    found = Cluster(
        *(node(f"worker-{number}") for number in range(1, 5)),
        node("server-1", labels=SERVER),
        node("server-2", labels=SERVER),
    )
    found.pods = {name: [pod()] for name in found.known}
    return found


def test_one_node_at_a_time(cluster: Cluster) -> None:
    assert ["", "NoSlot"] == [ask(cluster, "worker-1"), ask(cluster, "worker-2")]


def test_the_next_goes_when_the_slot_is_free(cluster: Cluster) -> None:
    ask(cluster, "worker-1")
    release(cluster, "worker-1")
    assert "" == ask(cluster, "worker-2")
    assert ["worker-2"] == holders(cluster)


def test_as_many_as_max_unavailable(cluster: Cluster) -> None:
    found = [ask(cluster, f"worker-{number}", maxUnavailable=2) for number in (1, 2, 3)]
    assert ["", "", "NoSlot"] == found


def test_asking_again_keeps_the_slot(cluster: Cluster) -> None:
    assert ["", ""] == [ask(cluster, "worker-1"), ask(cluster, "worker-1")]
    assert ["worker-1"] == holders(cluster)


def test_time_frees_no_slot(cluster: Cluster) -> None:
    ask(cluster, "worker-1")
    cluster.kept[f"{slots.PREFIX}0"]["spec"]["renewTime"] = "2001-01-01T00:00:00.000000Z"
    assert "NoSlot" == ask(cluster, "worker-2")


@pytest.mark.parametrize("state", ["ready", "rolledBack"])
def test_a_holder_that_is_ready_with_the_new_files_or_has_its_old_ones_needs_it_no_more(
    cluster: Cluster, state: NodeState
) -> None:
    ask(cluster, "worker-1")
    say(cluster, "worker-1", state)
    assert "" == ask(cluster, "worker-2")


def test_a_report_on_older_files_frees_nothing(cluster: Cluster) -> None:
    ask(cluster, "worker-1")
    say(cluster, "worker-1", "ready", plan_hash="old")
    assert "NoSlot" == ask(cluster, "worker-2")


def test_a_report_of_an_older_generation_frees_nothing(cluster: Cluster) -> None:
    say(cluster, "worker-1", "rolledBack", generation=1)
    ask(cluster, "worker-1", generation=2)
    assert "NoSlot" == ask(cluster, "worker-2", generation=2)


def test_a_holder_that_is_not_ready_keeps_it(cluster: Cluster) -> None:
    ask(cluster, "worker-1")
    say(cluster, "worker-1", "ready")
    cluster.known["worker-1"] = node("worker-1", ready=False)
    assert "NoSlot" == ask(cluster, "worker-2")


def test_a_node_that_is_gone_frees_its_slot(cluster: Cluster) -> None:
    ask(cluster, "worker-1")
    del cluster.known["worker-1"]
    assert "" == ask(cluster, "worker-2")


def test_nodes_that_are_not_ready_take_a_place(cluster: Cluster) -> None:
    cluster.known["worker-3"] = node("worker-3", ready=False)
    assert "NoSlot" == ask(cluster, "worker-1")
    assert "" == ask(cluster, "worker-1", maxUnavailable=2)


def test_a_cordoned_node_waits(cluster: Cluster) -> None:
    cluster.known["worker-1"] = node("worker-1", cordoned=True)
    assert "Cordoned" == ask(cluster, "worker-1")


def test_a_node_with_devices_waits_until_it_is_allowed(cluster: Cluster) -> None:
    cluster.pods["worker-1"] = [pod(limits={"nvidia.com/gpu": "1"})]
    assert "DeviceNode" == ask(cluster, "worker-1")
    assert "" == ask(cluster, "worker-1", restartDeviceNodes=True)


@pytest.mark.parametrize(
    "limits", [{"cpu": "1"}, {"hugepages-2Mi": "1Gi"}, {"requests.kubernetes.io/x": "1"}]
)
def test_plain_resources_are_no_devices(cluster: Cluster, limits: dict[str, str]) -> None:
    cluster.pods["worker-1"] = [pod(limits=limits)]
    assert "" == ask(cluster, "worker-1")


def test_a_finished_pod_holds_no_device(cluster: Cluster) -> None:
    cluster.pods["worker-1"] = [pod(limits={"nvidia.com/gpu": "1"}, phase="Succeeded")]
    assert "" == ask(cluster, "worker-1")


@pytest.mark.parametrize("pods", [[], [pod("DaemonSet")], [pod(phase="Succeeded")]])
def test_a_node_without_workload_needs_no_slot(cluster: Cluster, pods: list[Object]) -> None:
    ask(cluster, "worker-1")
    cluster.pods["worker-2"] = pods
    assert "" == ask(cluster, "worker-2")
    assert ["worker-1"] == holders(cluster)


def test_a_static_pod_is_no_workload(cluster: Cluster) -> None:
    static = pod("Node")
    static["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    cluster.pods["worker-2"] = [static]
    ask(cluster, "worker-1")
    assert "" == ask(cluster, "worker-2")


def test_control_planes_come_after_the_workers(cluster: Cluster) -> None:
    assert "WorkersFirst" == ask(cluster, "server-1")
    for number in range(1, 5):
        say(cluster, f"worker-{number}", "ready")
    assert "" == ask(cluster, "server-1")


def test_a_worker_that_waits_for_somebody_does_not_hold_the_control_planes_up(cluster: Cluster) -> None:
    for number in range(1, 4):
        say(cluster, f"worker-{number}", "ready")
    say(cluster, "worker-4", "waiting", reason="DeviceNode")
    assert "" == ask(cluster, "server-1")


def test_a_node_that_has_no_driver_does_not_hold_the_control_planes_up(cluster: Cluster) -> None:
    for number in range(1, 5):
        say(cluster, f"worker-{number}", "ready")
    cluster.known["fargate"] = node("fargate", labels={"eks.amazonaws.com/compute-type": "fargate"})
    assert "" == ask(cluster, "server-1")


def test_one_control_plane_at_a_time_however_many_workers_may(cluster: Cluster) -> None:
    for number in range(1, 5):
        say(cluster, f"worker-{number}", "ready")
    found = [ask(cluster, name, maxUnavailable=3) for name in ("server-1", "server-2")]
    assert ["", "NoSlot"] == found


def test_a_control_plane_needs_a_slot_even_without_workload(cluster: Cluster) -> None:
    for number in range(1, 5):
        say(cluster, f"worker-{number}", "ready")
    cluster.pods["server-1"] = []
    ask(cluster, "server-1")
    assert ["server-1"] == holders(cluster)


class Racing(Cluster):
    """Another driver takes a slot between our count and our taking."""

    def create_lease(self, lease: Object) -> Object | None:
        if lease["metadata"]["name"] == f"{slots.PREFIX}0" and lease["spec"]["holderIdentity"] == "worker-1":
            other = {**lease, "spec": {**lease["spec"], "holderIdentity": "worker-2"}}
            super().create_lease(other)
        return super().create_lease(lease)


def test_of_two_that_count_at_once_one_steps_back() -> None:
    cluster = Racing(*(node(f"worker-{number}") for number in range(1, 4)))
    cluster.pods = {name: [pod()] for name in cluster.known}
    cluster.known["worker-3"] = node("worker-3", ready=False)
    assert "NoSlot" == ask(cluster, "worker-1", maxUnavailable=2)
    assert ["worker-2", ""] == holders(cluster)


def test_releasing_leaves_the_slots_of_others(cluster: Cluster) -> None:
    ask(cluster, "worker-1")
    release(cluster, "worker-2")
    assert ["worker-1"] == holders(cluster)


def test_the_wait_says_who_is_waited_for(cluster: Cluster) -> None:
    ask(cluster, "worker-1")
    found = cluster.node("worker-2")
    assert found
    wait = acquire(cluster, found, parse(json.dumps(CONFIGURATION)), "new", NOW)
    assert Wait("NoSlot", "1 at once may be unavailable, and these are: worker-1") == wait
