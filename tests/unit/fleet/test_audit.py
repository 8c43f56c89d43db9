"""The audit log on both databases: what is past its age goes, batch by batch, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from fleet import audit
from fleet.audit import Trimmed
from fleet.database import Database
from tests.unit.fleet.samples import NOW

OLDEST = NOW - timedelta(days=400)
OLD = OLDEST - timedelta(seconds=1)


def record(database: Database, *times: datetime, org: str = "acme") -> None:
    with database.write() as session:
        for number, time in enumerate(times):
            audit.record(session, None, "update", org=org, name=f"{org}-{number}", now=time)


def names(database: Database, *orgs: str) -> Sequence[str]:
    return [item.name for org in orgs for item in audit.page(database, org).items]


def test_records_past_their_age_go_and_the_others_stay(database: Database) -> None:
    record(database, OLD, OLD, OLDEST, NOW)

    assert Trimmed(2, None) == audit.trim(database, oldest=OLDEST)
    assert ["acme-3", "acme-2"] == names(database, "acme")


def test_every_organisations_records_age_alike(database: Database) -> None:
    record(database, OLD, NOW, org="acme")
    record(database, OLD, NOW, org="other")

    audit.trim(database, oldest=OLDEST)

    assert ["acme-1", "other-1"] == names(database, "acme", "other")


def test_a_batch_says_behind_which_record_the_next_one_begins(database: Database) -> None:
    record(database, OLD, OLD, OLD, NOW)

    first = audit.trim(database, oldest=OLDEST, batch=2)
    assert first.last is not None
    second = audit.trim(database, oldest=OLDEST, behind=first.last, batch=2)

    assert (2, 1) == (first.records, second.records)
    assert ["acme-3"] == names(database, "acme")


def test_a_record_of_a_clock_that_was_ahead_does_not_end_the_sweep(database: Database) -> None:
    record(database, OLD, NOW, OLD, OLD, NOW, NOW)

    behind: int | None = 0
    while behind is not None:
        behind = audit.trim(database, oldest=OLDEST, behind=behind, batch=2).last

    assert ["acme-5", "acme-4", "acme-1"] == names(database, "acme")


def test_where_nothing_is_old_nothing_is_written(database: Database, second: Database) -> None:
    record(database, NOW)
    with second.write():  # whoever wrote now would wait for it in vain
        assert Trimmed(0, None) == audit.trim(database, oldest=OLDEST)


def test_a_page_that_began_before_the_trimming_goes_on(database: Database) -> None:
    record(database, OLD, OLD, NOW, NOW)
    page = audit.page(database, "acme", limit=2)
    audit.trim(database, oldest=OLDEST)

    assert ["acme-3", "acme-2"] == [item.name for item in page.items]
    assert () == audit.page(database, "acme", after=page.after, limit=2).items
