"""Errands: stored once, handed to whoever holds the shard, forgotten after a while."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fleet import clusters, errands, shards, work
from fleet.database import Database
from fleet.errands import ErrandKind
from fleet.errors import StaleEpoch
from fleet.records import Cluster, ClusterKey, Errand, Principal
from schemas.errors import Conflict, NotFound
from tests.unit.fleet.samples import NOW

ALL = range(shards.SHARDS)


def ask(database: Database, who: Principal, key: ClusterKey, number: int = 0) -> Errand:
    return errands.ask(database, who, key, ErrandKind.PREVIEW, {"number": number}, now=NOW)


def test_an_errand_waits_and_makes_its_cluster_due_under_the_same_generation(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    before = clusters.read(database, stored.key).generation
    asked = ask(database, admin, stored.key)
    assert (asked,) == errands.waiting(database, ALL, now=NOW)
    assert [before] == [item.generation for item in work.due(database, ALL)]


def test_the_same_question_is_asked_once(database: Database, admin: Principal, stored: Cluster) -> None:
    assert ask(database, admin, stored.key) == ask(database, admin, stored.key)


def test_too_many_at_once_are_refused(database: Database, admin: Principal, stored: Cluster) -> None:
    for number in range(errands.MOST_WAITING):
        ask(database, admin, stored.key, number)
    with pytest.raises(Conflict):
        ask(database, admin, stored.key, errands.MOST_WAITING)


def test_what_came_of_it_is_read_by_its_id(database: Database, admin: Principal, stored: Cluster) -> None:
    asked = ask(database, admin, stored.key)
    epoch = shards.heartbeat(database, "process", now=NOW)[asked.shard]
    errands.finish(database, asked.id, {"hops": []}, shard=asked.shard, epoch=epoch, now=NOW)

    found = errands.find(database, stored.key, asked.id)

    assert ({"hops": []}, NOW) == (found.result, found.finished_at)
    assert () == errands.waiting(database, ALL, now=NOW)


def test_who_lost_the_shard_stores_nothing(database: Database, admin: Principal, stored: Cluster) -> None:
    asked = ask(database, admin, stored.key)
    epoch = shards.heartbeat(database, "process", now=NOW)[asked.shard]
    with pytest.raises(StaleEpoch):
        errands.finish(database, asked.id, {}, shard=asked.shard, epoch=epoch + 1, now=NOW)


def test_nobody_does_what_nobody_waits_for_any_more(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    ask(database, admin, stored.key)
    assert () == errands.waiting(database, ALL, now=NOW + errands.KEPT)


def test_old_errands_are_forgotten_with_the_next_one(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    old = ask(database, admin, stored.key)
    later = NOW + errands.KEPT + timedelta(seconds=1)
    errands.ask(database, admin, stored.key, ErrandKind.DOCTOR, {}, now=later)
    with pytest.raises(NotFound):
        errands.find(database, stored.key, old.id)


def test_an_errand_of_another_organisation_is_not_found(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    asked = ask(database, admin, stored.key)
    with pytest.raises(NotFound):
        errands.find(database, ClusterKey("other", stored.key.name), asked.id)


def test_a_sweep_forgets_what_nobody_can_read_any_more(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    for number in range(3):
        ask(database, admin, stored.key, number)
    young = errands.ask(database, admin, stored.key, ErrandKind.DOCTOR, {}, now=NOW + timedelta(minutes=1))

    counts = [errands.sweep(database, now=NOW + errands.KEPT, batch=2) for _ in range(3)]

    assert [2, 1, 0] == counts
    assert (young,) == errands.waiting(database, ALL, now=NOW)
