"""A cluster that answers, but slowly: its run ends in time, says where the time went, and harms nothing."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fleet.errands import ErrandKind
from reconcile.clock import SystemClock
from reconcile.outcome import Retryable
from schemas.connection import Connection
from schemas.status import State
from tests.contract.controller.harness import BOTH, Hub
from tests.contract.controller.test_errands import do, wish
from tests.support import certificates


def slow_at(hub: Hub, method: str, path: str = "", *, seconds: float = 9.0) -> None:
    """Each such request takes so long: less than its time-out."""

    def hear(line: str) -> None:
        if line.startswith(method) and path in line:
            hub.clock.advance(seconds)

    hub.wire.hear = hear


def test_a_run_ends_with_its_time_and_names_the_slowest_step(hub: Hub) -> None:
    slow_at(hub, "GET", "labelSelector")
    run = hub.run()
    expected = "it is too slow: 60 s were over before all was done, and most of it went into looking at what is there"
    assert isinstance(run.outcome, Retryable)
    assert hub.codes() == ["ClusterUnreachable"]
    assert hub.ecr().issues[0].message.endswith(expected)


@pytest.mark.parametrize(
    ("method", "path", "step"),
    [
        ("GET", "/clusterroles/", "asking for version, rights and issuer"),
        ("PATCH", "", "applying objects"),
    ],
)
def test_the_step_that_is_named_is_the_one_that_took_the_time(
    hub: Hub, method: str, path: str, step: str
) -> None:
    slow_at(hub, method, path, seconds=31.0)
    hub.run()
    assert hub.ecr().issues[0].message.endswith(step)


def test_no_more_is_sent_once_the_time_is_over(hub: Hub) -> None:
    slow_at(hub, "", seconds=61.0)
    hub.run()
    assert len(hub.wire.sent) == 1


def test_a_removal_that_is_cut_off_while_it_deletes_goes_on(ready_hub: Hub) -> None:
    ready_hub.wish({})
    slow_at(ready_hub, "DELETE", seconds=31.0)
    for _ in range(20):
        ready_hub.run()
        ready_hub.answer_as_agent()
        ready_hub.clock.advance(30)
    assert ready_hub.status().add_ons == {}


def test_an_installation_goes_on_from_where_each_run_was_cut_off(hub: Hub) -> None:
    slow_at(hub, "PATCH", seconds=25.0)  # two or three objects a run
    cut_off = 0
    for _ in range(30):
        cut_off += isinstance(hub.run().outcome, Retryable)
        hub.answer_as_agent()
        hub.clock.advance(10)
    assert cut_off > 1
    assert (hub.ecr().state, len(hub.objects())) == (State.READY, 14)


def test_who_asked_for_a_preview_hears_that_the_cluster_is_too_slow(ready_hub: Hub) -> None:
    slow_at(ready_hub, "", seconds=9.0)
    result = do(ready_hub, ErrandKind.PREVIEW, wish())
    assert result["error"].startswith("ClusterUnreachable: it is too slow: 60 s were over")


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[Connection]:
    """A real https server that is an API server without objects, and hesitates before each answer."""
    authority = certificates.Authority()
    certificate, key = authority.server("127.0.0.1")
    ended = threading.Event()

    class Hesitant(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            ended.wait(0.4)
            body = json.dumps({"metadata": {"resourceVersion": "1"}, "items": []}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that leaves in the middle is what this is about."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        certificates.write_private(tmp_path / "server.crt", certificate),
        certificates.write_private(tmp_path / "server.key", key),
    )
    server = Quiet(("127.0.0.1", 0), Hesitant)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Connection(
        server=f"https://127.0.0.1:{server.server_port}",
        certificate_authority=authority.certificate,
        token="the-token",
        granted_at=datetime.now(UTC),
    )
    ended.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_real_server_that_is_slow_at_everything_is_left_in_time(hub: Hub, slow_server: Connection) -> None:
    hub.wish(BOTH)
    hub.connect(slow_server)
    hub.restart(reconcile_seconds=2.0)
    hub.reconciler._clock = SystemClock()
    hub.run()
    assert hub.codes() == ["ClusterUnreachable"]
    assert hub.ecr().issues[0].message.endswith("most of it went into looking at what is there")
    assert len(hub.wire.sent) < 7
