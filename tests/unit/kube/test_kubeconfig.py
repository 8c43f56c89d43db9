from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube import errors
from kube.client import Access
from kube.kubeconfig import access_from_kubeconfig
from tests.support import certificates
from tests.support.kubernetes import kubeconfig

Writer = Callable[..., str]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes a kubeconfig of one context, `work`, and returns its path."""

    def write_one(*, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> str:
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "c", "cluster": {"server": "https://api.example.com:6443", **(cluster or {})}}
            ],
            "users": [{"name": "u", "user": {"token": "the-token"} if user is None else user}],
            "contexts": [{"name": "work", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "work",
        }
        path = tmp_path / "config"
        path.write_text(yaml.safe_dump(document))
        return str(path)

    return write_one


def plugin(directory: Path, script: str) -> dict[str, Any]:
    program = directory / "plugin"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(program),
            "interactiveMode": "Never",
        }
    }


def test_a_token_and_an_authority_inside_are_read(tmp_path: Path) -> None:
    authority = certificates.Authority().certificate
    given = Access("https://api.example.com", certificate_authority=authority, token="t", allow_loopback=True)
    (tmp_path / "config").write_text(kubeconfig("c", given))

    assert given == access_from_kubeconfig(str(tmp_path / "config"), None)


def test_a_client_certificate_is_read_from_the_files_it_names(tmp_path: Path, write: Writer) -> None:
    certificate, key = certificates.Authority().client("admin")
    (tmp_path / "client.crt").write_text(certificate)
    (tmp_path / "client.key").write_text(key)

    access = access_from_kubeconfig(
        write(user={"client-certificate": "client.crt", "client-key": "client.key"}), "work"
    )

    assert (certificate, key, None) == (access.client_certificate, access.client_key, access.token)


def test_an_exec_plugin_is_run(tmp_path: Path, write: Writer) -> None:
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "from-the-plugin"},
    }

    access = access_from_kubeconfig(write(user=plugin(tmp_path, f"echo '{json.dumps(credential)}'")), None)

    assert "from-the-plugin" == access.token


def test_an_exec_plugin_that_fails_says_why(tmp_path: Path, write: Writer) -> None:
    user = plugin(tmp_path, "echo 'please log in first' >&2; exit 3")

    with pytest.raises(errors.KubeconfigError, match="please log in first"):
        access_from_kubeconfig(write(user=user), None)


def test_proxy_and_server_name_of_the_cluster_are_read(write: Writer) -> None:
    cluster = {"proxy-url": "http://proxy.example.com:3128", "tls-server-name": "api.internal"}

    access = access_from_kubeconfig(write(cluster=cluster), None)

    assert ("http://proxy.example.com:3128", "api.internal") == (access.proxy, access.tls_server_name)


def test_the_proxy_of_the_environment_is_taken_as_kubectl_does(
    write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    path = write()

    assert "http://proxy.example.com:3128" == access_from_kubeconfig(path, None).proxy

    monkeypatch.setenv("no_proxy", "api.example.com")
    assert access_from_kubeconfig(path, None).proxy is None


def test_nothing_of_the_kubeconfig_stays_in_a_file(
    tmp_path: Path, write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    certificate, key = certificates.Authority().client("admin")
    given = Access("https://api.example.com", client_certificate=certificate, client_key=key)
    (tmp_path / "config").write_text(kubeconfig("c", given))

    assert key == access_from_kubeconfig(str(tmp_path / "config"), None).client_key
    assert [] == list(scratch.iterdir())


@pytest.mark.parametrize(
    ("cluster", "user", "reason"),
    [
        ({"server": "http://api.example.com"}, None, "is not https"),
        ({"insecure-skip-tls-verify": True}, None, "insecure-skip-tls-verify"),
        ({}, {}, "no credential"),
        ({}, {"username": "a", "password": "b"}, "Basic authentication"),
        ({}, {"client-certificate": "nowhere.crt", "client-key": "nowhere.key"}, "File does not exist"),
    ],
)
def test_what_cannot_be_used_is_refused(
    write: Writer, cluster: dict[str, Any], user: dict[str, Any] | None, reason: str
) -> None:
    with pytest.raises(errors.KubeconfigError, match=reason):
        access_from_kubeconfig(write(cluster=cluster, user=user), None)


def test_a_context_that_is_not_there_is_named(write: Writer) -> None:
    with pytest.raises(errors.KubeconfigError, match="nowhere"):
        access_from_kubeconfig(write(), "nowhere")


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(errors.KubeconfigError, match="no kubeconfig file"):
        access_from_kubeconfig(str(tmp_path / "nowhere"), None)


def test_a_file_that_is_no_kubeconfig_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a: [")

    with pytest.raises(errors.KubeconfigError):
        access_from_kubeconfig(str(tmp_path / "config"), None)
