"""Finding clusters by state, issue and text, a page at a time, forwards and back; and the fleet at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet import clusters, connections, overview, shards, statuses
from fleet.clusters import Wish
from fleet.database import Database
from fleet.filters import Filter
from fleet.overview import Expiry, Hit, Overview
from fleet.records import ClusterKey, Principal
from fleet.standing import Standing
from schemas.status import AddOnStatus, ClusterStatus, Issue, State
from tests.unit.fleet.samples import CONNECTION, NOW, ROLE_ARN, ecr_manifest, manifest

EVERYTHING = Filter()


def create(database: Database, admin: Principal, name: str, description: str = "", **tags: str) -> None:
    wish = Wish({**manifest(name), "description": description, "tags": tags})
    clusters.create(database, admin, ClusterKey(admin.org, name), wish, now=NOW)


def report(
    database: Database, admin: Principal, name: str, state: State, *codes: str, ends: str | None = None
) -> None:
    """Connects the cluster and writes a status."""
    key = ClusterKey(admin.org, name)
    connections.put(database, admin, key, CONNECTION, now=NOW)
    uid = clusters.read(database, key).uid
    issues = tuple(Issue(code, "", "") for code in codes)
    details = {} if ends is None else {"credentials": {"expiresAt": ends}}
    status = ClusterStatus(add_ons={"awsECR": AddOnStatus(state, issues=issues, details=details)})
    epochs = shards.heartbeat(database, "controller", now=NOW)
    shard = shards.shard_of(uid)
    statuses.write(database, uid, status, [], shard=shard, epoch=epochs[shard], now=NOW)


def names(database: Database, only: Filter, *, org: str = "acme") -> list[str]:
    return [cluster.key.name for cluster in clusters.page(database, org, only=only).items]


def found(database: Database, text: str) -> list[str]:
    return names(database, Filter(text=text))


@pytest.fixture
def fleet(database: Database, admin: Principal) -> Database:
    """Clusters a1 to a4: Ready, Failed, Blocked, and one that is not connected."""
    for name in ("a1", "a2", "a3", "a4"):
        create(database, admin, name)
    report(database, admin, "a1", State.READY, ends="2026-11-22T12:00:00Z")
    report(database, admin, "a2", State.FAILED, "EcrAccessDenied", "RoleArnMissing")
    report(database, admin, "a3", State.BLOCKED, "RoleArnMissing", ends="2026-11-22T09:00:00Z")
    return database


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (EVERYTHING, ["a1", "a2", "a3", "a4"]),
        (Filter(standing=Standing.READY), ["a1"]),
        (Filter(standing=Standing.NOT_CONNECTED), ["a4"]),
        (Filter(standing=Standing.REMOVING), []),
        (Filter(issue="RoleArnMissing"), ["a2", "a3"]),
        (Filter(issue="RoleArnMissing", standing=Standing.FAILED), ["a2"]),
        (Filter(issue="RoleArnMissing", text="3"), ["a3"]),
        (Filter(issue="Nothing"), []),
        (Filter(text="a"), ["a1", "a2", "a3", "a4"]),
    ],
)
def test_a_filter_lets_through_what_it_names(fleet: Database, only: Filter, expected: list[str]) -> None:
    assert expected == names(fleet, only)
    assert len(expected) == sum(overview.counts(fleet, "acme", only).values())


def test_nothing_of_another_organisation_is_found(fleet: Database) -> None:
    assert [] == names(fleet, Filter(text="a"), org="other")
    assert {} == overview.counts(fleet, "other", EVERYTHING)


@pytest.mark.parametrize(
    "text",
    ["demo", "DEMO", "em", "shop window", "window  shop", "team=shop", "generic", "Ünïcode", "role/pull"],
)
def test_each_word_is_found_wherever_it_stands(database: Database, admin: Principal, text: str) -> None:
    wish = Wish(
        {**ecr_manifest("demo", ROLE_ARN), "description": "The Window ünïCODE", "tags": {"team": "shop"}}
    )
    clusters.create(database, admin, ClusterKey("acme", "demo"), wish, now=NOW)
    create(database, admin, "another", "nothing")

    assert ["demo"] == [name for name in found(database, text) if name == "demo"]


@pytest.mark.parametrize("text", ["%", "_", "\\", "50%_of\\it", "%%", "\\%", "__"])
def test_the_signs_of_like_mean_themselves(database: Database, admin: Principal, text: str) -> None:
    create(database, admin, "plain", "abc 50 of it")
    create(database, admin, "signs", "x 50%_of\\it %% __ \\% x")

    assert ["signs"] == found(database, text)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60))
def test_any_text_finds_itself(database: Database, admin: Principal, text: str) -> None:
    key = ClusterKey("acme", "self")
    clusters.put(database, admin, key, Wish({**manifest("self"), "description": text}), now=NOW)

    assert ["self"] == found(database, text)


def test_a_description_that_no_text_column_takes_is_stored(database: Database, admin: Principal) -> None:
    create(database, admin, "odd", "before\x00after \ud800")

    assert ["odd"] == found(database, "beforeafter")


def test_a_text_longer_than_what_is_searched_is_stored(database: Database, admin: Principal) -> None:
    create(database, admin, "long", "\U0001f600" * 5000)

    assert ["long"] == found(database, "long \U0001f600")


@pytest.mark.parametrize("only", [EVERYTHING, Filter(text="c"), Filter(standing=Standing.NOT_CONNECTED)])
def test_pages_lead_forwards_and_back(database: Database, admin: Principal, only: Filter) -> None:
    for number in range(7):
        create(database, admin, f"c{number}")

    first = clusters.page(database, "acme", limit=3, only=only)
    second = clusters.page(database, "acme", after=first.after, limit=3, only=only)
    third = clusters.page(database, "acme", after=second.after, limit=3, only=only)
    second_again = clusters.page(database, "acme", before=third.before, limit=3, only=only)
    first_again = clusters.page(database, "acme", before=second_again.before, limit=3, only=only)

    shown = [[cluster.key.name for cluster in page.items] for page in (first, second, third)]
    assert [["c0", "c1", "c2"], ["c3", "c4", "c5"], ["c6"]] == shown
    assert (None, None) == (first.before, third.after)
    assert second == second_again
    assert first == first_again


def test_before_the_first_and_behind_the_last_there_is_nothing(database: Database, admin: Principal) -> None:
    create(database, admin, "only")

    assert () == clusters.page(database, "acme", before="a").items
    assert () == clusters.page(database, "acme", after="z").items


def test_the_overview_counts_names_and_dates(fleet: Database) -> None:
    assert Overview(
        {Standing.READY: 1, Standing.FAILED: 1, Standing.BLOCKED: 1, Standing.NOT_CONNECTED: 1},
        [Hit("RoleArnMissing", 2, ("a2", "a3")), Hit("EcrAccessDenied", 1, ("a2",))],
        Expiry("a3", NOW.replace(hour=9, minute=0, second=0, microsecond=0)),
        Expiry("a1", NOW.replace(microsecond=0, second=0) + timedelta(days=30)),
    ) == overview.read(fleet, "acme")


def test_the_overview_of_nothing_is_empty(fleet: Database) -> None:
    assert Overview({}, [], None, None) == overview.read(fleet, "other")


def test_an_issue_names_its_first_three_clusters(database: Database, admin: Principal) -> None:
    for name in ("d", "b", "c", "a"):
        create(database, admin, name)
        report(database, admin, name, State.BLOCKED, "RoleArnMissing")

    assert [Hit("RoleArnMissing", 4, ("a", "b", "c"))] == list(overview.read(database, "acme").issues)
