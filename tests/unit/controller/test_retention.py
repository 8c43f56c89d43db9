"""When the state is swept: hourly, and a batch at a time."""

from __future__ import annotations

from datetime import timedelta

from controller.retention import BATCH_SECONDS, SWEEP_SECONDS, Retention
from fleet import audit
from fleet.database import Database
from tests.unit.controller.samples import NOW

OLD = NOW - timedelta(days=401)


def record(database: Database, records: int) -> None:
    with database.write() as session:
        for _ in range(records):
            audit.record(session, None, "update", org="acme", name="demo", now=OLD)


def left(database: Database) -> int:
    with database.read() as session:
        return int(session.exec_driver_sql("SELECT count(*) FROM audit").scalar_one())


def test_a_sweep_takes_a_batch_at_a_time(database: Database) -> None:
    record(database, 700)
    retention = Retention(database, audit_days=400)

    counts = []
    for at in (0.0, BATCH_SECONDS / 2, BATCH_SECONDS):
        retention.go_on(at=at, now=NOW)
        counts.append(left(database))

    assert [200, 200, 0] == counts


def test_after_a_sweep_the_next_one_comes_in_an_hour(database: Database) -> None:
    retention = Retention(database, audit_days=400)
    retention.go_on(at=0.0, now=NOW)
    record(database, 3)

    counts = []
    for at in (SWEEP_SECONDS - 1, SWEEP_SECONDS):
        retention.go_on(at=at, now=NOW)
        counts.append(left(database))

    assert [3, 0] == counts


def test_a_sweep_begins_at_the_oldest_record_again(database: Database) -> None:
    record(database, 501)
    retention = Retention(database, audit_days=400)
    for at in (0.0, BATCH_SECONDS):
        retention.go_on(at=at, now=NOW)
    with database.write() as session:
        session.exec_driver_sql(
            "INSERT INTO audit SELECT 1, 'acme', time, principal, action, resource, name, version FROM"
            " (SELECT '2020-01-01 00:00:00.000000' AS time, 'x' AS principal, 'update' AS action, 'mk8s' AS resource,"
            " 'demo' AS name, NULL AS version)"
        )

    retention.go_on(at=BATCH_SECONDS + SWEEP_SECONDS, now=NOW)

    assert 0 == left(database)


def test_without_an_age_records_are_kept_for_ever(database: Database) -> None:
    record(database, 3)

    Retention(database, audit_days=0).go_on(at=0.0, now=NOW)

    assert 3 == left(database)
