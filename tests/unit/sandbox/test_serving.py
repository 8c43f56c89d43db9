"""The loopback server: one connection, many requests, and an end that leaves nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pytest
import urllib3

from sandbox.serving import DESERTED, HangUp, LoopbackServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/hang-up":
        raise HangUp
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/stream":
        return iter([b"one\n", b"", b"two\n"])
    if path == "/query":
        return [environ["QUERY_STRING"].encode()]
    return [environ["REQUEST_METHOD"].encode(), b" ", environ["wsgi.input"].read()]


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    server = LoopbackServer(app)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    pool = urllib3.PoolManager(retries=False, timeout=60)
    yield pool
    pool.clear()


def test_a_body_arrives_and_comes_back(server: LoopbackServer, pool: urllib3.PoolManager) -> None:
    assert b"POST hello" == pool.request("POST", server.url, body=b"hello").data


def test_a_connection_serves_one_request_after_another(
    server: LoopbackServer, pool: urllib3.PoolManager
) -> None:
    for _ in range(3):
        pool.request("GET", server.url)

    connections = pool.connection_from_url(server.url)
    assert isinstance(connections, urllib3.HTTPConnectionPool)
    assert 1 == connections.num_connections


def test_a_stream_is_sent_in_chunks(server: LoopbackServer, pool: urllib3.PoolManager) -> None:
    answer = pool.request("GET", f"{server.url}/stream")

    assert ("chunked", b"one\ntwo\n") == (answer.headers["Transfer-Encoding"], answer.data)


def test_the_query_is_passed_as_sent(server: LoopbackServer, pool: urllib3.PoolManager) -> None:
    assert b"a=%20b" == pool.request("GET", f"{server.url}/query?a=%20b").data


def test_a_head_has_no_body(server: LoopbackServer, pool: urllib3.PoolManager) -> None:
    assert b"" == pool.request("HEAD", server.url).data


def test_an_app_may_hang_up(server: LoopbackServer, pool: urllib3.PoolManager) -> None:
    with pytest.raises(urllib3.exceptions.ProtocolError):
        pool.request("GET", f"{server.url}/hang-up")


def test_a_port_refuses_connections_until_the_server_starts(pool: urllib3.PoolManager) -> None:
    waiting = LoopbackServer(app)

    with pytest.raises(urllib3.exceptions.NewConnectionError):
        pool.request("GET", waiting.url)

    waiting.stop()


def test_a_taken_port_is_replaced_by_a_free_one(server: LoopbackServer) -> None:
    other = LoopbackServer(app, port=server.port)
    other.stop()

    assert server.port != other.port


def test_a_client_that_has_gone_is_noticed() -> None:
    noticed = threading.Event()

    def patient(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])

        def lines() -> Iterator[bytes]:
            yield b"first\n"
            while not environ[DESERTED]():
                pass
            noticed.set()

        return lines()

    server = LoopbackServer(patient)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.recv(1000)
    seen = noticed.wait(60)
    server.stop()

    assert seen


def test_a_stopped_server_leaves_no_thread_even_with_a_client_connected() -> None:
    before = set(threading.enumerate())
    server = LoopbackServer(app)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.recv(1000)
        server.stop()

    assert set() == set(threading.enumerate()) - before
