from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agent.node import host
from agent.node.provider import TOKEN_FILE
from cli.main import main
from tests.unit.agent.node.conftest import CONFIGURATION
from tests.unit.agent.node.machine import Machine, kubeadm

ROLE = "arn:aws:iam::123456789012:role/pull"
CONFIG = "/var/lib/pullpass/credential-provider.yaml"


class Site:
    """A machine on which the command runs, and how the command asked for it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "host").mkdir()
        self.folder = folder
        self.machine: Machine = kubeadm(folder / "host")
        self.asked: dict[str, Any] = {}
        self.plugin = folder / "plugin"
        self.plugin.write_bytes(b"#!/bin/sh\nexit 0\n")
        payload = base64.urlsafe_b64encode(json.dumps({"exp": 1795370400}).encode()).rstrip(b"=").decode()
        self.token = folder / "token"
        self.token.write_text(f"e30.{payload}.c2ln")
        monkeypatch.setattr(host, "RealHost", self._host)

    def _host(self, root: Path, **how: bool) -> host.Host:
        self.asked = {"root": root, **how}
        return self.machine.host

    def install(self, *options: str) -> Result:
        return CliRunner().invoke(main, ["node", "install", "--plugin-file", str(self.plugin), *options])

    def provider(self) -> str:
        return self.machine.text(CONFIG) or ""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch)


def test_a_running_node_gets_the_provider_and_one_restart(site: Site) -> None:
    result = site.install("--role-arn", ROLE, "--token-file", str(site.token))
    assert 0 == result.exit_code, result.output
    assert 1 == site.machine.restarts
    assert "the kubelet was restarted and is healthy" in result.output
    assert site.token.read_text() == site.machine.text(TOKEN_FILE)


def test_a_second_time_changes_nothing(site: Site) -> None:
    site.install("--role-arn", ROLE)
    result = site.install("--role-arn", ROLE)
    assert 0 == result.exit_code, result.output
    assert 1 == site.machine.restarts
    assert "wrote" not in result.output


def test_a_role_without_a_token_says_what_is_missing(site: Site) -> None:
    assert "No token is there yet" in site.install("--role-arn", ROLE).stderr


def test_a_dry_run_names_the_files_and_touches_nothing(site: Site) -> None:
    before = site.machine.everything()
    result = site.install("--role-arn", ROLE, "--dry-run")
    assert before == site.machine.everything()
    assert f"would write {CONFIG}\n" in result.output
    assert "would write /etc/default/kubelet\n" in result.output


def test_a_dry_run_needs_no_plugin(site: Site) -> None:
    site.plugin.unlink()
    assert 0 == site.install("--dry-run").exit_code


def test_a_plugin_that_is_not_there_is_wrong_usage(site: Site) -> None:
    site.plugin.unlink()
    result = site.install()
    assert 2 == result.exit_code
    assert f"there is no {site.plugin}" in result.output


def test_the_images_are_those_of_the_roles_partition(site: Site) -> None:
    site.install("--role-arn", "arn:aws-cn:iam::123456789012:role/pull")
    assert "*.dkr.ecr.*.amazonaws.com.cn" in site.provider()
    assert "amazonaws.eu" not in site.provider()


def test_the_image_patterns_that_are_given_are_the_only_ones(site: Site) -> None:
    site.install("--match-image", "123456789012.dkr.ecr.*.amazonaws.com")
    assert "*.dkr.ecr" not in site.provider()
    assert "123456789012.dkr.ecr.*.amazonaws.com" in site.provider()


def test_what_is_said_of_aws_reaches_the_plugin(site: Site) -> None:
    bundle = site.folder / "ca.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\n")
    site.install(
        *("--role-arn", ROLE, "--region", "eu-central-1", "--cluster", "acme/berlin"),
        *("--sts-endpoint", "https://sts.example", "--ecr-endpoint", "https://ecr.example"),
        *(
            "--https-proxy",
            "http://proxy.example:3128",
            "--no-proxy",
            "10.0.0.0/8",
            "--ca-bundle",
            str(bundle),
        ),
    )
    for word in (
        "eu-central-1",
        "pullpass-acme-berlin",
        "sts.example",
        "ecr.example",
        "proxy.example",
        "10.0.0.0/8",
    ):
        assert word in site.provider()
    assert bundle.read_text() == site.machine.text("/var/lib/pullpass/ca-bundle.pem")


def test_the_clusters_own_configuration_gives_what_its_driver_would(site: Site) -> None:
    path = site.folder / "configuration.json"
    path.write_text(json.dumps(CONFIGURATION))
    result = site.install("--configuration", str(path))
    assert 0 == result.exit_code, result.output
    assert "pullpass-acme-berlin" in site.provider()


def test_an_option_beside_a_configuration_is_wrong_usage(site: Site) -> None:
    path = site.folder / "configuration.json"
    path.write_text(json.dumps(CONFIGURATION))
    result = site.install("--configuration", str(path), "--region", "eu-west-1")
    assert 2 == result.exit_code
    assert "--region: --configuration says that already" in result.output


def test_a_configuration_that_cannot_be_read_is_wrong_usage(site: Site) -> None:
    path = site.folder / "configuration.json"
    path.write_text("{}")
    result = site.install("--configuration", str(path))
    assert 2 == result.exit_code
    assert "version: missing" in result.output


@pytest.mark.parametrize(("option", "value"), [("--role-arn", "reader"), ("--cluster", "berlin")])
def test_a_value_that_is_none_is_wrong_usage(site: Site, option: str, value: str) -> None:
    result = site.install(option, value)
    assert 2 == result.exit_code
    assert option in result.output


def test_a_node_that_is_left_alone_says_why(site: Site) -> None:
    site.machine.put("/etc/os-release", "ID=talos\n")
    result = site.install()
    assert 1 == result.exit_code
    assert "Error: Talos: It has no systemd" in result.output


def test_a_plugin_that_gets_no_credentials_is_a_failure(site: Site) -> None:
    site.machine.plugin = host.Result(1, "", "No OpenIDConnect provider found in your account")
    result = site.install("--role-arn", ROLE, "--token-file", str(site.token))
    assert 1 == result.exit_code
    assert "Error: OidcProviderMissing: No OpenIDConnect provider found" in result.output


def test_on_the_machine_itself_commands_run_where_we_are(site: Site) -> None:
    site.install()
    assert {"root": Path("/"), "enter": False, "chroot": False} == site.asked


def test_from_a_container_commands_enter_the_machine(site: Site) -> None:
    site.install("--host-root", str(site.folder))
    assert {"root": site.folder, "enter": True, "chroot": False} == site.asked


def test_in_an_image_build_commands_stay_in_the_image_and_nothing_restarts(site: Site) -> None:
    site.machine.put("/usr/lib/systemd/system/kubelet.service", "")
    result = site.install("--host-root", str(site.folder), "--files-only", "--role-arn", ROLE)
    assert {"root": site.folder, "enter": False, "chroot": True} == site.asked
    assert "the kubelet was not restarted" in result.output
    assert 0 == site.machine.restarts
