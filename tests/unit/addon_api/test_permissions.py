from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from addon_api.permissions import GRANTED
from addon_api.routing import Context
from fleet import tokens
from fleet.records import Role
from tests.support.hub import START, Hub, manifest


def report(hub: Hub) -> dict[str, dict[str, list[str]]]:
    answer = hub.get("/org/acme/mk8s/demo/-accessreport")
    assert answer.status_code == 200, answer.text
    body: Any = answer.json
    assert body["kind"] == "accessreport"
    return {
        permission["name"]: {
            binding["principalLink"].rpartition("/")[2]: binding["grantedPermissions"]
            for binding in permission["bindings"]
        }
        for permission in body["permissions"]
    }


def permissions(hub: Hub) -> Any:
    return hub.get("/org/acme/mk8s/-schema/permissions", caller="viewer").json


def test_what_implies_and_is_implied_is_a_permission_itself(hub: Hub) -> None:
    body = permissions(hub)
    names = {item["name"] for item in body["items"]}
    assert set(body["implied"]) | {name for names in body["implied"].values() for name in names} <= names
    assert {"view", "manage"} <= names
    assert set(body["implied"]["manage"]) == names - {"manage"}


def test_every_role_may_do_what_the_smaller_ones_may(hub: Hub) -> None:
    hub.put(manifest())
    held = report(hub)
    assert all("admin" in holders for holders in held.values())
    assert {name for name, holders in held.items() if "viewer" in holders} == {"view"}
    assert {name for name, holders in held.items() if "editor" in holders} == {
        "view",
        "create",
        "edit",
        "delete",
    }


def test_a_binding_says_by_which_grant(hub: Hub) -> None:
    hub.put(manifest())
    held = report(hub)
    assert held["edit"] == {"admin": ["manage"], "editor": ["edit"]}


def test_tokens_that_are_no_longer_good_hold_nothing(hub: Hub) -> None:
    hub.put(manifest())
    soon = START + timedelta(seconds=10)
    tokens.issue(hub.database, org="acme", role=Role.VIEWER, name="brief", now=START, expires_at=soon)
    gone = tokens.issue(hub.database, org="acme", role=Role.VIEWER, name="gone", now=START)
    found = tokens.authenticate(hub.database, gone, now=START)
    assert found is not None
    tokens.revoke(hub.database, found.token_id)
    assert {"brief"} == set(report(hub)["view"]) - {"admin", "editor", "viewer"}
    hub.clock.pass_seconds(10)
    assert {"admin", "editor", "viewer"} == set(report(hub)["view"])


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("GET", "/org/<org>/mk8s/<name>", "view"),
        ("POST", "/org/<org>/mk8s", "create"),
        ("PATCH", "/org/<org>/mk8s/<name>", "edit"),
        ("DELETE", "/org/<org>/mk8s/<name>", "delete"),
        ("PUT", "/org/<org>/mk8s/<name>/-connection", "connect"),
    ],
)
def test_what_is_told_is_what_is_enforced(hub: Hub, method: str, path: str, permission: str) -> None:
    context: Context = hub.app.extensions["pullpass"]
    [needed] = [
        route.role for route in context.routes.values() if (route.method, route.path) == (method, path)
    ]
    implied = permissions(hub)["implied"]
    granting = [
        role
        for role, grants in GRANTED.items()
        if any(permission == grant or permission in implied.get(grant, []) for grant in grants)
    ]
    assert needed == min(granting)
