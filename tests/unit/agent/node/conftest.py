from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.node.host import Host
from agent.node.kubernetes import Kubernetes
from agent.node.loop import Driver
from agent.node.report import Report
from agent.node.settings import NodeSettings
from tests.unit.agent.node.cluster import Cluster, node, pod
from tests.unit.agent.node.machine import Machine, kubeadm

EXPIRES = 1795370400
CONFIGURATION: dict[str, Any] = {
    "version": 1,
    "generation": 1,
    "cluster": {"uid": "5e1f", "organisation": "acme", "name": "berlin"},
    "removing": False,
    "selector": {},
    "roleArn": "arn:aws:iam::123456789012:role/pull",
    "identity": "shared",
    "audience": "sts.amazonaws.com",
    "region": "eu-central-1",
    "matchImages": ["*.dkr.ecr.*.amazonaws.com"],
    "maxUnavailable": 1,
    "restartDeviceNodes": False,
    "verifyImage": None,
    "aws": {
        "stsEndpoint": None,
        "ecrEndpoint": None,
        "registryEndpoint": None,
        "httpsProxy": None,
        "noProxy": None,
        "caBundle": None,
    },
}


def token(expires: int = EXPIRES) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJSUzI1NiJ9.{payload}.c2ln"


class Site:
    """A driver with its pod's files, on a machine, in a cluster."""

    def __init__(self, pod_folder: Path, machine: Machine, cluster: Cluster) -> None:
        pod_folder.mkdir()
        self.folder, self.machine, self.cluster = pod_folder, machine, cluster
        (pod_folder / "plugin").write_bytes(b"#!/bin/sh\nexit 0\n")
        (pod_folder / "token").write_text(token())
        self.wanted: dict[str, Any] = json.loads(json.dumps(CONFIGURATION))
        self.configure()
        self.driver = self.new_driver()

    def configure(self, **changes: Any) -> None:
        self.wanted.update(changes)
        (self.folder / "configuration.json").write_text(json.dumps(self.wanted))

    def new_driver(self, host: Host | None = None, api: Kubernetes | None = None) -> Driver:
        settings = NodeSettings(
            node="worker-1",
            host_root=self.machine.root,
            configuration_file=self.folder / "configuration.json",
            web_identity_token_file=self.folder / "token",
            kubernetes_token_file=self.folder / "token",
            kubernetes_ca_file=self.folder / "ca",
            plugin_file=self.folder / "plugin",
            server="https://127.0.0.1:1",
        )
        return Driver(settings, host or self.machine.host, api or self.cluster)

    def settle(self, looks: int = 6, driver: Driver | None = None) -> Report:
        """Looks until nothing restarts any more."""
        driver = driver or self.driver
        for _ in range(looks):
            found = driver.look()
            driver.say(found)
            self.machine.host.wait(10)
            if found.state != "restarting":
                break
        return found


@pytest.fixture
def cluster() -> Cluster:
    found = Cluster(node("worker-1"), node("worker-2"))
    found.pods["worker-1"] = [pod()]
    return found


@pytest.fixture
def site_of(tmp_path: Path, cluster: Cluster) -> Callable[[Machine], Site]:
    return lambda machine: Site(tmp_path / "pod", machine, cluster)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "host").mkdir()
    return kubeadm(tmp_path / "host")


@pytest.fixture
def site(site_of: Callable[[Machine], Site], machine: Machine) -> Site:
    return site_of(machine)
