"""What the API asks on every request is one statement, and an index answers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from fleet import clusters, issuers, overview, tokens, work
from fleet.database import Database
from fleet.filters import Filter
from fleet.records import Cluster
from fleet.standing import Standing
from tests.unit.fleet.samples import NOW, ROLE_ARN

READS: dict[str, Callable[[Database, Cluster], object]] = {
    "authenticate": lambda database, _: tokens.authenticate(database, "pp_any", now=NOW),
    "read": lambda database, cluster: clusters.read(database, cluster.key),
    "load": lambda database, cluster: clusters.load(database, cluster.uid),
    "page": lambda database, _: clusters.page(database, "acme", after="a"),
    "page back": lambda database, _: clusters.page(database, "acme", before="z"),
    "page of a standing": lambda database, _: clusters.page(
        database, "acme", only=Filter(standing=Standing.READY)
    ),
    "page of an issue": lambda database, _: clusters.page(database, "acme", only=Filter(issue="Any")),
    "page of a text": lambda database, _: clusters.page(database, "acme", only=Filter(text="any text")),
    "counts": lambda database, _: overview.counts(database, "acme", Filter(issue="Any", text="any")),
    "role_sharers": lambda database, _: clusters.role_sharers(database, "acme", [ROLE_ARN, "other"]),
    "issuer": lambda database, _: issuers.read(database, "any"),
    "due": lambda database, _: work.due(database, [1, 2, 3]),
    "population": lambda database, _: work.population(database, [1, 2, 3]),
}


@pytest.fixture
def executed(database: Database) -> list[tuple[str, Any]]:
    """Every statement from now on, with its parameters."""
    seen: list[tuple[str, Any]] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def remember(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        seen.append((statement, parameters))

    return seen


@pytest.mark.parametrize("name", READS)
def test_a_hot_read_is_one_statement(
    database: Database, stored: Cluster, executed: list[tuple[str, Any]], name: str
) -> None:
    executed.clear()

    READS[name](database, stored)

    assert 1 == len(executed)


@pytest.mark.parametrize("name", READS)
def test_a_hot_read_scans_no_table(
    database: Database, stored: Cluster, executed: list[tuple[str, Any]], name: str
) -> None:
    executed.clear()
    READS[name](database, stored)
    [(statement, parameters)] = executed

    with database.read() as session:
        if database.is_postgresql:
            session.exec_driver_sql(
                "SET enable_seqscan = off"
            )  # a small table is scanned unless nothing else can be
            explain = "EXPLAIN"
        else:
            explain = "EXPLAIN QUERY PLAN"
        plan = session.exec_driver_sql(f"{explain} {statement}", parameters).all()

    steps = [str(row[-1]) for row in plan]
    assert [] == [step for step in steps if step.startswith("SCAN") or "Seq Scan" in step]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # PostgreSQL's planner goes by statistics
@pytest.mark.parametrize("text", ["text", ""])
def test_finding_and_counting_read_no_row_of_a_cluster(
    database: Database, stored: Cluster, executed: list[tuple[str, Any]], text: str
) -> None:
    executed.clear()
    overview.counts(database, "acme", Filter(text=text, issue="Any"))
    clusters.page(database, "acme", only=Filter(text=text, issue="Any"))

    with database.read() as session:
        for statement, parameters in list(executed):
            plan = session.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            scans = [str(row[-1]) for row in plan if "name>?" in str(row[-1]) or "(org=?)" in str(row[-1])]
            assert ["SEARCH clusters USING COVERING INDEX ix_clusters_found"] == [
                scan.partition(" (")[0] for scan in scans
            ]
