"""The bell: rings for a change of any process, at once, and never misses one between two waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from fleet import work
from fleet.database import Database
from fleet.records import Cluster
from fleet.work import Bell
from tests.support.postgresql import PostgreSql
from tests.unit.fleet.samples import change, open_database

NEVER = threading.Event()
LONG = 120.0


@pytest.fixture
def bell(database: Database, stored: Cluster) -> Iterator[Bell]:
    listening = Bell(database)
    yield listening
    listening.close()


def test_silence_lasts_for_the_time_given(bell: Bell) -> None:
    begun = monotonic()

    assert not bell.wait(0.2, NEVER)
    assert 0.2 <= monotonic() - begun < LONG


def test_no_time_only_looks(bell: Bell) -> None:
    assert not bell.wait(0, NEVER)


def test_a_change_before_the_wait_rings(bell: Bell, second: Database, stored: Cluster) -> None:
    change(second, stored.key)

    assert bell.wait(LONG, NEVER)


def test_changes_between_two_waits_ring_and_then_it_is_silent(
    bell: Bell, second: Database, stored: Cluster
) -> None:
    assert not bell.wait(0, NEVER)
    change(second, stored.key)
    change(second, stored.key)

    assert bell.wait(LONG, NEVER)
    bell.wait(0.1, NEVER)
    assert not bell.wait(0.1, NEVER)


@pytest.mark.parametrize("same_process", [True, False])
def test_a_change_during_the_wait_rings_at_once(
    bell: Bell, database: Database, second: Database, stored: Cluster, same_process: bool
) -> None:
    with ThreadPoolExecutor(1) as pool:
        begun = monotonic()
        rang = pool.submit(bell.wait, LONG, NEVER)
        change(database if same_process else second, stored.key)

        assert rang.result()
        assert monotonic() - begun < LONG / 2


def test_every_bell_rings(bell: Bell, second: Database, stored: Cluster) -> None:
    other = Bell(second)
    try:
        change(second, stored.key)

        assert bell.wait(LONG, NEVER)
        assert other.wait(LONG, NEVER)
    finally:
        other.close()


def test_stopping_ends_the_wait(bell: Bell) -> None:
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        rang = pool.submit(bell.wait, LONG, stop)
        stop.set()

        assert not rang.result(LONG / 2)


def test_a_write_that_is_undone_does_not_ring(bell: Bell, second: Database, stored: Cluster) -> None:
    with second.write() as session:
        work.enqueue(session, stored.uid, shard=0, generation=9)
        session.rollback()

    assert not bell.wait(0.1, NEVER)


def test_a_closed_bell_may_be_closed_again(bell: Bell) -> None:
    bell.close()
    bell.close()


def test_a_lost_connection_is_made_again_and_rings(postgresql: PostgreSql, postgresql_url: str) -> None:
    database = open_database(postgresql_url)
    bell = Bell(database)
    try:
        postgresql.drop_connections()

        assert bell.wait(LONG, NEVER)
        assert not bell.wait(0, NEVER)

        with database.write() as session:
            session.execute(work._NOTIFY)
        assert bell.wait(LONG, NEVER)
    finally:
        bell.close()
        database.close()
