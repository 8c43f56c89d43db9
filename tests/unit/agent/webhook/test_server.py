import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from http.client import HTTPConnection

import pytest

from agent.webhook import certificate
from agent.webhook.review import Answer, Review
from reconcile.clock import FakeClock
from tests.unit.agent.webhook.conftest import Serving, ask, review

START = datetime(2026, 11, 22, tzinfo=UTC)
Serve = Callable[..., Serving]


def ended(client: socket.socket) -> bool:
    """Whether the server gives this connection up (waits for it)."""
    try:
        return client.recv(1) == b""
    except OSError as error:
        return not isinstance(error, TimeoutError)


def test_answers_a_review(serving: Serving) -> None:
    status, body = serving.post(review(name="web"))
    response = json.loads(body)["response"]
    patch = json.loads(base64.b64decode(response["patch"]))
    assert (200, True, ["mind"]) == (status, response["allowed"], response["warnings"])
    assert [{"op": "add", "path": "/metadata/labels", "value": {"seen": "web"}}] == patch


def test_counts_by_path_and_answer(serving: Serving) -> None:
    serving.post(review())
    serving.post(review(operation="DELETE"))
    assert [("/answered", True), ("/answered", False)] == serving.counted.reviews


def test_many_reviews_share_a_connection(serving: Serving) -> None:
    with serving.client() as client:
        local = client.sock.getsockname()
        assert [200] * 5 == [serving.ask(client, review())[0] for _ in range(5)]
        assert local == client.sock.getsockname()


def test_the_query_that_the_api_server_adds_does_not_matter(serving: Serving) -> None:
    with serving.client() as client:
        assert ask(client, review(), f"/answered/{serving.word()}?timeout=3s")[0] == 200


@pytest.mark.parametrize("target", ["/answered", "/answered/", "/answered/x", "/", "/x/../answered"])
def test_who_does_not_know_the_word_is_not_answered(serving: Serving, target: str) -> None:
    with serving.client() as client:
        assert ask(client, review(), target)[0] == 404
    assert [] == serving.counted.reviews


def test_a_malformed_review_is_answered_with_400_and_the_connection_goes_on(serving: Serving) -> None:
    with serving.client() as client:
        assert [400, 200] == [serving.ask(client, body)[0] for body in (b"nonsense", review())]
    assert ["MalformedReview"] == serving.counted.failures


def test_a_handler_that_raises_is_answered_with_500_and_the_connection_goes_on(serving: Serving) -> None:
    with serving.client() as client:
        status, body = serving.ask(client, review(), "/broken")
        assert (500, 200) == (status, serving.ask(client, review())[0])
    assert b"own fault" not in body
    assert ["WebhookHandler"] == serving.counted.failures


def test_another_path_is_not_found(serving: Serving) -> None:
    assert serving.post(review(), "/elsewhere")[0] == 404


def test_another_media_type_is_not_taken(serving: Serving) -> None:
    assert serving.post(review(), **{"Content-Type": "text/plain"})[0] == 415


def test_a_body_without_a_length_is_not_taken(serving: Serving) -> None:
    assert serving.post(review(), **{"Transfer-Encoding": "chunked"})[0] == 411


@pytest.mark.parametrize("length", ["9000000", "9" * 30, "9" * 5000])
def test_a_body_that_is_too_large_is_not_read(serving: Serving, length: str) -> None:
    with serving.connection() as client:
        client.sendall(
            f"POST /answered/{serving.word()} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        assert client.recv(12) == b"HTTP/1.1 413"


def test_a_large_body_within_the_limit_is_answered(serving: Serving) -> None:
    assert serving.post(review({"data": "x" * 3_000_000}))[0] == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "NONSENSE"])
def test_only_post_is_served(serving: Serving, method: str) -> None:
    with serving.client() as client:
        client.request(method, "/answered")
        assert client.getresponse().status == 501


def test_a_client_that_waits_for_leave_to_send_gets_it(serving: Serving) -> None:
    body = review()
    with serving.connection() as client:
        client.sendall(
            f"POST /answered/{serving.word()} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
            + f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        client.sendall(body)
        assert client.recv(12) == b"HTTP/1.1 200"


def test_tls_before_1_2_is_refused(serving: Serving) -> None:
    context = serving.trust()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with serving.connection(context) as client:
        assert client.version() == "TLSv1.3"
    contexts = serving.server._listener._serve.__self__._contexts  # type: ignore[attr-defined]  # the bound method's
    assert contexts.newest().minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    "bytes_sent",
    [b"", b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x00\xff" + b"\x00" * 300, b"\xff" * 2000],
    ids=["nothing", "plain HTTP", "a broken hello", "noise"],
)
def test_a_client_that_speaks_no_tls_costs_the_others_nothing(serving: Serving, bytes_sent: bytes) -> None:
    with serving.plain() as client:
        client.sendall(bytes_sent)
        client.shutdown(socket.SHUT_WR)
        assert serving.post(review())[0] == 200


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"POST /answered HTTP/1.1\r\nHost: x",
        b"POST /answered HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
        b"\x00\xff nonsense\r\n\r\n",
        b"POST /answered HTTP/9.9\r\n\r\n",
        b"A" * 70_000,
        b"POST /answered HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"POST /answered HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n",
        b"POST /answered HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: \xb2\r\n\r\n",
    ],
)
def test_a_client_that_breaks_off_costs_the_others_nothing(serving: Serving, bytes_sent: bytes) -> None:
    with serving.connection() as client:
        client.sendall(bytes_sent)
    assert serving.post(review())[0] == 200
    assert [] == serving.counted.failures


def test_a_handshake_that_takes_too_long_is_ended(serve: Serve) -> None:
    clock = FakeClock(START)
    serving = serve(clock)
    with serving.plain() as client:
        client.sendall(b"\x16")
        assert wait_for(lambda: serving.server.connections == 1)
        clock.advance(6)
        assert ended(client)


def test_a_request_that_trickles_in_is_ended(serve: Serve) -> None:
    clock = FakeClock(START)
    serving = serve(clock)
    with serving.connection() as client:
        client.sendall(b"POST /answered HTTP/1.1\r\n")
        assert wait_for(lambda: [10.0] == [each.deadline for each in serving.server._connections._open])
        clock.advance(5)
        client.sendall(b"X: y\r\n")
        clock.advance(6)
        assert ended(client)


def test_an_idle_connection_outlives_the_api_servers_own_limit(serve: Serve) -> None:
    clock = FakeClock(START)
    serving = serve(clock)
    with serving.client() as client:
        serving.ask(client, review())
        assert wait_for(
            lambda: any(each.idle_since is not None for each in serving.server._connections._open)
        )
        clock.advance(95)
        assert serving.post(review())[0] == 200  # the reaper has looked meanwhile
        assert serving.ask(client, review())[0] == 200


def test_an_idle_connection_is_ended_at_last(serve: Serve) -> None:
    clock = FakeClock(START)
    serving = serve(clock)
    with serving.client() as client:
        serving.ask(client, review())
        assert wait_for(
            lambda: any(each.idle_since is not None for each in serving.server._connections._open)
        )
        clock.advance(121)
        assert ended(client.sock)


def test_one_connection_too_many_takes_the_place_of_the_longest_idle_one(serving: Serving) -> None:
    clients: list[ssl.SSLSocket] = []
    try:
        trust = serving.trust()
        for _ in range(64):
            clients.append(trust.wrap_socket(serving.plain(), server_hostname=certificate.NAMES[0]))
            # One after the other, for the first to be the longest idle.
            assert wait_for(
                lambda: all(each.idle_since is not None for each in serving.server._connections._open)
            )
        assert serving.server.connections == 64
        assert serving.post(review())[0] == 200
        assert ended(clients[0])
    finally:
        for client in clients:
            client.close()


def test_no_more_threads_than_connections_are_allowed(serve: Serve) -> None:
    release = threading.Event()
    begun = threading.Semaphore(0)

    def slow(_: Review) -> Answer:
        begun.release()
        release.wait(60)
        return Answer()

    serving = serve(slow=slow)
    before = threading.active_count()
    clients = []
    try:
        for _ in range(64):
            secured = serving.trust().wrap_socket(serving.plain(), server_hostname=certificate.NAMES[0])
            clients.append(client := HTTPConnection("x"))
            client.sock = secured
            client.request("POST", f"/slow/{serving.word()}", review(), {"Content-Type": "application/json"})
            assert begun.acquire(timeout=60)  # until then it counts as idle, and would give its place up
        with serving.plain() as refused:
            assert ended(refused)
        assert threading.active_count() <= before + 64
        release.set()
        assert {200} == {client.getresponse().status for client in clients}
    finally:
        release.set()
        for client in clients:
            client.close()


def test_without_a_certificate_connections_are_closed(serving: Serving) -> None:
    context = serving.trust()
    serving.kept = None
    with pytest.raises((ssl.SSLError, OSError)), serving.connection(context):
        pass


def test_a_certificate_that_cannot_be_loaded_costs_only_the_handshake(serving: Serving) -> None:
    good, context = serving.kept, serving.trust()
    assert good is not None
    broken = replace(good.serving, certificate=b"no PEM", key=b"")
    serving.kept = certificate.Kept(broken, good.authorities)
    with pytest.raises((ssl.SSLError, OSError)), serving.connection(context):
        pass
    serving.kept = good
    assert serving.post(review())[0] == 200


def test_a_rotation_goes_unnoticed_by_live_connections_and_is_taken_by_new_ones(serving: Serving) -> None:
    old = serving.kept
    assert old is not None
    with serving.client() as client:
        assert serving.ask(client, review())[0] == 200
        upcoming = certificate.with_next(old, datetime.now(UTC))
        serving.kept = certificate.promoted(upcoming)
        assert serving.ask(client, review())[0] == 200
        with pytest.raises(ssl.SSLCertVerificationError), serving.connection(serving.trust(old)):
            pass
        with serving.client(serving.trust(upcoming)) as other:
            assert serving.ask(other, review())[0] == 200
        assert serving.ask(client, review())[0] == 200


def test_stopping_lets_a_request_under_way_end(serve: Serve) -> None:
    begun, release = threading.Event(), threading.Event()

    def slow(_: Review) -> Answer:
        begun.set()
        release.wait(60)
        return Answer()

    serving = serve(slow=slow)
    with serving.client() as client, serving.connection() as idle:
        client.request("POST", f"/slow/{serving.word()}", review(), {"Content-Type": "application/json"})
        assert begun.wait(60)
        stopping = threading.Thread(target=serving.server.stop)
        stopping.start()
        assert ended(idle)
        release.set()
        assert client.getresponse().status == 200
        stopping.join(60)
        assert not stopping.is_alive()
    assert serving.server.connections == 0


def wait_for(holds: Callable[[], bool]) -> bool:
    """Whether it holds within a minute."""
    waiting = threading.Event()
    for _ in range(12_000):
        if holds():
            return True
        waiting.wait(0.005)
    return False
