"""A small HTTP/1.1 server for WSGI apps on loopback: a thread per connection, keep-alive, TLS, chunked streams.

The standard library's servers spend more on parsing a request than the sandbox does on answering it, and leave their
threads behind; this one is asked for a few hundred requests a second and stops with nothing left over.
"""

from __future__ import annotations

import contextlib
import io
import select
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

DESERTED = "sandbox.deserted"  # in the environment: () -> bool, whether the client has gone
_MAXIMUM_BODY = 8 * 1024 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class HangUp(Exception):
    """Close the connection without an answer, as a machine that is down does."""


class LoopbackServer:
    """Serves `app` on 127.0.0.1. The port is taken (and refuses connections) from construction on.

    A `port` that somebody else has taken is replaced by a free one.
    """

    def __init__(self, app: WSGIApplication, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._app = app
        self._tls = tls
        self._listener = _bound(port)
        self._threads: set[threading.Thread] = set()
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopping = False
        self._acceptor: threading.Thread | None = None
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listens, from a thread."""
        self._listener.listen(512)
        self._acceptor = threading.Thread(target=self._accept, name=f"sandbox-{self.port}", daemon=True)
        self._acceptor.start()

    def stop(self) -> None:
        """Closes every connection and waits for its thread. Streams must have been told to end."""
        with self._lock:
            self._stopping = True
            connections = list(self._connections)
        if self._acceptor is not None:
            _shut(self._listener)
            self._acceptor.join()
        self._listener.close()
        for connection in connections:
            _shut(connection)
        for thread in list(self._threads):
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                if self._stopping:
                    connection.close()
                    return
                self._connections.add(connection)
                self._threads.add(thread)
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        connection = raw
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._wrapped(raw, self._tls)
            with connection.makefile("rb") as reader:
                while not self._stopping and self._one(connection, reader):
                    pass
        except (OSError, HangUp, ValueError):
            pass  # the client has gone, spoke no HTTP, or is to be left without an answer
        finally:
            connection.close()
            with self._lock:
                self._connections.discard(connection)
                self._threads.discard(threading.current_thread())

    def _wrapped(self, raw: socket.socket, tls: ssl.SSLContext) -> socket.socket:
        """The TLS connection, in place of the plain one that `wrap_socket` empties."""
        connection = tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._connections.discard(raw)
            self._connections.add(connection)
            stopping = self._stopping
        try:
            if not stopping:
                connection.do_handshake()
                return connection
        except OSError:
            self._forget(connection)
            raise
        self._forget(connection)
        raise HangUp

    def _forget(self, connection: socket.socket) -> None:
        connection.close()
        with self._lock:
            self._connections.discard(connection)

    def _one(self, connection: socket.socket, reader: io.BufferedReader) -> bool:
        """One request and its answer; whether another may follow."""
        first = reader.readline(65536)
        if not first.strip():
            return False
        method, target, version = first.decode("latin-1").split()
        environ = self._environ(method, target)
        while (line := reader.readline(65536).rstrip(b"\r\n")) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            environ["HTTP_" + name.upper().replace("-", "_")] = value.strip()
        if environ.get("HTTP_EXPECT", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(environ.pop("HTTP_CONTENT_LENGTH", "0") or 0)
        if "HTTP_TRANSFER_ENCODING" in environ or length > _MAXIMUM_BODY:
            connection.sendall(
                b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )
            return False
        environ["CONTENT_LENGTH"] = str(length)
        environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
        environ["wsgi.input"] = io.BytesIO(reader.read(length))
        environ[DESERTED] = lambda: bool(select.select([connection], [], [], 0)[0])
        close = environ.get("HTTP_CONNECTION", "").lower() == "close" or version != "HTTP/1.1"
        self._answer(connection, environ, close=close, head=method == "HEAD")
        return not close

    def _environ(self, method: str, target: str) -> WSGIEnvironment:
        path, _, query = target.partition("?")
        if "%" in path:
            path = unquote_to_bytes(path).decode("latin-1")
        return {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self.port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if self._tls else "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }

    def _answer(
        self, connection: socket.socket, environ: WSGIEnvironment, *, close: bool, head: bool
    ) -> None:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _: Any = None
        ) -> Callable[[bytes], object]:
            started.append((status, headers))
            return connection.sendall

        chunks = self._app(environ, start_response)
        try:
            if isinstance(chunks, list) or not started:
                chunks = [b"".join(chunks)]
            status, headers = started[-1]
            text = f"HTTP/1.1 {status}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers)
            if close:
                text += "Connection: close\r\n"
            sized = any(name.lower() == "content-length" for name, _ in headers)
            if isinstance(chunks, list):
                if not sized:
                    text += f"Content-Length: {len(chunks[0])}\r\n"
                connection.sendall(text.encode("latin-1") + b"\r\n" + (b"" if head else chunks[0]))
                return
            if not sized:
                text += "Transfer-Encoding: chunked\r\n"
            connection.sendall(text.encode("latin-1") + b"\r\n")
            if not head:
                _stream(connection, chunks, sized=sized)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()


def _stream(connection: socket.socket, chunks: Iterable[bytes], *, sized: bool) -> None:
    for chunk in chunks:
        if chunk:
            connection.sendall(chunk if sized else b"%x\r\n%b\r\n" % (len(chunk), chunk))
    if not sized:
        connection.sendall(b"0\r\n\r\n")


def status_line(code: int) -> str:
    """`404 Not Found`, as `start_response` wants it."""
    return f"{code} {_REASONS.get(code, 'Unknown')}"


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.bind(("127.0.0.1", 0))
    return listener


def _shut(connection: socket.socket) -> None:
    """Wakes whoever reads from it. The plain socket's way even for TLS, which another thread is using."""
    with contextlib.suppress(OSError):  # not connected any more
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
