from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent.node.kubernetes import NAMESPACE, ApiServer, KubernetesError, is_ready
from agent.node.report import Report, of_leases
from kube.client import Access, Client
from sandbox.world import World

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pod")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """The sandbox's API server; the driver is its admin."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    world = World(run_workloads=False)
    world.start()
    cluster = world.add_cluster("demo", issuer="https://issuer.example/demo", public=True, signing_key=pem)
    document = yaml.safe_load(cluster.kubeconfig())["clusters"][0]["cluster"]
    authority = base64.b64decode(document["certificate-authority-data"]).decode()
    (folder / "ca").write_text(authority)
    (folder / "token").write_text(f"{cluster.admin_token}\n")
    admin = Client(
        Access(
            document["server"],
            certificate_authority=authority,
            token=cluster.admin_token,
            allow_loopback=True,
        )
    )
    admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    admin.close()
    yield document["server"]
    world.stop()


@pytest.fixture
def api(server: str, folder: Path) -> ApiServer:
    return ApiServer(server, folder / "token", folder / "ca")


def test_the_nodes_are_read(api: ApiServer) -> None:
    nodes = api.nodes()
    assert nodes
    one = api.node(nodes[0]["metadata"]["name"])
    assert one is not None
    assert is_ready(one)


def test_a_node_that_is_not_there_is_none(api: ApiServer) -> None:
    assert api.node("absent") is None


def test_the_pods_of_a_node_are_asked_for_by_its_name(api: ApiServer) -> None:
    assert [] == api.pods_on("absent")


def test_a_report_is_written_and_read(api: ApiServer) -> None:
    for generation in (1, 2):
        api.apply_lease(Report(generation, "worker-1", "kubeadm", "ready").lease("5e1f", NOW))
    assert 2 == of_leases(api.leases())["worker-1"]["generation"]
    assert api.lease("pullpass-node-worker-1") is not None


def test_a_lease_is_created_once_and_replaced_only_as_it_was_read(api: ApiServer) -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "slot", "namespace": NAMESPACE},
        "spec": {"holderIdentity": "a"},
    }
    made = api.create_lease(lease)
    assert made is not None
    assert api.create_lease(lease) is None
    assert api.replace_lease({**made, "spec": {"holderIdentity": "b"}}) is not None
    assert api.replace_lease({**made, "spec": {"holderIdentity": "c"}}) is None


def test_a_refusal_names_the_request_and_its_status(server: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wrong")
    with pytest.raises(KubernetesError, match="GET /api/v1/nodes/x: 401") as caught:
        ApiServer(server, tmp_path / "token", folder / "ca").node("x")
    assert 401 == caught.value.status


def test_an_api_server_that_is_away_is_an_error(folder: Path) -> None:
    with pytest.raises(KubernetesError):
        ApiServer("https://127.0.0.1:1", folder / "token", folder / "ca").node("x")


def test_a_token_that_cannot_be_read_is_an_error(server: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KubernetesError, match="cannot be read"):
        ApiServer(server, tmp_path / "absent", folder / "ca").node("x")
