import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any

import pytest

from agent.webhook import certificate
from agent.webhook.certificate import NAMES, Kept
from agent.webhook.review import Answer, Handler, Review
from agent.webhook.server import AdmissionServer
from reconcile.clock import Clock, SystemClock

PATHS = ("/answered", "/broken")


class Counted:
    """Metrics that a test can read."""

    def __init__(self) -> None:
        self.reviews: list[tuple[str, bool]] = []
        self.failures: list[str] = []

    def reviewed(self, path: str, *, allowed: bool) -> None:
        self.reviews.append((path, allowed))

    def failed(self, reason: str) -> None:
        self.failures.append(reason)


class Serving:
    """A server with a certificate that can be exchanged, and ways to speak with it."""

    def __init__(self, handlers: dict[str, Handler], clock: Clock) -> None:
        self.kept: Kept | None = certificate.first(datetime.now(UTC))
        self.counted = Counted()
        self.server = AdmissionServer(
            0,
            loopback=True,
            certificate=lambda: self.kept.serving if self.kept is not None else None,
            handlers=handlers,
            metrics=self.counted,
            clock=clock,
        )
        self.server.start()

    def trust(self, kept: Kept | None = None) -> ssl.SSLContext:
        trusted = kept or self.kept
        assert trusted is not None
        return ssl.create_default_context(cadata=trusted.bundle.decode())

    def plain(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=60)

    @contextmanager
    def connection(self, context: ssl.SSLContext | None = None) -> Iterator[ssl.SSLSocket]:
        context = context or self.trust()
        with (
            self.plain() as plain,
            context.wrap_socket(plain, server_hostname=NAMES[0]) as secured,
        ):
            yield secured

    @contextmanager
    def client(self, context: ssl.SSLContext | None = None) -> Iterator[HTTPConnection]:
        with self.connection(context) as secured:
            client = HTTPConnection("127.0.0.1", self.server.port)
            client.sock = secured
            yield client

    def word(self) -> str:
        assert self.kept is not None
        return self.kept.serving.word

    def post(self, body: bytes, path: str = "/answered", **headers: str) -> tuple[int, bytes]:
        with self.client() as client:
            return self.ask(client, body, path, **headers)

    def ask(
        self, client: HTTPConnection, body: bytes, path: str = "/answered", **headers: str
    ) -> tuple[int, bytes]:
        return ask(client, body, f"{path}/{self.word()}", **headers)


def ask(client: HTTPConnection, body: bytes, target: str, **headers: str) -> tuple[int, bytes]:
    client.request("POST", target, body, {"Content-Type": "application/json", **headers})
    answer = client.getresponse()
    return answer.status, answer.read()


def review(obj: dict[str, Any] | None = None, **request: Any) -> bytes:
    members = {"uid": "u-1", "operation": "CREATE", "object": obj, **request}
    return json.dumps(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": members}
    ).encode()


def _answered(asked: Review) -> Answer:
    return Answer(
        allowed=asked.operation != "DELETE",
        patch=({"op": "add", "path": "/metadata/labels", "value": {"seen": asked.name}},),
        warnings=("mind",),
        message="no",
    )


def _broken(_: Review) -> Answer:
    raise RuntimeError("a handler's own fault")


@pytest.fixture
def serve() -> Iterator[Callable[..., Serving]]:
    running: list[Serving] = []

    def start(clock: Clock | None = None, **handlers: Handler) -> Serving:
        paths = {f"/{name}": handler for name, handler in handlers.items()}
        running.append(Serving({"/answered": _answered, "/broken": _broken, **paths}, clock or SystemClock()))
        return running[-1]

    yield start
    for serving in running:
        serving.server.stop()


@pytest.fixture
def serving(serve: Callable[..., Serving]) -> Serving:
    return serve()


@pytest.fixture
def later() -> Callable[[float], datetime]:
    return lambda days: datetime.now(UTC) + timedelta(days=days)
