"""A world and a client of it that knows nothing but HTTP."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3
import yaml

from sandbox.kubernetes.tokens import SigningKey
from sandbox.world import SandboxCluster, World

ISSUER = "https://oidc.example.com/a"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


@dataclass
class Caller:
    """Speaks to one cluster as whoever holds `token`, through what its kubeconfig says."""

    cluster: SandboxCluster
    pool: urllib3.PoolManager
    token: str

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "",
    ) -> tuple[int, Any]:
        headers = {"Content-Type": content_type, "User-Agent": "test/1"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if accept:
            headers["Accept"] = accept
        sent = None if body is None else json.dumps(body)
        answer = self.pool.request(method, f"{self.server}{path}", body=sent, headers=headers, retries=False)
        return answer.status, json.loads(answer.data)

    @property
    def server(self) -> str:
        server: str = yaml.safe_load(self.cluster.kubeconfig())["clusters"][0]["cluster"]["server"]
        return server

    def apply(self, path: str, body: Any, *, manager: str = "tester", force: bool = False) -> tuple[int, Any]:
        query = f"?fieldManager={manager}" + ("&force=true" if force else "")
        return self.call("PATCH", path + query, body, content_type=APPLY)

    def events(self, path: str) -> list[dict[str, Any]]:
        """All events of a watch, up to its end."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self.pool.request("GET", f"{self.server}{path}", headers=headers, retries=False)
        return [json.loads(line) for line in answer.data.splitlines()]

    def become(self, namespace: str, account: str) -> Caller:
        """The same as a service account."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        code, issued = self.call("POST", path, {"spec": {}})
        assert 201 == code
        return Caller(self.cluster, self.pool, issued["status"]["token"])


@pytest.fixture(scope="session")
def signing_key() -> str:
    """One RSA key for all clusters, for making one takes long."""
    key = SigningKey()
    key.private()
    return key.pem() or ""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A world in memory that runs no workloads."""
    world = World(run_workloads=False)
    world.start()
    yield world
    world.stop()


@pytest.fixture(scope="module")
def cluster(world: World, signing_key: str) -> SandboxCluster:
    return world.add_cluster("a", issuer=ISSUER, public=True, signing_key=signing_key)


@pytest.fixture
def connect() -> Iterator[Callable[[SandboxCluster], Caller]]:
    """Makes an admin's caller of a cluster."""
    pools: list[urllib3.PoolManager] = []

    def made(cluster: SandboxCluster) -> Caller:
        context = ssl.create_default_context(cadata=cluster.certificate_authority)
        pool = urllib3.PoolManager(ssl_context=context, timeout=10)
        pools.append(pool)
        return Caller(cluster, pool, cluster.admin_token)

    yield made
    for pool in pools:
        pool.clear()


@pytest.fixture
def admin(cluster: SandboxCluster, connect: Callable[[SandboxCluster], Caller]) -> Caller:
    return connect(cluster)
