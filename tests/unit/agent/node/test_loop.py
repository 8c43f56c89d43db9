from __future__ import annotations

from tests.unit.agent.node.conftest import Site


def test_a_kubeadm_node_becomes_ready_with_one_restart(site: Site) -> None:
    found = site.settle()
    assert ("ready", "", "") == (found.state, found.reason, found.message)
    assert 1 == site.machine.restarts
    assert found.verified is not None
    assert found.verified.ok


def test_a_second_look_changes_nothing(site: Site) -> None:
    site.settle()
    before = site.machine.everything()
    assert "ready" == site.settle().state
    assert before == site.machine.everything()
    assert 1 == site.machine.restarts


def test_removing_leaves_the_node_as_it_was(site: Site) -> None:
    site.machine.put("/etc/default/kubelet", 'KUBELET_EXTRA_ARGS="--node-ip=10.0.0.1"')
    before = site.machine.everything()
    site.settle()
    assert before != site.machine.everything()
    site.configure(removing=True, generation=2)
    assert "removed" == site.settle().state
    assert before == site.machine.everything()
    assert 2 == site.machine.restarts


def test_a_kubelet_that_does_not_come_up_has_its_files_back_and_is_left_alone(site: Site) -> None:
    site.machine.rejects = True
    found = site.settle()
    assert ("rolledBack", "KubeletNotHealthy") == (found.state, found.reason)
    assert "this kubelet will not come up" in found.message
    assert [] == site.machine.refusals()
    restarts = site.machine.restarts
    assert "rolledBack" == site.settle().state
    assert restarts == site.machine.restarts
    site.machine.rejects = False
    site.configure(generation=2)
    assert "ready" == site.settle().state
