"""Leases of shards: even, never doubled, and a new epoch at each change of owner."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from fleet import shards
from fleet.database import Database
from fleet.shards import LEASE_SECONDS, SHARDS
from tests.unit.fleet.samples import NOW

LEASE = timedelta(seconds=LEASE_SECONDS)
BEAT = LEASE / 3


def beat(database: Database, *processes: str, now: datetime = NOW) -> list[Mapping[int, int]]:
    return [shards.heartbeat(database, process, now=now) for process in processes]


@given(uid=st.text(alphabet="abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26))
def test_a_shard_is_a_stable_number_below_64(uid: str) -> None:
    assert shards.shard_of(uid) == shards.shard_of(uid)
    assert 0 <= shards.shard_of(uid) < SHARDS


def test_the_hash_of_a_uid_stays_what_it_is_stored_as() -> None:
    assert (23, 35) == (shards.shard_of("a"), shards.shard_of("b"))


def test_one_process_gets_every_shard(database: Database) -> None:
    [held] = beat(database, "a")

    assert list(range(SHARDS)) == sorted(held)
    assert {1} == set(held.values())


def test_the_next_beat_keeps_shards_and_epochs(database: Database) -> None:
    assert beat(database, "a") == beat(database, "a", now=NOW + BEAT)


def test_a_second_process_gets_its_half_once_the_first_gave_it_up(database: Database) -> None:
    first, empty = beat(database, "a", "b")
    assert {} == empty
    assert SHARDS == len(first)

    kept, gained = beat(database, "a", "b", now=NOW + BEAT)

    assert (32, 32) == (len(kept), len(gained))
    assert set(range(SHARDS)) == {*kept, *gained}
    assert all(epoch > first[shard] for shard, epoch in gained.items())


def test_a_silent_process_keeps_its_shards_until_the_lease_is_over(database: Database) -> None:
    beat(database, "a")

    [early] = beat(database, "b", now=NOW + LEASE)
    [late] = beat(database, "b", now=NOW + LEASE + timedelta(microseconds=1))

    assert {} == early
    assert dict.fromkeys(range(SHARDS), 2) == late


def test_a_process_that_comes_back_from_the_dead_gets_new_epochs(database: Database) -> None:
    beat(database, "a")
    beat(database, "b", now=NOW + 2 * LEASE)

    _, taken = beat(database, "b", "a", now=NOW + 2 * LEASE + BEAT)
    _, back = beat(database, "b", "a", now=NOW + 2 * LEASE + 2 * BEAT)

    assert 32 == len({**taken, **back})
    assert all(epoch > 2 for epoch in back.values())


def test_released_shards_are_free_at_once(database: Database) -> None:
    beat(database, "a")

    shards.release(database, "a")

    [held] = beat(database, "b")
    assert SHARDS == len(held)


def test_releasing_twice_or_unknown_changes_nothing(database: Database) -> None:
    [held] = beat(database, "a")

    shards.release(database, "unknown")

    assert [held] == beat(database, "a")


@pytest.mark.parametrize("processes", [2, 3, 7, 63, 64, 65])
def test_shares_differ_by_one_at_most(database: Database, processes: int) -> None:
    names = [f"p{number}" for number in range(processes)]
    for step in range(3):
        held = beat(database, *names, now=NOW + step * BEAT)

    sizes = [len(of_process) for of_process in held]
    assert SHARDS == sum(sizes)
    assert max(sizes) - min(sizes) <= 1


class Leases(RuleBasedStateMachine):
    """Processes that beat, fall silent, stop cleanly and come back, in any order, on one clock."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.held: dict[str, Mapping[int, int]] = {}
        self.owner_at: dict[tuple[int, int], str] = {}
        with self.database.write() as session:
            session.exec_driver_sql("DELETE FROM processes")
            session.exec_driver_sql("UPDATE shards SET owner = NULL, epoch = 0")

    @rule(process=st.sampled_from("abcde"))
    def beats(self, process: str) -> None:
        self.held[process] = shards.heartbeat(self.database, process, now=self.now)
        for lease in self.held[process].items():
            assert process == self.owner_at.setdefault(lease, process), "two owners of one epoch"

    @rule(process=st.sampled_from("abcde"))
    def stops(self, process: str) -> None:
        shards.release(self.database, process)
        self.held.pop(process, None)

    @rule(seconds=st.integers(1, 2 * LEASE_SECONDS))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def nobody_writes_under_a_lease_that_another_holds(self) -> None:
        with self.database.read() as session:
            rows = session.exec_driver_sql("SELECT id, owner, epoch FROM shards").all()
        stored = {(shard, epoch): owner for shard, owner, epoch in rows}
        for process, leases in self.held.items():
            for lease in leases.items():
                assert stored.get(lease) in {None, process}

    def teardown(self) -> None:
        """Whatever happened: processes that go on beating soon share every shard evenly."""
        self.now += 2 * LEASE
        for _ in range(3):
            self.now += BEAT
            held = [shards.heartbeat(self.database, process, now=self.now) for process in "abc"]
        assert list(range(SHARDS)) == sorted(shard for leases in held for shard in leases)
        assert [21, 21, 22] == sorted(len(leases) for leases in held)


@pytest.fixture
def leases(database: Database) -> type[Leases]:
    return type("OnDatabase", (Leases,), {"database": database})


def test_no_order_of_beats_stops_and_silences_gives_an_epoch_two_owners(leases: type[Leases]) -> None:
    run_state_machine_as_test(
        leases,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        ),
    )
