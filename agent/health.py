"""/healthz, /readyz and /metrics, for the kubelet and for whoever scrapes the agent; and what is measured.

Started by `agent.__main__`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily

_READ_TIMEOUT_SECONDS = 10


class Metrics:
    """What the agent counts. Each agent has a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._refreshes = Counter(
            "pullpass_agent_credential_refreshes",
            "ECR credentials fetched and taken into use.",
            ["region"],
            registry=self.registry,
        )
        self._failures = Counter(
            "pullpass_agent_failures",
            "Failures by reason: an issue code, or the kind of an API server's failure.",
            ["reason"],
            registry=self.registry,
        )
        self._aws_calls = Counter(
            "pullpass_agent_aws_calls",
            "Calls to AWS by service: sts, ecr, registry.",
            ["service"],
            registry=self.registry,
        )

    def refreshed(self, region: str) -> None:
        """A new credential is in use."""
        self._refreshes.labels(region).inc()

    def failed(self, reason: str) -> None:
        """Something failed."""
        self._failures.labels(reason).inc()

    def called_aws(self, service: str) -> None:
        """A call was made."""
        self._aws_calls.labels(service).inc()

    def watch(self, expiries: Callable[[], Mapping[str, datetime]], now: Callable[[], datetime]) -> None:
        """Measures, whenever scraped, how long the credential of each region still lives."""
        self.registry.register(_Expiries(expiries, now))


class _Expiries:
    """Seconds to expiry, worked out when asked."""

    def __init__(self, expiries: Callable[[], Mapping[str, datetime]], now: Callable[[], datetime]) -> None:
        self._expiries = expiries
        self._now = now

    def collect(self) -> list[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "pullpass_agent_credential_expiry_seconds",
            "Seconds until the ECR credential in use expires.",
            labels=["region"],
        )
        now = self._now()
        for region, expires_at in self._expiries().items():
            family.add_metric([region], (expires_at - now).total_seconds())
        return [family]


class HealthServer:
    """Serves from threads of its own.

    Args:
        port: 0 takes a free one.
        loopback: Only there; else on every address of the pod, IPv4 and IPv6.
        ready: Asked for /readyz.
        metrics: For /metrics.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, port: int, *, loopback: bool, ready: Callable[[], bool], metrics: Metrics) -> None:
        handler = partial(_Handler, ready, metrics)
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
        ready: Callable[[], bool],
        metrics: Metrics,
        request: socket.socket,
        client_address: tuple[str, int],
        server: ThreadingHTTPServer,
    ) -> None:
        self._ready = ready
        self._metrics = metrics
        super().__init__(request, client_address, server)

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._answer(HTTPStatus.OK, b"ok\n")
        elif self.path == "/readyz":
            if self._ready():
                self._answer(HTTPStatus.OK, b"ok\n")
            else:
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"the first lists are not read yet\n")
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
