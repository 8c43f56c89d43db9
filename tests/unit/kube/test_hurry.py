from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from kube import errors, hurry, transport
from kube.client import Access, Client
from kube.objects import CONFIG_MAP, NAMESPACE
from reconcile.clock import SystemClock
from tests.support import certificates
from tests.unit.kube.conftest import Exchange, TinyServer

Opener = Callable[[Access], Client]


def for_seconds(seconds: float) -> Callable[[], float]:
    clock = SystemClock()
    until = clock.monotonic() + seconds
    return lambda: until - clock.monotonic()


def once(begun: Sequence[object], seconds: float = 0.3) -> Callable[[], float]:
    """Time enough until something has begun, and so many seconds from then on."""
    clock = SystemClock()
    until: list[float] = []

    def left() -> float:
        if not begun:
            return 60.0
        until[:] = until or [clock.monotonic() + seconds]
        return until[0] - clock.monotonic()

    return left


def drips(released: threading.Event) -> Iterator[bytes]:
    """A byte now and then, well within the time-out of a socket, for ten seconds."""
    for _ in range(200):
        if released.wait(0.05):
            return
        yield b" "


def test_requests_that_each_keep_their_time_out_end_together(server: TinyServer, open_client: Opener) -> None:
    def hesitate(exchange: Exchange) -> None:
        server.released.wait(0.1)
        exchange.json({"items": [], "metadata": {}})

    server.answer = hesitate
    client = open_client(server.access(timeout_seconds=0.5)).within(for_seconds(0.55))

    def ask_often() -> None:
        for _ in range(20):
            client.list(CONFIG_MAP)

    with pytest.raises(errors.OutOfTime):
        ask_often()

    assert len(server.seen) < 7


def test_an_answer_that_drips_is_not_read_for_longer(server: TinyServer, open_client: Opener) -> None:
    def drip(exchange: Exchange) -> None:
        exchange._handler.send_response(200)
        exchange._handler.send_header("Content-Length", "1000")
        exchange._handler.end_headers()
        for byte in drips(server.released):
            exchange._handler.wfile.write(byte)

    server.answer = drip

    with pytest.raises(errors.OutOfTime):
        open_client(server.access()).within(once(server.seen)).get(NAMESPACE, "a")


def test_a_head_that_drips_is_not_read_for_longer(server: TinyServer, open_client: Opener) -> None:
    def drip(exchange: Exchange) -> None:
        exchange._handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for byte in drips(server.released):
            exchange._handler.wfile.write(byte)

    server.answer = drip

    with pytest.raises(errors.OutOfTime):
        open_client(server.access()).within(once(server.seen)).get(NAMESPACE, "a")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_drips_is_not_waited_for_longer(
    server: TinyServer,
    open_client: Opener,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    scheme: str,
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    certificate, key = server.authority.server("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        certificates.write_private(tmp_path / "proxy.crt", certificate),
        certificates.write_private(tmp_path / "proxy.key", key),
    )
    trusting = transport._verifying(server.authority.certificate)  # as the system trusts a proxy's authority
    monkeypatch.setattr(transport, "_system_tls_context", lambda: trusting)
    asked: list[bytes] = []

    def drip() -> None:
        with listener, listener.accept()[0] as plain:
            caller = context.wrap_socket(plain, server_side=True) if scheme == "https" else plain
            with caller:
                asked.append(caller.recv(4096))
                caller.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
                for byte in drips(server.released):
                    try:
                        caller.sendall(byte)
                    except OSError:  # it has gone
                        return

    proxy = threading.Thread(target=drip)
    proxy.start()
    access = server.access(proxy=f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
    try:
        with pytest.raises(errors.OutOfTime):
            open_client(access).within(once(asked)).get(NAMESPACE, "a")
    finally:
        server.released.set()
        proxy.join()
    assert asked[0].startswith(b"CONNECT 127.0.0.1:")


def test_without_time_nothing_is_sent(server: TinyServer, client: Client) -> None:
    with pytest.raises(errors.OutOfTime):
        client.within(lambda: 0.0).get(NAMESPACE, "a")

    assert (0, []) == (client.requests, server.seen)


def test_a_failure_in_time_keeps_its_own_words(server: TinyServer, open_client: Opener) -> None:
    server.answer = lambda exchange: exchange.chunks(b'{"kind":', ended=False)

    with pytest.raises(errors.Unreachable) as caught:
        open_client(server.access()).within(for_seconds(60)).get(NAMESPACE, "a")

    assert errors.Unreachable is type(caught.value)


def test_who_asks_without_an_end_is_not_hurried(server: TinyServer, client: Client) -> None:
    left = iter([1.0])
    with pytest.raises(errors.OutOfTime):
        client.within(lambda: next(left, 0.0)).get(NAMESPACE, "a")

    client.get(NAMESPACE, "b")

    assert "/api/v1/namespaces/b" == server.seen[-1].path
    assert 5.0 == hurry.cut(5.0)


def test_a_socket_has_its_own_time_out_again_afterwards(server: TinyServer, client: Client) -> None:
    client.within(for_seconds(60)).get(NAMESPACE, "a")

    client.get(NAMESPACE, "a")

    assert (2, 1) == (len(server.seen), server.connections)
