"""The world: clusters and their moods, what is public, and what is kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from sandbox.kubernetes.kinds import CONFIG_MAP
from sandbox.serving import LoopbackServer
from sandbox.world import SandboxCluster, World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from tests.unit.sandbox.conftest import Caller

    Connect = Callable[[SandboxCluster], Caller]

ISSUER = "https://oidc.example.com/a"
TRUST = {"Version": "2012-10-17", "Statement": []}


@contextmanager
def serving(documents: Mapping[str, Any]) -> Iterator[str]:
    """A plain server of JSON documents by path."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(documents[environ["PATH_INFO"]]).encode()]

    server = LoopbackServer(app)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


def test_a_cluster_that_is_down_accepts_no_connection(
    world: World, signing_key: str, connect: Connect
) -> None:
    cluster = world.add_cluster("dark", issuer=ISSUER, public=False, down=True, signing_key=signing_key)

    with pytest.raises(urllib3.exceptions.NewConnectionError):
        connect(cluster).call("GET", "/version")


def test_a_cluster_comes_up_where_it_was_missed(world: World, signing_key: str, connect: Connect) -> None:
    cluster = world.add_cluster("waking", issuer=ISSUER, public=False, down=True, signing_key=signing_key)
    before = cluster.kubeconfig()

    cluster.bring_up()

    assert (before, 200) == (cluster.kubeconfig(), connect(cluster).call("GET", "/version")[0])


def test_a_cluster_taken_down_says_nothing_more(world: World, signing_key: str, connect: Connect) -> None:
    cluster = world.add_cluster("falling", issuer=ISSUER, public=False, signing_key=signing_key)
    cluster.take_down()

    with pytest.raises(urllib3.exceptions.ProtocolError):
        connect(cluster).call("GET", "/version")


def test_the_mood_of_a_cluster_changes_over_http(admin: Caller) -> None:
    server, _, _ = admin.server.partition("/clusters/")
    headers = {"Authorization": f"Bearer {admin.token}"}
    mood = f"{server}/-/clusters/{admin.cluster.name}"

    codes = [admin.pool.request("POST", f"{mood}/{verb}", headers=headers).status for verb in ("down", "up")]

    assert ([200, 200], 200) == (codes, admin.call("GET", "/version")[0])


def test_the_mood_is_an_admins_to_change(admin: Caller) -> None:
    server, _, _ = admin.server.partition("/clusters/")

    answer = admin.pool.request("POST", f"{server}/-/clusters/{admin.cluster.name}/down")

    assert (401, False) == (answer.status, admin.cluster.down)


def test_an_issuer_changes_over_http(world: World, signing_key: str, connect: Connect) -> None:
    admin = connect(world.add_cluster("moving", issuer=ISSUER, public=False, signing_key=signing_key))
    server, _, _ = admin.server.partition("/clusters/")

    admin.pool.request(
        "POST",
        f"{server}/-/clusters/moving/api-server",
        json={"serviceAccountIssuers": ["https://new.example.com", ISSUER]},
        headers={"Authorization": f"Bearer {admin.token}"},
    )

    assert "https://new.example.com" == admin.call("GET", "/.well-known/openid-configuration")[1]["issuer"]


def test_a_public_issuer_is_seen_by_aws(world: World, cluster: SandboxCluster) -> None:
    published = world.public_issuers.resolve(cluster.issuer)

    assert published is not None
    assert {"keys": [cluster.cluster.tokens.key.jwk()]} == published.jwks


def test_an_issuer_that_is_not_public_is_dark_to_aws(world: World, signing_key: str) -> None:
    world.add_cluster("private", issuer="https://private.example.com", public=False, signing_key=signing_key)

    assert world.public_issuers.resolve("https://private.example.com") is None


def test_an_issuer_under_a_mapped_host_is_fetched_from_where_it_is_served(signing_key: str) -> None:
    world = World(run_workloads=False)
    world.start()
    try:
        cluster = world.add_cluster(
            "a", issuer="https://hub.example.com/oidc/1", public=False, signing_key=signing_key
        )
        documents = {
            "/oidc/1/.well-known/openid-configuration": {
                "issuer": "https://hub.example.com/oidc/1",
                "jwks_uri": "https://hub.example.com/oidc/1/jwks",
            },
            "/oidc/1/jwks": {"keys": [cluster.cluster.tokens.key.jwk()]},
        }
        with serving(documents) as url:
            world.public_hosts["hub.example.com"] = url
            published = world.public_issuers.resolve("https://hub.example.com/oidc/1")
    finally:
        world.stop()

    assert published is not None
    assert documents["/oidc/1/jwks"] == published.jwks


def test_what_is_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    first = World(state_directory=tmp_path, run_workloads=False)
    first.start()
    before = first.add_cluster("a", issuer=ISSUER, public=True)
    key_id, kubeconfig = before.cluster.tokens.key.key_id, before.kubeconfig()
    before.set_issuer("https://new.example.com")
    first.create_role("arn:aws:iam::123456789012:role/r", TRUST)
    revision = before.cluster.store.revision
    first.stop()

    second = World(state_directory=tmp_path, run_workloads=False)
    second.start()
    after = second.add_cluster("a", issuer=ISSUER, public=True)
    allowed = second.aws.allows("arn:aws:iam::123456789012:role/r", "ecr:BatchGetImage", "*")
    second.stop()

    assert (key_id, kubeconfig, "https://new.example.com", revision, True) == (
        after.cluster.tokens.key.key_id,
        after.kubeconfig(),
        after.issuer,
        after.cluster.store.revision,
        allowed,
    )


def test_objects_kept_keep_their_owners(tmp_path: Path) -> None:
    managers = []
    for _ in range(2):
        world = World(state_directory=tmp_path, run_workloads=False)
        world.start()
        store = world.add_cluster("a", issuer=ISSUER, public=False).cluster.store
        stored = store.get(CONFIG_MAP, "default", "kube-root-ca.crt")
        world.stop()
        assert stored is not None
        managers.append(stored.managers)

    assert managers[0] == managers[1]


def test_what_is_kept_is_for_its_owner_alone(tmp_path: Path) -> None:
    world = World(state_directory=tmp_path, run_workloads=False)
    world.start()
    world.add_cluster("a", issuer=ISSUER, public=False)
    world.stop()

    assert {0o600} == {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()}


def test_a_stopped_world_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    world = World(run_workloads=True)
    world.start()
    world.add_cluster("a", issuer=ISSUER, public=False)

    world.stop()

    assert set() == set(threading.enumerate()) - before
