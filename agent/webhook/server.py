"""The HTTPS server of the admission webhooks.

It is made for one client, the API server, and must outlive every other: whoever can reach the pod can connect, but only
who knows the word that ends each path is answered. The
number of connections, what a request may hold and how long each may take are bounded; a body that is no review is
answered with 400; a handler that raises is answered with 500, and the API server then does what the webhook's
`failurePolicy` says. Each handshake takes the newest certificate, so a rotation needs no restart.
Started by `agent.brain` in every replica, leading or not.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol

import structlog

from agent.webhook import wire
from agent.webhook.certificate import Serving
from agent.webhook.connections import Connection, Connections
from agent.webhook.review import Handler, Review
from reconcile.clock import Clock

BODY_LIMIT_BYTES = 8 * 1024 * 1024
# Larger ones take their turn, one after the other: read and parsed, many at once would fill the pod's memory.
_LARGE_BODY_BYTES = 512 * 1024
_MOST_CONNECTIONS = 64
_HANDSHAKE_SECONDS = 5.0
_REQUEST_SECONDS = 10.0
_IDLE_SECONDS = 120.0
_GRACE_SECONDS = 3.0
_POLL_SECONDS = 0.25
_BACKLOG = 128
# OpenSSL reads certificates from files only. A pipe is one that never touches a disk; this much fits into any.
_PIPE_BYTES = 16 * 1024

_log = structlog.get_logger(__name__)


class ReviewMetrics(Protocol):
    """Counts answers; `path` is one of the handlers'."""

    def reviewed(self, path: str, *, allowed: bool) -> None:
        """A review was answered."""

    def failed(self, reason: str) -> None:
        """A handler raised, or what came was no review."""


class AdmissionServer:
    """Serves from threads of its own.

    Args:
        port: 0 takes a free one.
        loopback: Only there; else on every address of the pod, IPv4 and IPv6.
        certificate: Asked at each handshake; None where there is none yet: the connection is closed.
        handlers: By path, such as `/labelled-secrets`. Asked for is that path, a slash and the certificate's `word`.
        metrics: What is counted.
        clock: For the limits of time.

    Raises:
        OSError: the port is taken.
    """

    def __init__(
        self,
        port: int,
        *,
        loopback: bool,
        certificate: Callable[[], Serving | None],
        handlers: Mapping[str, Handler],
        metrics: ReviewMetrics,
        clock: Clock,
    ) -> None:
        self._connections = Connections(
            most=_MOST_CONNECTIONS,
            handshake_seconds=_HANDSHAKE_SECONDS,
            request_seconds=_REQUEST_SECONDS,
            idle_seconds=_IDLE_SECONDS,
            clock=clock,
        )
        serve = _Serving(
            _Contexts(certificate), self._connections, _Reviews(handlers, metrics, certificate)
        ).serve
        if loopback:
            self._listener = _Listener(("127.0.0.1", port), self._connections, serve)
        elif socket.has_dualstack_ipv6():
            self._listener = _DualStackListener(("::", port), self._connections, serve)
        else:
            self._listener = _Listener(("", port), self._connections, serve)
        self._thread = threading.Thread(
            target=partial(self._listener.serve_forever, poll_interval=_POLL_SECONDS),
            name="admission",
            daemon=True,
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.server_address[1])

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def start(self) -> None:
        """Starts serving."""
        self._thread.start()

    def stop(self) -> None:
        """Takes no new connection, ends the idle ones, and gives requests under way a few seconds."""
        with contextlib.suppress(OSError):
            self._listener.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread before its next look
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()
        self._connections.drain(_GRACE_SECONDS)


class _Listener(socketserver.TCPServer):
    allow_reuse_address = True
    request_queue_size = _BACKLOG

    def __init__(
        self, address: tuple[str, int], connections: Connections, serve: Callable[[Connection], None]
    ) -> None:
        self._connections = connections
        self._serve = serve
        super().__init__(address, socketserver.BaseRequestHandler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        connection = self._connections.admit(request)
        if connection is None:
            request.close()
            return
        thread = threading.Thread(
            target=self._serve, args=(connection,), name="admission-client", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # no more threads: this client goes, the others stay
            self._connections.close(connection)

    def service_actions(self) -> None:
        self._connections.reap()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """Instead of a traceback on standard error; the listener goes on."""
        _log.exception("a connection could not be taken")


class _DualStackListener(_Listener):
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class _Contexts:
    """The TLS context of the newest certificate, made once for each."""

    def __init__(self, certificate: Callable[[], Serving | None]) -> None:
        self._certificate = certificate
        self._lock = threading.Lock()
        self._made: tuple[Serving, ssl.SSLContext] | None = None

    def newest(self) -> ssl.SSLContext | None:
        serving = self._certificate()
        if serving is None:
            return None
        with self._lock:
            if self._made is None or self._made[0] != serving:
                self._made = (serving, _context(serving))
            return self._made[1]


def _context(serving: Serving) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with _as_file(serving.certificate) as certificate, _as_file(serving.key) as key:
        context.load_cert_chain(certificate, key)
    return context


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    if len(content) > _PIPE_BYTES:
        raise ValueError("the certificate or its key is too long")
    reading, writing = os.pipe()
    try:
        try:
            os.write(writing, content)
        finally:
            os.close(writing)
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)


class _Serving:
    """One connection from its handshake to its end, in a thread of its own."""

    def __init__(self, contexts: _Contexts, connections: Connections, reviews: _Reviews) -> None:
        self._contexts = contexts
        self._connections = connections
        self._reviews = reviews

    def serve(self, connection: Connection) -> None:
        try:
            context = self._contexts.newest()
            if context is None:
                return
            connection.socket.settimeout(_IDLE_SECONDS)
            secured = context.wrap_socket(connection.socket, server_side=True, do_handshake_on_connect=False)
            self._connections.secure(connection, secured)
            secured.do_handshake()
            _Requests(secured, connection, self._connections, self._reviews)
        except (OSError, ValueError) as error:
            # Port scans, health checks of load balancers, clients that went away: no news.
            _log.debug("a connection broke", error=type(error).__name__)
        except Exception:  # noqa: BLE001 - whatever one client brings about, the others are served
            _log.exception("unexpected failure")
        finally:
            self._connections.close(connection)


class _Reviews:
    """From a path and a body to a status and a body."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        metrics: ReviewMetrics,
        certificate: Callable[[], Serving | None],
    ) -> None:
        self._handlers = handlers
        self._metrics = metrics
        self._certificate = certificate
        self.large = threading.Lock()

    def known(self, target: str) -> str | None:
        """The path of the handler that is asked; None for another, and for who does not know the word."""
        path, _, word = target.rpartition("/")
        serving = self._certificate()
        if serving is None or not hmac.compare_digest(word.encode(), serving.word.encode()):
            return None
        return path if path in self._handlers else None

    def answer(self, path: str, body: bytes) -> tuple[HTTPStatus, bytes]:
        try:
            review = wire.read(body)
        except wire.Malformed as no:
            self._metrics.failed("MalformedReview")
            return HTTPStatus.BAD_REQUEST, f"{no}\n".encode()
        try:
            answer = self._handlers[path](review)
            content = wire.write(review, answer)
        except Exception:  # noqa: BLE001 - the API server does then what the failure policy says
            self._metrics.failed("WebhookHandler")
            _log.exception("a review could not be answered", path=path, **_named(review))
            return HTTPStatus.INTERNAL_SERVER_ERROR, b"Pullpass could not answer; the agent's log says why\n"
        self._metrics.reviewed(path, allowed=answer.allowed)
        return HTTPStatus.OK, content


def _named(review: Review) -> dict[str, str]:
    return {"operation": review.operation, "namespace": review.namespace, "name": review.name}


class _Requests(BaseHTTPRequestHandler):
    """HTTP/1.1 with keep-alive; only POST, only JSON, only with a length."""

    protocol_version = "HTTP/1.1"
    server_version = "pullpass"
    sys_version = ""
    disable_nagle_algorithm = True

    def __init__(
        self, secured: socket.socket, connection: Connection, connections: Connections, reviews: _Reviews
    ) -> None:
        self._connection = connection
        self._connections = connections
        self._reviews = reviews
        super().__init__(secured, ("", 0), None)  # type: ignore[arg-type]  # no server stands behind it

    def handle(self) -> None:
        self.close_connection = False
        while not self.close_connection and self._connections.rest(self._connection):
            self.handle_one_request()

    def parse_request(self) -> bool:
        """The first line is there: from now on the request has its time."""
        last = not self._connections.work(self._connection)
        parsed = super().parse_request()
        self.close_connection = self.close_connection or last
        return parsed

    def do_POST(self) -> None:
        path = self._reviews.known(self.path.partition("?")[0])  # the API server adds ?timeout=3s
        length = self._length()
        if path is None:
            self._refuse(HTTPStatus.NOT_FOUND)
        elif self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        elif length is None:
            self._refuse(HTTPStatus.LENGTH_REQUIRED)
        elif length > BODY_LIMIT_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif length <= _LARGE_BODY_BYTES:
            self._review(path, length)
        elif self._reviews.large.acquire(timeout=_REQUEST_SECONDS):
            try:
                self._review(path, length)
            finally:
                self._reviews.large.release()
        else:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    def _length(self) -> int | None:
        text = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (text.isascii() and text.isdigit()):
            return None
        return int(text[:20])

    def _review(self, path: str, length: int) -> None:
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        status, content = self._reviews.answer(path, body)
        json_said = "application/json" if status is HTTPStatus.OK else "text/plain; charset=utf-8"
        self._answer(status, content, json_said)

    def _refuse(self, status: HTTPStatus) -> None:
        """Without reading the body, so that nothing can follow on this connection."""
        self.close_connection = True
        self._answer(status, f"{status.phrase}\n".encode(), "text/plain; charset=utf-8")

    def _answer(self, status: HTTPStatus, content: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Counted, not logged."""
