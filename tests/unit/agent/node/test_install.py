from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.node import watcher
from agent.node.configuration import Configuration, parse
from agent.node.host import FakeHost
from agent.node.install import install_once, plan_once
from agent.node.plan import Refused
from tests.unit.agent.node.conftest import CONFIGURATION, Site


def wanted(site: Site) -> Configuration:
    return parse(json.dumps(site.wanted))


def test_a_running_node_is_changed_and_restarted_once(site: Site) -> None:
    found = install_once(
        site.machine.host, wanted(site), plugin_file=site.folder / "plugin", token_file=site.folder / "token"
    )
    assert ("kubeadm", True) == (found.distribution, found.restarted)
    assert found.verified is not None
    assert found.verified.ok
    assert 1 == site.machine.restarts
    assert site.machine.host.kind(watcher.UNIT) is None


def test_a_second_time_changes_nothing(site: Site) -> None:
    for _ in range(2):
        found = install_once(site.machine.host, wanted(site), plugin_file=site.folder / "plugin")
    assert ((), False) == (found.changed, found.restarted)
    assert 1 == site.machine.restarts


def test_in_an_image_build_only_files_are_written(site: Site) -> None:
    site.machine.put("/usr/lib/systemd/system/kubelet.service", "")
    found = install_once(site.machine.host, wanted(site), plugin_file=site.folder / "plugin", running=False)
    assert not found.restarted
    assert 0 == site.machine.restarts
    assert [] == site.machine.refusals()
    assert "/var/lib/pullpass/credential-provider.yaml" in (site.machine.text("/etc/default/kubelet") or "")


def test_a_driver_that_comes_later_has_nothing_to_restart(site: Site) -> None:
    site.machine.put("/usr/lib/systemd/system/kubelet.service", "")
    install_once(site.machine.host, wanted(site), plugin_file=site.folder / "plugin", running=False)
    site.machine.running = site.machine.arguments()
    assert "ready" == site.settle().state
    assert 0 == site.machine.restarts


def test_a_kubelet_that_will_not_come_up_has_its_files_back(site: Site) -> None:
    site.machine.rejects = True
    with pytest.raises(Refused, match="has its files back"):
        install_once(site.machine.host, wanted(site), plugin_file=site.folder / "plugin")
    assert [] == site.machine.refusals()


def test_a_plan_names_what_an_installation_changes_and_touches_nothing(site: Site) -> None:
    before = site.machine.everything()
    planned = plan_once(site.machine.host, wanted(site))
    assert before == site.machine.everything()
    found = install_once(site.machine.host, wanted(site), plugin_file=site.folder / "plugin")
    assert found.changed == planned.files
    assert ("kubeadm", "kubelet.service") == (planned.distribution, planned.service)
    assert site.machine.text(planned.plugin) is not None


def test_after_an_installation_the_plan_is_empty(site: Site) -> None:
    install_once(site.machine.host, wanted(site), plugin_file=site.folder / "plugin")
    assert () == plan_once(site.machine.host, wanted(site)).files


@pytest.mark.parametrize(
    ("service", "expected"), [("k3s-agent", "k3s"), ("rke2-agent", "rke2"), ("kubelet", "kubeadm")]
)
def test_an_image_whose_kubelet_never_ran_is_told_by_its_unit(
    tmp_path: Path, service: str, expected: str
) -> None:
    unit = tmp_path / f"etc/systemd/system/{service}.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    (tmp_path / "var/lib").mkdir(parents=True)
    (tmp_path / "etc/default").mkdir()
    (tmp_path / "plugin").touch()
    found = install_once(
        FakeHost(tmp_path), parse(json.dumps(CONFIGURATION)), plugin_file=tmp_path / "plugin", running=False
    )
    assert expected == found.distribution
