"""What must not be lost between two processes, or between two threads of one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from controller.engine import ControllerSettings
from controller.errands import Errands
from fleet import clusters, connections, errands, shards, work
from fleet.database import Database
from fleet.errands import ErrandKind
from fleet.errors import DatabaseUnavailable
from fleet.records import Errand
from kube.client import Client
from reconcile.clock import SystemClock
from schemas.status import State
from tests.contract.controller.harness import ALICE, BOTH, Hub
from tests.contract.controller.test_engine import running, state, until

SETTINGS = ControllerSettings(agent_image="registry.example.org/pullpass@sha256:1", allow_loopback=True)
ALL = range(shards.SHARDS)


def ask(hub: Hub, **body: Any) -> Errand:
    return errands.ask(hub.database, ALICE, hub.key, ErrandKind.DOCTOR, body, now=SystemClock().now())


def done(hub: Hub, asked: Errand) -> bool:
    return errands.find(hub.database, hub.key, asked.id).finished_at is not None


def test_an_installation_that_another_process_began_goes_on_at_once(hub: Hub) -> None:
    hub.run()
    hub.answer_as_agent()
    work.finish(hub.database, hub.uid, generation=hub.stored().generation)
    assert state(hub) is State.INSTALLING
    with running(hub):  # which looks by itself within the hour
        until(hub, lambda: state(hub) is State.READY)


def test_a_removal_that_another_process_began_goes_on_at_once(ready_hub: Hub) -> None:
    clusters.remove(ready_hub.database, ALICE, ready_hub.key, now=ready_hub.clock.now())
    ready_hub.run()
    ready_hub.answer_as_agent()
    work.finish(ready_hub.database, ready_hub.uid, generation=ready_hub.stored().generation)
    with running(ready_hub):
        until(ready_hub, lambda: not ready_hub.exists())


def test_an_errand_whose_work_row_was_finished_before_anybody_saw_it_is_done(ready_hub: Hub) -> None:
    with running(ready_hub):
        until(ready_hub, lambda: work.due(ready_hub.database, ALL) == ())
        with ready_hub.database.write() as session:  # as a run that ends at this moment would finish it
            session.exec_driver_sql(
                "CREATE TRIGGER gone AFTER INSERT ON work BEGIN DELETE FROM work WHERE id = NEW.id; END"
            )
        asked = ask(ready_hub)
        assert work.due(ready_hub.database, ALL) == ()
        until(ready_hub, lambda: done(ready_hub, asked))


def test_an_errand_whose_result_could_not_be_stored_is_done_again(
    ready_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, refused = errands.finish, threading.Event()

    def refuse_once(*args: Any, **named: Any) -> None:
        if not refused.is_set():
            refused.set()
            raise DatabaseUnavailable("the server closed the connection")
        store(*args, **named)

    monkeypatch.setattr("controller.errands.errands.finish", refuse_once)
    with running(ready_hub):
        asked = ask(ready_hub)
        until(ready_hub, lambda: done(ready_hub, asked))
    assert refused.is_set()


@pytest.fixture
def doer(ready_hub: Hub) -> Iterator[Errands]:
    started = Errands(ready_hub.database, SETTINGS, clock=SystemClock())
    started.start()
    yield started
    started.stop(5)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_costs_no_thread_that_does_errands(
    ready_hub: Hub, doer: Errands, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = errands.finish

    def fail_for_others(database: Database, errand_id: str, *args: Any, **named: Any) -> None:
        if errand_id not in good:
            raise ValueError("a bug")
        store(database, errand_id, *args, **named)

    monkeypatch.setattr("controller.errands.errands.finish", fail_for_others)
    held = shards.heartbeat(ready_hub.database, "process-1", now=SystemClock().now())
    asked = [ask(ready_hub, number=number) for number in range(7)]  # there are four threads
    good = {asked[-1].id}
    doer.take(asked, held)
    until(ready_hub, lambda: done(ready_hub, asked[-1]))


def test_a_removal_that_is_cancelled_at_its_end_leaves_a_cluster_that_is_looked_at(
    ready_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget = clusters.forget

    def cancel_first(*args: Any, **named: Any) -> bool:
        ready_hub.wish(BOTH)
        return forget(*args, **named)

    monkeypatch.setattr("controller.cluster.clusters.forget", cancel_first)
    clusters.remove(ready_hub.database, ALICE, ready_hub.key, now=ready_hub.clock.now())
    gone = []
    while ready_hub.objects():
        gone.append(ready_hub.run().gone)
        ready_hub.answer_as_agent()
        ready_hub.clock.advance(5)
    assert not any(gone)
    assert ready_hub.stored().removal is None


def test_a_connection_that_is_deleted_is_hung_up(ready_hub: Hub) -> None:
    memory = ready_hub.reconciler._memories.get(ready_hub.uid)
    assert memory is not None
    assert isinstance(memory.client, Client)
    connections.delete(ready_hub.database, ALICE, ready_hub.key, now=ready_hub.clock.now())
    ready_hub.run()
    assert memory.client is None
