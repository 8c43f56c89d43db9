"""Queries over an organisation's clusters, on both databases: the order, the pages, and what columns answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from fleet import clusters, queries
from fleet.clusters import Wish
from fleet.database import Database
from fleet.records import Cluster, ClusterKey, Page, Principal
from schemas import query
from schemas.errors import Invalid
from tests.unit.fleet.samples import NOW, manifest

TEAMS = {"aa1": "red", "bb1": "blue", "cc1": "red", "dd1": None, "ee1": "Red"}


def show(cluster: Cluster) -> Mapping[str, Any]:
    return {
        "name": cluster.key.name,
        "id": cluster.uid,
        "version": cluster.version,
        "created": cluster.created.isoformat(),
        "tags": cluster.manifest.get("tags") or {},
        "spec": cluster.manifest["spec"],
        "status": {"standing": "NotConnected"},
    }


@pytest.fixture
def fleet(database: Database, admin: Principal) -> dict[str, Cluster]:
    made = {}
    for number, (name, team) in enumerate(TEAMS.items()):
        tags = {} if team is None else {"team": team, "n": number}
        wish = Wish({**manifest(), "name": name, "tags": tags})
        now = NOW - timedelta(days=number)
        made[name] = clusters.put(database, admin, ClusterKey("acme", name), wish, now=now).cluster
    clusters.put(database, admin, ClusterKey("other", "aa1"), Wish({**manifest(), "name": "aa1"}), now=NOW)
    return made


def ask(
    database: Database, *terms: dict[str, Any], after: str | None = None, limit: int = 50, **spec: Any
) -> Page[Cluster]:
    wanted = query.parse({"spec": {"terms": list(terms), **spec}})
    return queries.page(database, "acme", wanted, show, after=after, limit=limit)


def names(page: Page[Cluster]) -> list[str]:
    return [cluster.key.name for cluster in page.items]


def test_without_terms_everything_of_the_organisation_comes_by_name(
    database: Database, fleet: dict[str, Cluster]
) -> None:
    assert sorted(TEAMS) == names(ask(database))


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ({"property": "name", "value": "cc1"}, ["cc1"]),
        ({"property": "name", "op": "~", "value": "C1"}, ["cc1"]),
        ({"property": "name", "op": "~", "value": "_"}, []),
        ({"property": "name", "op": ">", "value": "cc1"}, ["dd1", "ee1"]),
        ({"property": "*", "op": "~", "value": "RED"}, ["aa1", "cc1", "ee1"]),
        ({"property": "status.standing", "value": "NotConnected"}, sorted(TEAMS)),
        ({"property": "status.standing", "value": "Ready"}, []),
        ({"property": "created", "op": ">=", "value": (NOW - timedelta(days=1)).isoformat()}, ["aa1", "bb1"]),
        ({"tag": "team", "value": "red"}, ["aa1", "cc1"]),
        ({"tag": "team", "op": "exists"}, ["aa1", "bb1", "cc1", "ee1"]),
        ({"tag": "team", "op": "!exists"}, ["dd1"]),
        ({"tag": "te%", "op": "exists"}, []),
        ({"tag": "n", "value": 2}, ["cc1"]),
        ({"tag": "n", "value": 2.0}, ["cc1"]),
        ({"tag": "n", "op": "<=", "value": 1}, ["aa1", "bb1"]),
    ],
)
def test_a_term(
    database: Database, fleet: dict[str, Cluster], term: dict[str, Any], expected: list[str]
) -> None:
    assert expected == names(ask(database, term))


def test_an_id(database: Database, fleet: dict[str, Cluster]) -> None:
    assert ["bb1"] == names(ask(database, {"property": "id", "value": fleet["bb1"].uid}))


def test_a_tag_behind_the_end_of_what_is_searched_is_found(database: Database, admin: Principal) -> None:
    tags = {f"t{number:02}": "x" * 30 for number in range(40)} | {"last\x00": "v\x00w"}
    clusters.put(
        database, admin, ClusterKey("acme", "aa1"), Wish({**manifest(), "name": "aa1", "tags": tags}), now=NOW
    )
    assert ["aa1"] == names(ask(database, {"tag": "t39", "value": "x" * 30}))
    assert ["aa1"] == names(ask(database, {"tag": "last\x00", "value": "v\x00w"}))


def test_a_row_of_a_release_before_is_looked_at(database: Database, fleet: dict[str, Cluster]) -> None:
    with database.write() as session:
        session.exec_driver_sql("UPDATE clusters SET search = NULL")
    assert ["bb1"] == names(ask(database, {"tag": "team", "value": "blue"}))
    assert ["bb1"] == names(ask(database, {"property": "*", "op": "~", "value": "blue"}))


@pytest.mark.parametrize(("match", "expected"), [("any", ["aa1", "bb1", "cc1"]), ("none", ["dd1", "ee1"])])
def test_any_and_none_look_at_every_cluster(
    database: Database, fleet: dict[str, Cluster], match: str, expected: list[str]
) -> None:
    terms = [{"tag": "team", "value": "red"}, {"property": "name", "value": "bb1"}]
    assert expected == names(ask(database, *terms, match=match))


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ({"by": "name"}, ["aa1", "bb1", "cc1", "dd1", "ee1"]),
        ({"by": "name", "order": "desc"}, ["ee1", "dd1", "cc1", "bb1", "aa1"]),
        ({"by": "created"}, ["ee1", "dd1", "cc1", "bb1", "aa1"]),
        ({"by": "tags.team"}, ["ee1", "bb1", "aa1", "cc1", "dd1"]),
        ({"by": "tags.team", "order": "desc"}, ["aa1", "cc1", "bb1", "ee1", "dd1"]),
        ({"by": "tags.n", "order": "desc"}, ["ee1", "cc1", "bb1", "aa1", "dd1"]),
        ({"by": "spec.version"}, ["aa1", "bb1", "cc1", "dd1", "ee1"]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_follow_the_order_and_leave_nothing_out(
    database: Database, fleet: dict[str, Cluster], sort: dict[str, str], expected: list[str], limit: int
) -> None:
    seen: list[str] = []
    after = None
    while True:
        page = ask(database, sort=sort, after=after, limit=limit)
        seen += names(page)
        after = page.after
        if after is None:
            break
    assert expected == seen


@pytest.mark.parametrize(
    "after",
    [
        "",
        "x",
        "[]",
        "[[0,1]]",
        '[[1,["x"]],"n"]',
        '[[9,1],"n"]',
        '[[2,7],"n"]',
        '[[2,"x"],7]',
        '[[[],1],"n"]',
    ],
)
def test_a_place_that_no_page_gave_is_refused(
    database: Database, fleet: dict[str, Cluster], after: str
) -> None:
    with pytest.raises(Invalid):
        ask(database, sort={"by": "created"}, after=after)


def test_more_clusters_than_a_batch_are_all_looked_at(
    database: Database, fleet: dict[str, Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_BATCH", 2)
    assert ["dd1"] == names(ask(database, {"tag": "team", "op": "!exists"}))


@pytest.mark.parametrize(
    "term",
    [
        {"property": "name", "value": "cc1"},
        {"property": "id", "value": "x"},
        {"property": "status.standing", "value": "Ready"},
        {"property": "spec.addOns.awsECR.roleArn", "value": "arn:aws:iam::1:role/x"},
    ],
)
def test_what_a_column_holds_is_found_by_an_index(
    database: Database, fleet: dict[str, Cluster], term: dict[str, Any]
) -> None:
    seen: list[tuple[str, Any]] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def remember(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        seen.append((statement, parameters))

    ask(database, term)
    [(statement, parameters)] = seen
    with database.read() as session:
        if database.is_postgresql:
            session.exec_driver_sql("SET enable_seqscan = off")
        explain = "EXPLAIN" if database.is_postgresql else "EXPLAIN QUERY PLAN"
        plan = session.exec_driver_sql(f"{explain} {statement}", parameters).all()
    steps = [str(row[-1]) for row in plan]
    assert [] == [step for step in steps if step.startswith("SCAN") or "Seq Scan" in step]
