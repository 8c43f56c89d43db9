from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kube.client import Access, Client
from tests.support import certificates

Handler = Callable[["Exchange"], None]


@dataclass
class Exchange:
    """One request to the tiny server, and the ways to answer it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    _handler: BaseHTTPRequestHandler

    def json(self, document: Any, status: int = 200, **headers: str) -> None:
        self.content(json.dumps(document).encode(), status, **{"Content-Type": "application/json", **headers})

    def content(self, body: bytes, status: int = 200, **headers: str) -> None:
        self._handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.end_headers()
        self._handler.wfile.write(body)

    def chunks(self, *pieces: bytes, ended: bool = True) -> None:
        """A chunked answer; one that is not `ended` breaks off."""
        self._handler.send_response(200)
        self._handler.send_header("Transfer-Encoding", "chunked")
        self._handler.end_headers()
        for piece in pieces:
            self._handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self._handler.wfile.flush()
        if ended:
            self._handler.wfile.write(b"0\r\n\r\n")
        else:
            self._handler.close_connection = True


@dataclass
class TinyServer:
    """An https server whose answers the test writes; it stands in where a real API server would be too polite."""

    authority: certificates.Authority
    answer: Handler = lambda exchange: exchange.json({})
    seen: list[Exchange] = field(default_factory=list)
    connections: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def access(self, **changes: Any) -> Access:
        settings = {"server": self.url, "certificate_authority": self.authority.certificate}
        return Access(**{**settings, "allow_loopback": True, "timeout_seconds": 5.0, **changes})


@pytest.fixture(scope="session")
def authority() -> certificates.Authority:
    return certificates.Authority()


@pytest.fixture
def start_server(authority: certificates.Authority, tmp_path: Path) -> Iterator[Callable[..., TinyServer]]:
    """Starts tiny servers with a certificate for the given names."""
    running: list[tuple[TinyServer, ThreadingHTTPServer, threading.Thread]] = []

    def start(*names: str) -> TinyServer:
        tiny = TinyServer(authority)

        class OneHandler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                tiny.connections += 1
                super().setup()

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                exchange = Exchange(self.command, self.path, dict(self.headers), body, self)
                tiny.seen.append(exchange)
                tiny.answer(exchange)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 - http.server's names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that leaves in the middle is what some tests are about."""

        certificate, key = authority.server(*(names or ("127.0.0.1",)))
        certificate_file = certificates.write_private(tmp_path / f"{len(running)}.crt", certificate)
        key_file = certificates.write_private(tmp_path / f"{len(running)}.key", key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate_file, key_file)
        server = Quiet(("127.0.0.1", 0), OneHandler)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        tiny.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((tiny, server, thread))
        return tiny

    yield start
    for tiny, server, thread in running:
        tiny.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server(start_server: Callable[..., TinyServer]) -> TinyServer:
    return start_server()


@pytest.fixture
def open_client() -> Iterator[Callable[[Access], Client]]:
    opened: list[Client] = []

    def open_one(access: Access) -> Client:
        opened.append(Client(access))
        return opened[-1]

    yield open_one
    for client in opened:
        client.close()


@pytest.fixture
def client(server: TinyServer, open_client: Callable[[Access], Client]) -> Client:
    return open_client(server.access(token="the-token"))
