"""The engine with its threads and the machine's clock: what it takes up, what it gives up, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from controller.engine import ControllerSettings, Engine
from fleet import clusters, looking, shards, work
from fleet.work import Bell
from kube.objects import DEPLOYMENT
from reconcile.clock import SystemClock, SystemRandom
from sandbox.world import SandboxCluster
from schemas.agent_documents import AGENT_ACCOUNT, NAMESPACE_NAME
from schemas.status import State
from tests.contract.controller.harness import ALICE, BOTH, Hub


@contextmanager
def running(hub: Hub, *, look_seconds: float = 3600.0) -> Iterator[Engine]:
    settings = ControllerSettings(
        agent_image="registry.example.org/pullpass@sha256:1",
        allow_loopback=True,
        workers=2,
        failing_workers=1,
        look_seconds=look_seconds,
    )
    shards.release(hub.database, "process-1")  # who made it Ready
    engine = Engine(hub.database, settings, clock=SystemClock(), random=SystemRandom(), dial=hub.wire.dial)
    stop = threading.Event()
    thread = threading.Thread(target=engine.run, args=(stop,))
    thread.start()
    try:
        yield engine
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def until(hub: Hub, holds: Callable[[], bool]) -> None:
    """Waits for the fleet to change until `holds`."""
    stop = threading.Event()
    bell = Bell(hub.database)
    clock = SystemClock()
    deadline = clock.monotonic() + 20
    try:
        while not holds():
            assert clock.monotonic() < deadline
            bell.wait(0.2, stop)
    finally:
        bell.close()


def state(hub: Hub) -> State | None:
    found = hub.status().add_ons.get("awsECR")
    return found.state if found is not None else None


def test_a_change_is_taken_up_and_finished(hub: Hub) -> None:
    with running(hub):
        until(hub, lambda: state(hub) is State.INSTALLING)
        until(hub, lambda: work.due(hub.database, range(shards.SHARDS)) == ())
        hub.report()
        until(hub, lambda: state(hub) is State.READY)


def test_a_cluster_that_comes_later_is_taken_up(new_hub: Callable[..., Hub]) -> None:
    hub = new_hub()
    hub.install_rights()
    hub.wish({})
    with running(hub):
        hub.wish(BOTH)
        until(hub, lambda: state(hub) is State.BLOCKED)
        hub.connect()
        until(hub, lambda: state(hub) is State.INSTALLING)


def test_drift_is_found_by_a_periodic_look(ready_hub: Hub) -> None:
    ready_hub.admin.delete(DEPLOYMENT, AGENT_ACCOUNT, namespace=NAMESPACE_NAME)
    with running(ready_hub, look_seconds=0.2):
        until(ready_hub, lambda: len(ready_hub.objects()) == 14)


def test_a_removal_goes_through(ready_hub: Hub) -> None:
    with running(ready_hub):
        clusters.remove(ready_hub.database, ALICE, ready_hub.key, now=ready_hub.clock.now())
        until(ready_hub, lambda: ready_hub.configuration().removing)
        ready_hub.report()
        until(ready_hub, lambda: not ready_hub.exists())


def test_a_clean_stop_gives_the_shards_up(hub: Hub) -> None:
    with running(hub):
        until(hub, lambda: state(hub) is State.INSTALLING)
    mine = shards.heartbeat(hub.database, "next", now=SystemClock().now())
    assert len(mine) == shards.SHARDS


def test_a_dead_cluster_is_retried_in_the_failing_lane_and_its_work_is_finished(
    hub: Hub, cluster: SandboxCluster
) -> None:
    cluster.take_down()
    with running(hub):
        until(hub, lambda: state(hub) is State.FAILED)
        until(hub, lambda: work.due(hub.database, range(shards.SHARDS)) == ())
        cluster.bring_up()
        until(hub, lambda: state(hub) is State.INSTALLING)


def test_a_look_that_was_asked_for_comes_at_once_and_reaches_the_agent(ready_hub: Hub) -> None:
    ready_hub.admin.delete(DEPLOYMENT, AGENT_ACCOUNT, namespace=NAMESPACE_NAME)
    with running(ready_hub):  # which looks by itself within the hour
        looked = looking.look(ready_hub.database, ALICE, ready_hub.key, now=SystemClock().now())
        until(ready_hub, lambda: len(ready_hub.objects()) == 14)
        until(ready_hub, lambda: ready_hub.configuration().generation == looked.generation)
