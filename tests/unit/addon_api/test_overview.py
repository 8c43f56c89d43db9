"""`-overview`, its counts, and the filters of the list."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fleet import statuses
from schemas.status import AddOnStatus, ClusterStatus, Issue, State
from tests.support.hub import CONNECTION, START, Hub, manifest


def names(hub: Hub, query: str) -> list[str]:
    answer = hub.get(f"/org/acme/mk8s?{query}").json
    assert answer is not None
    return [item["name"] for item in answer["items"]]


def standings(hub: Hub, query: str = "") -> Any:
    answer = hub.get(f"/org/acme/-overview/standings?{query}", caller="viewer").json
    assert answer is not None
    return answer["standings"]


@pytest.fixture
def fleet(hub: Hub) -> Hub:
    """aa1 is Ready, bb1 and bb2 lack a role, cc1 is not connected."""
    for name in ("aa1", "bb1", "bb2", "cc1"):
        hub.put(manifest(name))
    for name in ("aa1", "bb1", "bb2"):
        hub.call("PUT", f"/org/acme/mk8s/{name}/-connection", json=CONNECTION)
    ends = {"credentials": {"expiresAt": "2026-11-22T12:00:00Z"}}
    identity = AddOnStatus(State.READY)
    ready = AddOnStatus(State.READY, details=ends)
    hub.report("aa1", ClusterStatus(add_ons={"awsECR": ready, "awsWorkloadIdentity": identity}))
    missing = AddOnStatus(State.BLOCKED, issues=(Issue("RoleArnMissing", "", ""),))
    for name in ("bb1", "bb2"):
        hub.report(name, ClusterStatus(add_ons={"awsECR": missing, "awsWorkloadIdentity": identity}))
    return hub


def test_the_fleet_at_once(fleet: Hub) -> None:
    assert {
        "kind": "overview",
        "standings": {"Ready": 1, "Blocked": 2, "NotConnected": 1},
        "issues": [{"code": "RoleArnMissing", "clusters": 2, "first": ["bb1", "bb2"]}],
        "firstToExpire": {"cluster": "aa1", "expiresAt": "2026-11-22T12:00:00Z"},
        "firstConnectionToExpire": {"cluster": "aa1", "expiresAt": CONNECTION["expiresAt"]},
    } == fleet.get("/org/acme/-overview", caller="viewer").json


def test_a_fleet_of_nothing_has_nothing_that_expires(hub: Hub) -> None:
    assert {
        "kind": "overview",
        "standings": {},
        "issues": [],
        "firstToExpire": None,
        "firstConnectionToExpire": None,
    } == hub.get("/org/acme/-overview").json


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("standing=Blocked", ["bb1", "bb2"]),
        ("issue=RoleArnMissing&text=bb2", ["bb2"]),
        ("text=BB%20generic", ["bb1", "bb2"]),
        ("text=%25", []),
        ("text=", ["aa1", "bb1", "bb2", "cc1"]),
        ("standing=NotConnected&issue=RoleArnMissing", []),
    ],
)
def test_the_list_and_the_counts_take_the_same_filters(fleet: Hub, query: str, expected: list[str]) -> None:
    assert expected == names(fleet, query)
    assert len(expected) == sum(standings(fleet, query).values())


def test_a_standing_that_is_none_is_refused(fleet: Hub) -> None:
    for path in ("mk8s", "-overview/standings"):
        answer = fleet.get(f"/org/acme/{path}?standing=Fine")
        assert answer.json is not None
        assert (400, "?standing") == (answer.status_code, answer.json["details"][0]["path"])


def test_the_next_and_the_previous_page_keep_the_filter(fleet: Hub) -> None:
    first = fleet.get("/org/acme/mk8s?limit=1&text=bb&standing=Blocked").json
    assert first is not None
    following = {link["rel"]: link["href"] for link in first["links"]}
    second = fleet.get(following["next"]).json
    assert second is not None
    preceding = {link["rel"]: link["href"] for link in second["links"]}
    assert {"self", "prev"} == set(preceding)

    assert ["bb2"] == [item["name"] for item in second["items"]]
    assert first == fleet.get(preceding["prev"]).json


def test_a_cluster_says_how_it_stands_and_when_its_credentials_expire(fleet: Hub) -> None:
    found = fleet.show("aa1")["status"]
    assert ("Ready", "2026-11-22T12:00:00Z", None) == (
        found["standing"],
        found["credentialsExpireAt"],
        found["lastSeen"],
    )


def test_a_cluster_says_when_it_answered_last(fleet: Hub) -> None:
    statuses.seen(fleet.database, {fleet.stored("aa1").uid: START + timedelta(hours=1)})

    assert "2026-11-22T06:40:00Z" == fleet.show("aa1")["status"]["lastSeen"]


def test_every_standing_shown_is_the_one_that_is_counted(fleet: Hub) -> None:
    fleet.call("DELETE", "/org/acme/mk8s/bb1")
    answer = fleet.get("/org/acme/mk8s").json
    assert answer is not None
    for item in answer["items"]:
        assert item["name"] in names(fleet, f"standing={item['status']['standing']}")
    assert {"Ready": 1, "Blocked": 1, "NotConnected": 1, "Removing": 1} == standings(fleet)


def test_another_organisation_is_not_counted(fleet: Hub) -> None:
    assert {"kind": "standings", "standings": {}} == fleet.get(
        "/org/other/-overview/standings", caller="stranger"
    ).json
