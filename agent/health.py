"""/healthz, /readyz and /metrics, for the kubelet and for whoever scrapes the agent.

Started by `agent.brain`, which says what is wrong, if anything is.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from agent.metrics import Metrics
from reconcile.clock import Clock

Troubles = Callable[[], tuple[str, ...]]

_READ_TIMEOUT_SECONDS = 10
# Longer than all time-outs of one task together: the API server's, AWS's with its retries, the registry's.
_WEDGED_SECONDS = 600.0


class Progress(NamedTuple):
    """Of a work queue: how many keys are ready to run, and how many runs have ended since it began."""

    waiting: int
    done: int


class Pulse:
    """Whether work moves, judged from looks at its progress every now and then: the kubelet's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen = Progress(0, 0)
        self._moved_at = clock.monotonic()

    def wedged(self, progress: Progress) -> bool:
        """Whether something has waited for ten minutes in which nothing was done."""
        now = self._clock.monotonic()
        if not progress.waiting or not self._seen.waiting or progress.done != self._seen.done:
            self._moved_at = now
        self._seen = progress
        return now - self._moved_at > _WEDGED_SECONDS


class HealthServer:
    """Serves from threads of its own.

    Args:
        port: 0 takes a free one.
        loopback: Only there; else on every address of the pod, IPv4 and IPv6.
        sick: Asked for /healthz: what only a restart mends, in a few words each.
        unready: Asked for /readyz: what is not there yet.
        metrics: For /metrics.

    Raises:
        OSError: the port is taken.
    """

    def __init__(
        self, port: int, *, loopback: bool, sick: Troubles, unready: Troubles, metrics: Metrics
    ) -> None:
        handler = partial(_Handler, {"/healthz": sick, "/readyz": unready}, metrics)
        if loopback:
            self._server = _Server(("127.0.0.1", port), handler)
        elif socket.has_dualstack_ipv6():
            self._server = _DualStackServer(("::", port), handler)
        else:
            self._server = _Server(("", port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Starts serving."""
        self._thread.start()

    def stop(self) -> None:
        """Stops serving and gives the port back."""
        with contextlib.suppress(OSError):
            self._server.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread before its next look
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _DualStackServer(_Server):
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class _Handler(BaseHTTPRequestHandler):
    timeout = _READ_TIMEOUT_SECONDS
    server_version = "pullpass"
    sys_version = ""

    def __init__(
        self,
        probes: Mapping[str, Troubles],
        metrics: Metrics,
        request: socket.socket,
        client_address: tuple[str, int],
        server: ThreadingHTTPServer,
    ) -> None:
        self._probes = probes
        self._metrics = metrics
        super().__init__(request, client_address, server)

    def do_GET(self) -> None:
        probe = self._probes.get(self.path)
        if probe is not None:
            troubles = probe()
            status = HTTPStatus.SERVICE_UNAVAILABLE if troubles else HTTPStatus.OK
            self._answer(status, ("\n".join(troubles or ("ok",)) + "\n").encode())
        elif self.path == "/metrics":
            self._answer(HTTPStatus.OK, generate_latest(self._metrics.registry), CONTENT_TYPE_LATEST)
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"/healthz, /readyz or /metrics\n")

    def _answer(
        self, status: HTTPStatus, body: bytes, content_type: str = "text/plain; charset=utf-8"
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Probes every few seconds are no news."""
