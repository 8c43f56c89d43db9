from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.node.distributions import Layout, Unsupported, detect
from agent.node.provider_config import PROVIDER_NAME
from tests.unit.agent.node.conftest import Site
from tests.unit.agent.node.layouts import (
    SUPPORTED,
    aks,
    config,
    eks_al2023,
    k3s_agent,
    k3s_server,
    rke2_agent,
)
from tests.unit.agent.node.machine import DROP_IN, Machine, kubeadm

Make = Callable[[Path], Machine]


@pytest.fixture(params=list(SUPPORTED.values()), ids=list(SUPPORTED))
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Machine, str]:
    (tmp_path / "host").mkdir()
    make, distribution = request.param
    machine = make(tmp_path / "host")
    return machine, distribution


def test_each_is_told_from_the_others(made: tuple[Machine, str]) -> None:
    machine, distribution = made
    found = detect(machine.host)
    assert (distribution, machine.service) == (
        found.distribution,
        found.service if isinstance(found, Layout) else "",
    )


def test_each_becomes_ready_with_one_restart(
    made: tuple[Machine, str], site_of: Callable[[Machine], Site]
) -> None:
    machine, distribution = made
    site = site_of(machine)
    found = site.settle()
    assert ("ready", distribution, "") == (found.state, found.distribution, found.message)
    assert 1 == machine.restarts
    assert [] == machine.refusals()


def test_each_kubelet_then_has_our_provider(
    made: tuple[Machine, str], site_of: Callable[[Machine], Site]
) -> None:
    machine, _ = made
    site_of(machine).settle()
    layout = detect(machine.host)
    assert isinstance(layout, Layout)
    assert machine.host.executable(f"{layout.bin_directory}/{PROVIDER_NAME}")
    assert PROVIDER_NAME in (machine.text(layout.config) or "")


def test_each_is_given_back_byte_for_byte(
    made: tuple[Machine, str], site_of: Callable[[Machine], Site]
) -> None:
    machine, _ = made
    before = machine.everything()
    site = site_of(machine)
    site.settle()
    site.configure(removing=True, generation=2)
    assert "removed" == site.settle().state
    assert before == machine.everything()
    assert 2 == machine.restarts


def test_each_survives_a_kubelet_that_does_not_come_up(
    made: tuple[Machine, str], site_of: Callable[[Machine], Site]
) -> None:
    machine, _ = made
    machine.rejects = True
    assert "rolledBack" == site_of(machine).settle().state
    assert [] == machine.refusals()


def test_of_two_installed_the_one_in_use_counts(tmp_path: Path) -> None:
    machine = k3s_agent(tmp_path)
    machine.put("/var/lib/rancher/rke2/agent/old", "")
    machine.put("/var/lib/kubelet/config.yaml", "")
    found = detect(machine.host)
    assert "k3s" == found.distribution


def test_a_server_is_known_by_its_unit(tmp_path: Path) -> None:
    found = detect(k3s_server(tmp_path).host)
    assert isinstance(found, Layout)
    assert found.server


def test_k3s_own_settings_beat_the_table(tmp_path: Path) -> None:
    machine = rke2_agent(tmp_path)
    machine.put(
        "/etc/rancher/rke2/config.yaml",
        "image-credential-provider-bin-dir: /opt/plugins\nimage-credential-provider-config: /opt/config.yaml\n",
    )
    found = detect(machine.host)
    assert isinstance(found, Layout)
    assert ("/opt/plugins", "/opt/config.yaml") == (found.bin_directory, found.config)


def test_a_kubeadm_kubelet_that_has_a_provider_already_keeps_its_paths(tmp_path: Path) -> None:
    machine = kubeadm(tmp_path)
    machine.flags = [
        "--image-credential-provider-config=/opt/config.yaml",
        "--image-credential-provider-bin-dir=/opt/bin",
    ]
    machine.running = machine.arguments()
    found = detect(machine.host)
    assert isinstance(found, Layout)
    assert ("/opt/bin", "/opt/config.yaml", None) == (found.bin_directory, found.config, found.flags_file)


def test_what_the_unit_sets_is_not_lost(tmp_path: Path, site_of: Callable[[Machine], Site]) -> None:
    (tmp_path / "host").mkdir()
    machine = kubeadm(tmp_path / "host")
    machine.unit_environment = "--node-ip=10.0.0.1"
    site_of(machine).settle()
    assert "--node-ip=10.0.0.1" in machine.arguments()


def unsupported(machine: Machine, **facts: object) -> tuple[str, str]:
    found = detect(machine.host, **facts)  # type: ignore[arg-type]
    assert isinstance(found, Unsupported)
    assert "pullSecret" in found.message
    return found.distribution, found.reason


@pytest.mark.parametrize(("name", "reason"), [("bottlerocket", "Bottlerocket"), ("talos", "Talos")])
def test_a_system_that_cannot_be_changed_is_named(tmp_path: Path, name: str, reason: str) -> None:
    machine = kubeadm(tmp_path)
    machine.put("/etc/os-release", f"NAME=x\nID={name}\n")
    assert (name, reason) == unsupported(machine)


def test_fargate_is_known_by_its_label(tmp_path: Path) -> None:
    labels = {"eks.amazonaws.com/compute-type": "fargate"}
    assert ("fargate", "Fargate") == unsupported(kubeadm(tmp_path), labels=labels)


def test_autopilot_is_known_by_its_nodes_names(tmp_path: Path) -> None:
    assert ("gke-autopilot", "GkeAutopilot") == unsupported(kubeadm(tmp_path), node="gk3-berlin-pool-1")


def test_without_systemd_nobody_could_bring_the_kubelet_back(tmp_path: Path) -> None:
    machine = kubeadm(tmp_path)
    (tmp_path / "run/systemd/system/.here").unlink()
    (tmp_path / "run/systemd/system").rmdir()
    assert ("unknown", "NoSystemd") == unsupported(machine)


def test_a_unit_without_extra_arguments_is_not_guessed_at(tmp_path: Path) -> None:
    machine = kubeadm(tmp_path)
    machine.unit = DROP_IN.format(environment_file="/etc/default/kubelet").replace(" $KUBELET_EXTRA_ARGS", "")
    assert ("kubeadm", "NoExtraArguments") == unsupported(machine)


def test_a_vendors_kubelet_without_the_flags_is_left_alone(tmp_path: Path) -> None:
    machine = aks(tmp_path)
    machine.running = []
    assert ("aks", "KubeletWithoutProvider") == unsupported(machine)


def test_a_machine_without_a_kubelet_is_unknown(tmp_path: Path) -> None:
    assert ("unknown", "KubeletNotFound") == unsupported(Machine(tmp_path))


def test_an_unsupported_node_is_not_touched(site: Site) -> None:
    site.machine.put("/etc/os-release", "ID=talos\n")
    before = site.machine.everything()
    found = site.settle()
    assert ("unsupported", "Talos") == (found.state, found.reason)
    assert before == site.machine.everything()


def test_an_ecr_provider_with_the_instance_role_needs_nothing_of_ours(
    tmp_path: Path, site_of: Callable[[Machine], Site]
) -> None:
    (tmp_path / "host").mkdir()
    machine = eks_al2023(tmp_path / "host")
    before = machine.everything()
    site = site_of(machine)
    site.configure(roleArn=None)
    found = site.settle()
    assert ("ready", "ExistingProvider") == (found.state, found.reason)
    assert before == machine.everything()


def test_nodeadm_that_writes_its_config_anew_at_boot_is_merged_again(
    tmp_path: Path, site_of: Callable[[Machine], Site]
) -> None:
    (tmp_path / "host").mkdir()
    machine = eks_al2023(tmp_path / "host")
    site = site_of(machine)
    site.settle()
    path = "/etc/eks/image-credential-provider/config.json"
    machine.put(path, config("ecr-credential-provider", "*.dkr.ecr.*.amazonaws.com"))
    assert "ready" == site.settle().state
    assert PROVIDER_NAME in (machine.text(path) or "")
