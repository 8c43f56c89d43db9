"""Connecting, reconnecting and disconnecting, against a cluster of the sandbox and the real API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.connecting import access_of
from fleet import connections
from kube.client import Client
from kube.errors import NotFound
from kube.objects import CLUSTER_ROLE, NAMESPACE
from sandbox.world import SandboxCluster, World
from schemas import connection_bodies
from schemas.agent_documents import HUB_ACCOUNT, NAMESPACE_NAME
from tests.support.hub import manifest
from tests.unit.cli.served import Shell


@pytest.fixture(scope="module")
def cluster() -> Iterator[SandboxCluster]:
    world = World(run_workloads=False)
    world.start()
    yield world.add_cluster("demo", issuer="https://oidc.example.org/demo", public=False)
    world.stop()


@pytest.fixture
def admin(cluster: SandboxCluster) -> Iterator[Client]:
    parsed = connection_bodies.parse(
        {"kubeconfig": cluster.kubeconfig()}, now=datetime.now(UTC), allow_loopback=True
    )
    client = Client(access_of(parsed, allow_loopback=True))
    yield client
    client.close()


@pytest.fixture
def kubeconfig(cluster: SandboxCluster, shell: Shell, tmp_path: Path) -> str:
    """Of an admin; the hub knows the cluster, without add-ons."""
    path = tmp_path / "kubeconfig"
    path.write_text(cluster.kubeconfig())
    shell.hub.put(manifest(addOns={}))
    return str(path)


def connect(shell: Shell, kubeconfig: str) -> str:
    return shell.fine("connect", "demo", "--kubeconfig", kubeconfig, "--server", "https://demo.example.com")


def test_connecting_installs_the_rights_and_uploads_a_token(
    shell: Shell, kubeconfig: str, admin: Client
) -> None:
    assert "acme/demo is connected" in connect(shell, kubeconfig)
    assert admin.get(CLUSTER_ROLE, HUB_ACCOUNT)
    stored = connections.read(shell.hub.database, shell.hub.stored("demo").uid)
    assert stored is not None
    assert ("https://demo.example.com", True) == (stored.server, stored.renewable)


def test_what_would_be_installed_is_printed_without_a_hub(shell: Shell) -> None:
    nothing = dict.fromkeys(("PULLPASS_ENDPOINT", "PULLPASS_ORG", "PULLPASS_TOKEN"))
    result = shell.pullpass("connect", "demo", "--print", environment=nothing)
    assert (0, True) == (result.exit_code, f"name: {HUB_ACCOUNT}" in result.stdout)


def test_a_cluster_that_the_hub_does_not_know_is_not_touched(shell: Shell, kubeconfig: str) -> None:
    assert 1 == shell.pullpass("connect", "nobody", "--kubeconfig", kubeconfig).exit_code


def test_reconnecting_brings_a_new_token_and_keeps_the_address(shell: Shell, kubeconfig: str) -> None:
    connect(shell, kubeconfig)
    uid = shell.hub.stored("demo").uid
    before = connections.read(shell.hub.database, uid)
    shell.fine("reconnect", "demo", "--kubeconfig", kubeconfig)
    after = connections.read(shell.hub.database, uid)
    assert before is not None
    assert after is not None
    assert (before.server, True) == (after.server, before.token != after.token)


def test_reconnecting_what_was_never_connected_says_so(shell: Shell, kubeconfig: str) -> None:
    result = shell.pullpass("reconnect", "demo", "--kubeconfig", kubeconfig)
    assert (1, True) == (result.exit_code, "do: pullpass connect demo" in result.stderr)


def test_disconnecting_takes_everything_away_again_on_both_sides(
    shell: Shell, kubeconfig: str, admin: Client
) -> None:
    connect(shell, kubeconfig)
    shell.fine("disconnect", "demo", "--kubeconfig", kubeconfig)
    assert not shell.hub.stored("demo").connected
    for kind, name in ((CLUSTER_ROLE, HUB_ACCOUNT), (NAMESPACE, NAMESPACE_NAME)):
        with pytest.raises(NotFound):
            admin.get(kind, name)


def test_disconnecting_may_leave_the_cluster_as_it_is(shell: Shell, kubeconfig: str, admin: Client) -> None:
    connect(shell, kubeconfig)
    shell.fine("disconnect", "demo", "--keep-rights")
    assert not shell.hub.stored("demo").connected
    assert admin.get(CLUSTER_ROLE, HUB_ACCOUNT)


def test_a_cluster_with_add_ons_is_not_disconnected_by_accident(shell: Shell, kubeconfig: str) -> None:
    connect(shell, kubeconfig)
    shell.hub.put(manifest())
    result = shell.pullpass("disconnect", "demo", "--kubeconfig", kubeconfig)
    assert (1, True) == (result.exit_code, "pullpass addons disable demo awsECR" in result.stderr)
    assert shell.hub.stored("demo").connected
