"""The event log of a cluster."""

from __future__ import annotations

import pytest

from fleet import clusters, events
from fleet.clusters import Wish
from fleet.database import Database
from fleet.events import NewEvent
from fleet.records import Cluster, ClusterKey, Principal
from schemas.errors import Invalid, NotFound
from tests.unit.fleet.samples import NOW, manifest


def tell(database: Database, cluster: Cluster, *reasons: str) -> None:
    with database.write() as session:
        told = [NewEvent("Normal", reason, "") for reason in reasons]
        events.add(session, cluster.uid, told, now=NOW)


def test_the_newest_event_comes_first_and_ids_sort_so(database: Database, stored: Cluster) -> None:
    tell(database, stored, "First", "Second")

    page = events.page(database, stored.key)

    assert ["Second", "First", "Created"] == [event.reason for event in page.items]
    ids = [event.id for event in page.items]
    assert sorted(ids, reverse=True) == ids
    assert page.after is None


def test_pages_join_without_gap_or_double_while_new_events_come(database: Database, stored: Cluster) -> None:
    tell(database, stored, *"abcd")

    first = events.page(database, stored.key, limit=2)
    tell(database, stored, "e")
    second = events.page(database, stored.key, limit=2, after=first.after)
    third = events.page(database, stored.key, limit=2, after=second.after)

    reasons = [[event.reason for event in page.items] for page in (first, second, third)]
    assert [["d", "c"], ["b", "a"], ["Created"]] == reasons
    assert third.after is None


def test_the_last_thousand_of_a_cluster_are_kept(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    other = clusters.put(
        database, admin, ClusterKey("acme", "other"), Wish(manifest("other")), now=NOW
    ).cluster
    tell(database, stored, *(f"e{number}" for number in range(1500)))

    kept = events.page(database, stored.key, limit=2000).items

    assert [f"e{number}" for number in reversed(range(500, 1500))] == [event.reason for event in kept]
    assert 1 == len(events.page(database, other.key).items)


def test_events_of_an_unknown_cluster_are_refused(database: Database) -> None:
    with pytest.raises(NotFound):
        events.page(database, ClusterKey("acme", "nobody"))


@pytest.mark.parametrize("after", ["", "1", "x" * 19, "²" * 19, "-000000000000000001"])
def test_a_place_that_is_no_events_id_is_refused(database: Database, stored: Cluster, after: str) -> None:
    with pytest.raises(Invalid):
        events.page(database, stored.key, after=after)


def test_events_end_with_their_cluster(database: Database, admin: Principal, stored: Cluster) -> None:
    clusters.remove(database, admin, stored.key, now=NOW)

    with database.read() as session:
        assert 0 == session.exec_driver_sql("SELECT count(*) FROM events").scalar_one()
