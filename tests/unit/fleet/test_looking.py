"""A look that was asked for: a change of the generation alone, once for as long as it is under way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from fleet import clusters, events, looking, shards, statuses, work
from fleet.database import Database
from fleet.records import Cluster, ClusterKey, Principal
from schemas.errors import Conflict, NotFound
from schemas.status import AddOnStatus, ClusterStatus, State
from tests.unit.fleet.samples import NOW

LATER = NOW + timedelta(minutes=1)
Hold = Callable[[str], tuple[int, int]]


def observe(database: Database, cluster: Cluster, hold_shards: Hold, state: State) -> None:
    """A controller looked, and left nothing due."""
    shard, epoch = hold_shards(cluster.uid)
    status = ClusterStatus(observed_generation=cluster.generation, add_ons={"awsECR": AddOnStatus(state)})
    statuses.write(database, cluster.uid, status, (), shard=shard, epoch=epoch, now=NOW)
    work.finish(database, cluster.uid, generation=cluster.generation)


def due(database: Database) -> list[int]:
    return [item.generation for item in work.due(database, range(shards.SHARDS))]


@pytest.mark.parametrize("state", [State.READY, State.BLOCKED, State.FAILED, State.DEGRADED])
def test_a_settled_cluster_is_due_under_a_new_generation(
    database: Database, admin: Principal, connected: Cluster, hold_shards: Hold, state: State
) -> None:
    observe(database, connected, hold_shards, state)
    looked = looking.look(database, admin, connected.key, now=LATER)
    assert (connected.generation + 1, connected.version) == (looked.generation, looked.version)
    assert looked.generation == clusters.read(database, connected.key).generation
    assert [looked.generation] == due(database)


def test_who_asked_stands_in_the_events(
    database: Database, admin: Principal, connected: Cluster, hold_shards: Hold
) -> None:
    observe(database, connected, hold_shards, State.FAILED)
    looking.look(database, admin, connected.key, now=LATER)
    newest = events.page(database, connected.key).items[0]
    assert ("LookRequested", "alice asked to look now") == (newest.reason, newest.message)


@pytest.mark.parametrize("state", [State.INSTALLING, State.REMOVING])
def test_what_is_under_way_is_not_begun_again_but_looked_at(
    database: Database, admin: Principal, connected: Cluster, hold_shards: Hold, state: State
) -> None:
    observe(database, connected, hold_shards, state)
    assert connected.generation == looking.look(database, admin, connected.key, now=LATER).generation
    assert [connected.generation] == due(database)


def test_asking_again_before_anybody_looked_changes_nothing(
    database: Database, admin: Principal, connected: Cluster, hold_shards: Hold
) -> None:
    observe(database, connected, hold_shards, State.FAILED)
    first, again = (looking.look(database, admin, connected.key, now=LATER) for _ in range(2))
    assert first == again
    assert ["LookRequested"] == [
        event.reason
        for event in events.page(database, connected.key).items
        if event.reason == "LookRequested"
    ]


def test_a_cluster_without_a_connection_is_refused(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    with pytest.raises(Conflict, match="not connected"):
        looking.look(database, admin, stored.key, now=LATER)


def test_a_cluster_that_is_not_there_is_not_found(database: Database, admin: Principal) -> None:
    with pytest.raises(NotFound):
        looking.look(database, admin, ClusterKey("acme", "nowhere"), now=LATER)
