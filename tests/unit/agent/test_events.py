import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.events import BURST, REFILL_SECONDS, REPEAT_SECONDS, WAITING_LIMIT, Events
from kube.client import Client
from kube.objects import EVENT, Object
from reconcile.clock import FakeClock
from tests.unit.agent.cell import Cell, eventually

START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
ACCOUNT: Object = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"namespace": "default", "name": "default", "uid": "u-1"},
}
CLUSTER_SCOPED: Object = {
    "apiVersion": "pullpass.dev/v1",
    "kind": "ECRPullSecret",
    "metadata": {"name": "team"},
}


class Desk:
    """Where events are said, and what came of it."""

    def __init__(self, admin: Client) -> None:
        self._admin = admin
        self.clock = FakeClock(START)
        self.closed = threading.Event()
        self.client = admin.fenced(self.closed)
        self.events = Events(self.client, self.clock)

    def written(self, namespace: str = "default") -> list[dict[str, Any]]:
        found = self._admin.list(EVENT, namespace=namespace).items
        return [event for event in found if event["reportingComponent"] == "pullpass-agent"]

    def one(self) -> dict[str, Any]:
        [event] = eventually(self.written)
        return event

    def forget(self) -> None:
        for event in self.written():
            self._admin.delete(EVENT, event["metadata"]["name"], namespace="default")

    def pass_when_idle(self, seconds: float) -> None:
        self.clock.until_waiting(1)
        self.clock.advance(seconds)

    def refused(self, message: str = "403 from the API server") -> None:
        self.events.say(ACCOUNT, "WriteRefused", message, warning=True)


@pytest.fixture
def desk(cell: Cell) -> Iterator[Desk]:
    desk = Desk(cell.admin)
    desk.events.start()
    yield desk
    desk.events.stop(5)


def test_an_event_stands_on_the_object_concerned(desk: Desk) -> None:
    desk.refused()
    event = desk.one()
    expected = {
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "namespace": "default",
            "name": "default",
            "uid": "u-1",
        },
        "reason": "WriteRefused",
        "message": "403 from the API server",
        "type": "Warning",
        "source": {"component": "pullpass-agent"},
        "firstTimestamp": "2026-11-22T06:00:00Z",
        "lastTimestamp": "2026-11-22T06:00:00Z",
        "count": 1,
    }
    assert expected == {key: event[key] for key in expected}


def test_events_on_objects_without_a_namespace_go_to_default(desk: Desk) -> None:
    desk.events.say(CLUSTER_SCOPED, "Refreshed", "2 namespaces", warning=False)
    event = desk.one()
    assert ("Normal", "team") == (event["type"], event["involvedObject"]["name"])


def test_the_same_said_again_is_counted_on_one_event_once_a_minute(desk: Desk) -> None:
    desk.refused()
    desk.one()
    for _ in range(5):
        desk.refused()
    desk.pass_when_idle(REPEAT_SECONDS - 1)
    desk.clock.until_waiting(1)
    assert 1 == desk.one()["count"]
    desk.clock.advance(1)
    eventually(lambda: desk.one()["count"] > 1)
    assert (6, "2026-11-22T06:01:00Z") == (desk.one()["count"], desk.one()["lastTimestamp"])


def test_another_message_is_another_event(desk: Desk) -> None:
    desk.refused("one")
    desk.refused("two")
    eventually(lambda: len(desk.written()) > 1)
    assert {"one", "two"} == {event["message"] for event in desk.written()}


def test_one_that_the_cluster_forgot_is_written_anew(desk: Desk) -> None:
    desk.refused()
    desk.one()
    desk.clock.until_waiting(1)
    desk.forget()
    desk.clock.advance(3600)
    desk.refused()
    assert (1, "2026-11-22T07:00:00Z") == (desk.one()["count"], desk.one()["firstTimestamp"])


def test_a_storm_is_written_slowly(desk: Desk) -> None:
    for number in range(BURST + 3):
        desk.refused(f"number {number}")
    eventually(lambda: len(desk.written()) >= BURST)
    desk.clock.until_waiting(1)
    before = len(desk.written())
    desk.clock.advance(REFILL_SECONDS)
    eventually(lambda: len(desk.written()) > BURST)
    desk.clock.until_waiting(1)
    assert (BURST, BURST + 1) == (before, len(desk.written()))


def test_what_is_said_beyond_what_can_wait_is_lost(cell: Cell) -> None:
    events = Events(cell.admin, FakeClock(START))  # not started: all of it waits
    for number in range(WAITING_LIMIT + 50):
        events.say(ACCOUNT, "WriteRefused", f"number {number}", warning=True)
    assert WAITING_LIMIT == len(events._waiting)


def test_one_that_cannot_be_written_holds_up_no_other(desk: Desk) -> None:
    desk.closed.set()
    desk.refused("lost")
    eventually(lambda: not desk.events._waiting)
    desk.clock.until_waiting(1)
    desk.closed.clear()
    desk.refused("written")
    assert "written" == desk.one()["message"]


def test_what_looks_like_a_credential_is_struck_out(desk: Desk) -> None:
    desk.refused("Authorization: Bearer eyJhbGciOi.eyJzdWIiOi.c2ln was refused")
    assert "Authorization: Bearer [removed] was refused" == desk.one()["message"]


def test_a_long_name_still_makes_a_name(desk: Desk) -> None:
    metadata = {"name": "x" * 253}
    desk.events.say({**CLUSTER_SCOPED, "metadata": metadata}, "Refreshed", "news", warning=False)
    assert 253 == len(desk.one()["metadata"]["name"])


def test_it_ends_though_something_waits(desk: Desk) -> None:
    desk.refused()
    desk.one()
    desk.refused()
    desk.events.stop(5)
    assert not desk.events._thread.is_alive()
