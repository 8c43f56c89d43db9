from __future__ import annotations

from collections.abc import Callable

import pytest

from kube import transport
from kube.client import Access, Client
from kube.idle import IdleConnections
from tests.unit.kube.conftest import TinyServer

Opener = Callable[[Access], Client]


@pytest.fixture
def clients(
    start_server: Callable[..., TinyServer], open_client: Opener
) -> tuple[TinyServer, Client, Client]:
    """A server, its client, and the client of another server."""
    server, other = start_server(), start_server()
    return server, open_client(server.access()), open_client(other.access())


def test_a_server_used_lately_keeps_its_connection(
    clients: tuple[TinyServer, Client, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_IDLE", IdleConnections(limit=2))
    server, client, other = clients

    for each in (client, other, client):
        each.read_path("/version")

    assert 1 == server.connections


def test_beyond_the_limit_the_one_used_longest_ago_connects_anew(
    clients: tuple[TinyServer, Client, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_IDLE", IdleConnections(limit=1))
    server, client, other = clients

    for each in (client, other, client):
        each.read_path("/version")

    assert 2 == server.connections


def test_a_closed_client_takes_no_place(
    clients: tuple[TinyServer, Client, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_IDLE", IdleConnections(limit=1))
    server, client, other = clients
    other.read_path("/version")
    other.close()

    for _ in range(2):
        client.read_path("/version")

    assert 1 == server.connections
