"""When clusters answered last: gathered, written rarely and together, and never in the way of anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from controller.outcomes import Obstacle, judge
from controller.sightings import FLUSH_SECONDS, Sightings
from fleet import clusters
from fleet.clusters import Wish
from fleet.database import Database
from fleet.errors import DatabaseUnavailable
from fleet.records import ClusterKey, Principal, Role
from fleet.sealing import Sealer
from kube import errors
from tests.unit.controller.samples import GENERIC, NOW

ADMIN = Principal("token-1", "alice", "acme", Role.ADMIN)
KEY = ClusterKey("acme", "demo")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(
        f"sqlite:///{tmp_path}/pullpass.db", sealer=Sealer((bytes(32),)), lock_timeout_seconds=0.1
    )
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def uid(database: Database) -> str:
    manifest = {"kind": "mk8s", "name": "demo", "spec": {"version": "1.34.4", "provider": GENERIC}}
    return clusters.create(database, ADMIN, KEY, Wish(manifest), now=NOW).cluster.uid


@pytest.fixture
def commits(database: Database, uid: str) -> list[str]:
    """One entry for each transaction that is committed from now on."""
    seen: list[str] = []
    event.listen(database.engine, "commit", lambda _: seen.append("commit"))
    return seen


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """Somebody else writes, and does not come to an end."""
    other = Database(str(database.engine.url), sealer=database.sealer)
    with other.write() as session:
        yield
        session.rollback()
    other.close()


def test_nothing_is_written_before_its_time(database: Database, uid: str, commits: list[str]) -> None:
    sightings = Sightings(database, started_at=100.0)

    sightings.note(uid, NOW)
    sightings.flush(100.0 + FLUSH_SECONDS - 0.1)

    assert [] == commits
    assert clusters.read(database, KEY).last_seen is None


def test_many_looks_are_one_write(database: Database, uid: str, commits: list[str]) -> None:
    sightings = Sightings(database, started_at=0.0)

    for seconds in range(20):
        sightings.note(uid, NOW + timedelta(seconds=seconds))
        sightings.note(f"other-{seconds}", NOW)
        sightings.flush(float(seconds))
    sightings.flush(FLUSH_SECONDS)
    sightings.flush(FLUSH_SECONDS + 1)

    assert ["commit"] == commits
    assert NOW + timedelta(seconds=19) == clusters.read(database, KEY).last_seen


def test_without_news_nothing_is_written(database: Database, uid: str, commits: list[str]) -> None:
    sightings = Sightings(database, started_at=0.0)

    sightings.note(uid, NOW)
    sightings.flush(FLUSH_SECONDS)
    sightings.flush(2 * FLUSH_SECONDS)

    assert ["commit"] == commits


def test_the_end_writes_what_is_left(database: Database, uid: str) -> None:
    sightings = Sightings(database, started_at=0.0)

    sightings.note(uid, NOW)
    sightings.flush(1.0, ending=True)

    assert NOW == clusters.read(database, KEY).last_seen


def test_a_database_that_does_not_answer_only_puts_it_off(database: Database, uid: str) -> None:
    sightings = Sightings(database, started_at=0.0)
    sightings.note(uid, NOW)
    sightings.note("other", NOW)

    with locked(database):
        sightings.flush(FLUSH_SECONDS)
    sightings.note("other", NOW + timedelta(seconds=1))
    sightings.flush(FLUSH_SECONDS + 1)
    assert clusters.read(database, KEY).last_seen is None
    sightings.flush(2 * FLUSH_SECONDS)

    assert NOW == clusters.read(database, KEY).last_seen


@pytest.mark.parametrize(
    ("error", "reached"),
    [
        (errors.Unreachable("no route"), False),
        (errors.Unauthorized(401, "Unauthorized", "no"), False),
        (Obstacle("ConnectionMissing", "none is stored"), False),
        (DatabaseUnavailable("away"), False),
        (errors.Forbidden(403, "Forbidden", "alice cannot get resource"), True),
        (errors.Invalid(422, "Invalid", "no"), True),
        (Obstacle("AlreadyManaged", "by another"), True),
    ],
)
def test_a_cluster_is_seen_when_it_answers_and_lets_us_in(error: Exception, reached: bool) -> None:
    failure = judge(error)
    assert failure is not None

    assert reached == failure.reached
