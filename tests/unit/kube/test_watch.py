from __future__ import annotations

import json
import threading

import pytest

from kube import errors
from kube.client import Client, WatchEvent
from kube.objects import CONFIG_MAP
from kube.transport import Transport
from kube.watch import Watch
from tests.unit.kube.conftest import Exchange, TinyServer


def line(kind: str, name: str) -> bytes:
    return json.dumps({"type": kind, "object": {"metadata": {"name": name}}}).encode() + b"\n"


def refusal(code: int, reason: str) -> bytes:
    status = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "too old"}
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"


def event(kind: str, name: str) -> WatchEvent:
    return WatchEvent(kind, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})


def watch(client: Client) -> Watch:
    return client.watch(CONFIG_MAP, resource_version="7", timeout_seconds=60)


def test_the_request_asks_for_bookmarks_behind_the_version(server: TinyServer, client: Client) -> None:
    server.answer = lambda exchange: exchange.chunks()

    assert [] == list(watch(client))

    expected = "/api/v1/configmaps?watch=1&resourceVersion=7&allowWatchBookmarks=true&timeoutSeconds=60"
    assert expected == server.seen[0].path


def test_events_come_whole_however_the_stream_cuts_them(server: TinyServer, client: Client) -> None:
    both = line("ADDED", "a") + line("MODIFIED", "a") + line("DELETED", "a")
    server.answer = lambda exchange: exchange.chunks(both[:5], both[5:70], both[70:])

    assert [event("ADDED", "a"), event("MODIFIED", "a"), event("DELETED", "a")] == list(watch(client))


def test_a_watch_that_has_ended_ends_again(server: TinyServer, client: Client) -> None:
    server.answer = lambda exchange: exchange.chunks(line("ADDED", "a"))
    events = watch(client)

    assert [event("ADDED", "a")] == list(events)
    assert [] == list(events)


def test_an_old_version_has_expired_by_status(server: TinyServer, client: Client) -> None:
    server.answer = lambda exchange: exchange.json({"reason": "Expired", "message": "too old"}, 410)

    with pytest.raises(errors.Expired, match="too old"):
        watch(client)


def test_an_old_version_has_expired_by_event(server: TinyServer, client: Client) -> None:
    server.answer = lambda exchange: exchange.chunks(refusal(410, "Expired"))

    with pytest.raises(errors.Expired, match="too old"):
        list(watch(client))


def test_another_error_event_is_what_it_says(server: TinyServer, client: Client) -> None:
    server.answer = lambda exchange: exchange.chunks(line("ADDED", "a"), refusal(500, "InternalError"))
    events = watch(client)

    assert event("ADDED", "a") == next(events)
    with pytest.raises(errors.ServerError):
        next(events)


def test_a_stream_that_breaks_is_unreachable(server: TinyServer, client: Client) -> None:
    server.answer = lambda exchange: exchange.chunks(line("ADDED", "a"), b'{"type":', ended=False)
    events = watch(client)

    assert event("ADDED", "a") == next(events)
    with pytest.raises(errors.Unreachable):
        next(events)


def test_a_stream_that_ends_inside_an_event_is_unreachable(server: TinyServer, client: Client) -> None:
    server.answer = lambda exchange: exchange.chunks(b'{"type":"ADDED"')

    with pytest.raises(errors.Unreachable, match="in the middle of an event"):
        list(watch(client))


@pytest.mark.parametrize("said", [b"hello\n", b"[]\n", b'{"type":"STRANGE","object":{}}\n'])
def test_a_line_that_is_no_event_is_unreachable(server: TinyServer, client: Client, said: bytes) -> None:
    server.answer = lambda exchange: exchange.chunks(said)

    with pytest.raises(errors.Unreachable):
        list(watch(client))


def test_a_stream_that_falls_silent_is_unreachable(server: TinyServer) -> None:
    def answer_and_wait(exchange: Exchange) -> None:
        exchange.chunks(line("ADDED", "a"), ended=False)
        server.released.wait(60)

    server.answer = answer_and_wait
    transport = Transport(server.access())
    events = Watch(transport.stream("/api/v1/configmaps", headers={}, read_timeout_seconds=0.2), CONFIG_MAP)

    assert event("ADDED", "a") == next(events)
    with pytest.raises(errors.Unreachable, match=r"does not answer within 0\.2 s"):
        next(events)
    transport.close()


def test_leaving_the_block_gives_the_connection_back(server: TinyServer, client: Client) -> None:
    server.answer = lambda exchange: exchange.chunks(line("ADDED", "a"), line("ADDED", "b"))

    with watch(client) as events:
        assert event("ADDED", "a") == next(events)

    assert [] == list(events)


def test_closing_twice_or_after_the_end_is_fine(server: TinyServer, client: Client) -> None:
    server.answer = lambda exchange: exchange.chunks()
    events = watch(client)

    assert [] == list(events)
    events.close()
    events.close()


def test_a_reader_that_waits_is_woken_by_closing(server: TinyServer, client: Client) -> None:
    def answer_and_wait(exchange: Exchange) -> None:
        exchange.chunks(line("ADDED", "a"), ended=False)
        server.released.wait(30)

    server.answer = answer_and_wait
    events = watch(client)
    first = threading.Event()
    seen: list[WatchEvent] = []

    def read() -> None:
        for each in events:
            seen.append(each)
            first.set()

    reader = threading.Thread(target=read)
    reader.start()
    first.wait(60)

    events.close()
    reader.join(60)

    assert not reader.is_alive()
    assert [event("ADDED", "a")] == seen
