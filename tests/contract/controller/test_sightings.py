"""When a cluster answered last, told by every run that reached it and by no other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from fleet import statuses
from sandbox.world import SandboxCluster
from tests.contract.controller.harness import BOTH, Hub
from tests.contract.controller.test_engine import running, until


def test_a_run_that_went_through_answered(ready_hub: Hub) -> None:
    assert ready_hub.run().answered


def test_a_status_that_changes_brings_the_time_along(ready_hub: Hub) -> None:
    assert ready_hub.stored().last_seen is not None


def test_a_cluster_that_stops_answering_keeps_its_old_time(ready_hub: Hub, cluster: SandboxCluster) -> None:
    statuses.seen(ready_hub.database, {ready_hub.uid: ready_hub.clock.now()})
    seen = ready_hub.stored().last_seen
    ready_hub.clock.advance(timedelta(hours=1).total_seconds())
    cluster.take_down()

    answered = [ready_hub.run().answered for _ in range(3)]

    assert [False] * 3 == answered
    assert seen == ready_hub.stored().last_seen


def test_a_cluster_without_a_connection_has_never_answered(new_hub: Callable[..., Hub]) -> None:
    hub = new_hub()
    hub.wish(BOTH)

    assert not hub.run().answered
    assert hub.stored().last_seen is None


def test_a_look_that_changes_nothing_is_written_when_the_engine_ends(ready_hub: Hub) -> None:
    before = ready_hub.stored()
    assert before.last_seen is not None
    with running(ready_hub, look_seconds=0.05) as engine:
        until(ready_hub, lambda: bool(engine._sightings._noted))

    after = ready_hub.stored()
    assert after.last_seen is not None
    assert after.last_seen > before.last_seen
    assert before.status == after.status
