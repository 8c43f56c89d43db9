"""One suite over `kube.client.Client`, run on the sandbox's API server and on a real kube-apiserver.

What both must do stands in the tests. Nothing is skipped for one of them: where the two may differ, the test says only
what callers rely on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from kube.client import Access, Client
from kube.kubeconfig import access_from_kubeconfig
from kube.objects import NAMESPACE, Object
from sandbox.world import SandboxCluster, World
from tests.support.kubernetes import ClusterUnderTest, RealCluster

ISSUER = "https://oidc.example.com/id/1"
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def sandbox_cluster() -> Iterator[SandboxCluster]:
    world = World(run_workloads=False)
    world.start()
    try:
        yield world.add_cluster("contract", issuer=ISSUER, public=True)
    finally:
        world.stop()


@pytest.fixture(scope="session", params=["sandbox", "real"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ClusterUnderTest:
    flavour = str(request.param)
    running: SandboxCluster | RealCluster = request.getfixturevalue(f"{flavour}_cluster")
    path = tmp_path_factory.mktemp("kubeconfig") / "config"
    path.write_text(running.kubeconfig(), encoding="utf-8")
    # For the sandbox, naming its issuer again is the restart that an API server needs to take one.
    restart = running.restart if isinstance(running, RealCluster) else lambda: running.set_issuer(ISSUER)
    return ClusterUnderTest(flavour, access_from_kubeconfig(str(path), None), ISSUER, restart)


@pytest.fixture
def open_client() -> Iterator[Callable[..., Client]]:
    """Makes clients that are closed when the test ends."""
    opened: list[Client] = []

    def open_one(access: Access, *, field_manager: str = "pullpass") -> Client:
        client = Client(access, field_manager=field_manager)
        opened.append(client)
        return client

    yield open_one
    for client in opened:
        client.close()


@pytest.fixture
def client(cluster: ClusterUnderTest, open_client: Callable[..., Client]) -> Client:
    """The admin, as field manager `pullpass`."""
    return open_client(cluster.admin)


@pytest.fixture
def other(cluster: ClusterUnderTest, open_client: Callable[..., Client]) -> Client:
    """The admin with another tool, whose field manager is `other-tool`."""
    return open_client(cluster.admin, field_manager="other-tool")


@pytest.fixture
def namespace(client: Client) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"contract-{next(_NUMBERS)}"
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    client.delete(NAMESPACE, name)


@pytest.fixture
def service_account(
    cluster: ClusterUnderTest, client: Client, namespace: str, open_client: Callable[..., Client]
) -> Client:
    """A client that is the ServiceAccount `robot` of the test's namespace."""
    client.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": namespace}}
    )
    issued = client.request_token(namespace, "robot", audiences=[], expiration_seconds=600)
    return open_client(cluster.access(issued.token))


@pytest.fixture
def config_map(namespace: str) -> Callable[..., Object]:
    """Makes a ConfigMap of the test's namespace."""

    def make(name: str = "settings", *, labels: dict[str, str] | None = None, **data: str) -> Object:
        metadata: Object = {"name": name, "namespace": namespace}
        if labels is not None:
            metadata["labels"] = labels
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}

    return make
