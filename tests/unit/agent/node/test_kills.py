"""The driver is killed ahead of every single change it makes to the node: the node always works, and a new driver ends
where the old one was going."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.node import provider_config, watcher
from tests.unit.agent.node.cluster import Cluster, node, pod
from tests.unit.agent.node.conftest import CONFIGURATION, Site
from tests.unit.agent.node.machine import kubeadm

FOREIGN = 'KUBELET_EXTRA_ARGS="--node-ip=10.0.0.1"\n'


class Killed(BaseException):
    """As SIGKILL: nothing of the driver runs any more."""


def make(folder: Path) -> Site:
    (folder / "host").mkdir(parents=True)
    machine = kubeadm(folder / "host")
    machine.put("/etc/default/kubelet", FOREIGN)
    cluster = Cluster(node("worker-1"), node("worker-2"))
    cluster.pods["worker-1"] = [pod()]
    return Site(folder / "pod", machine, cluster)


def kill_at(site: Site, number: int) -> bool:
    """Runs until the change of that number, and is killed ahead of it; False when there were fewer."""
    left = number

    def count(what: str) -> None:
        nonlocal left
        if not (
            what.startswith("run") and not what.startswith(("run systemctl start", "run systemctl enable"))
        ):
            left -= 1
        if left < 0:
            raise Killed

    site.machine.host.before_change = count
    try:
        site.settle(driver=site.new_driver())
    except Killed:
        return True
    finally:
        site.machine.host.before_change = lambda _what: None
    return False


def reboot(site: Site) -> None:
    """The kubelet starts with what is on disk, and the enabled units run."""
    site.machine.running = site.machine.arguments()
    if site.machine.host.kind(watcher.LINK) and site.machine.host.kind(watcher.SCRIPT):
        site.machine.watch()


def every_kill(tmp_path: Path, prepare: Callable[[Site], None]) -> list[Site]:
    sites: list[Site] = []
    for number in range(200):
        site = make(tmp_path / str(number))
        prepare(site)
        if not kill_at(site, number):
            break
        sites.append(site)
    assert 8 < len(sites) < 199
    return sites


def installed(site: Site) -> None:
    site.settle()
    site.configure(removing=True, generation=2)


def changed(site: Site) -> None:
    site.settle()
    site.configure(region="eu-west-1", generation=2)


def doomed(site: Site) -> None:
    site.machine.rejects = True


def nothing(site: Site) -> None:
    del site


@pytest.mark.parametrize("prepare", [nothing, changed, installed])
def test_a_killed_driver_leaves_a_node_whose_kubelet_starts(
    tmp_path: Path, prepare: Callable[[Site], None]
) -> None:
    assert [] == [one for site in every_kill(tmp_path, prepare) for one in site.machine.refusals()]


@pytest.mark.parametrize("prepare", [nothing, changed, installed])
def test_a_new_driver_ends_where_the_killed_one_was_going(
    tmp_path: Path, prepare: Callable[[Site], None]
) -> None:
    for site in every_kill(tmp_path, prepare):
        state = "removed" if site.wanted["removing"] else "ready"
        assert state == site.settle(driver=site.new_driver()).state
        assert site.machine.arguments() == site.machine.running
        assert site.machine.host.kind(watcher.UNIT) is None


@pytest.mark.parametrize("prepare", [nothing, changed, installed, doomed])
def test_a_reboot_after_a_kill_brings_a_kubelet_that_works(
    tmp_path: Path, prepare: Callable[[Site], None]
) -> None:
    for site in every_kill(tmp_path, prepare):
        reboot(site)
        assert [] == site.machine.refusals()


def test_a_new_driver_gives_back_what_a_killed_one_had_changed_for_a_kubelet_that_will_not_come_up(
    tmp_path: Path,
) -> None:
    for site in every_kill(tmp_path, doomed):
        assert "rolledBack" == site.settle(driver=site.new_driver()).state
        assert [] == site.machine.refusals()
        assert FOREIGN == site.machine.text("/etc/default/kubelet")


def test_a_driver_killed_while_removing_leaves_nothing_when_another_ends_it(tmp_path: Path) -> None:
    clean = make(tmp_path / "clean").machine.everything()
    for site in every_kill(tmp_path, installed):
        site.settle(driver=site.new_driver())
        assert clean == site.machine.everything()


def test_removing_after_a_kill_while_installing_leaves_nothing(tmp_path: Path) -> None:
    clean = make(tmp_path / "clean").machine.everything()
    for site in every_kill(tmp_path, nothing):
        site.configure(removing=True, generation=2)
        assert "removed" == site.settle(driver=site.new_driver()).state
        assert clean == site.machine.everything()


def test_the_provider_is_the_only_thing_that_a_full_run_adds_for_the_kubelet(tmp_path: Path) -> None:
    site = make(tmp_path / "one")
    site.settle()
    text = site.machine.text("/var/lib/pullpass/credential-provider.yaml") or ""
    names = [one["name"] for one in provider_config.load(text)["providers"]]
    assert [provider_config.PROVIDER_NAME] == names
    assert CONFIGURATION["generation"] == 1
