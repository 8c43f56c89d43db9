from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from fleet import tokens
from fleet.records import Role
from tests.support.hub import START, Hub


def test_a_known_token_is_let_in(hub: Hub) -> None:
    assert hub.get("/org/acme/mk8s", caller="viewer").status_code == 200


def test_no_token_is_told_how_to_send_one(hub: Hub) -> None:
    answer = hub.get("/org/acme/mk8s", caller=None)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="pullpass"'


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer nobody", "Token x", "Basic eDp5", "\xff", "Bearer \xff"]
)
def test_what_is_no_known_token_is_401(hub: Hub, header: str) -> None:
    assert hub.get("/org/acme/mk8s", caller=None, headers={"Authorization": header}).status_code == 401


def test_the_schemes_name_is_read_in_any_case(hub: Hub) -> None:
    headers = {"Authorization": f"bearer {hub.viewer}"}
    assert hub.get("/org/acme/mk8s", caller=None, headers=headers).status_code == 200


def test_a_bare_token_is_let_in_as_the_terraform_provider_sends_it(hub: Hub) -> None:
    assert hub.get("/org/acme/mk8s", caller=None, headers={"Authorization": hub.viewer}).status_code == 200
    assert hub.get("/org/acme/mk8s", caller=None, headers={"Authorization": "pp_nobody"}).status_code == 401


def test_an_expired_token_is_401(hub: Hub) -> None:
    text = tokens.issue(
        hub.database,
        org="acme",
        role=Role.VIEWER,
        name="short",
        now=START,
        expires_at=START + timedelta(seconds=60),
    )
    headers = {"Authorization": f"Bearer {text}"}
    assert hub.get("/org/acme/mk8s", caller=None, headers=headers).status_code == 200
    hub.clock.pass_seconds(60)
    assert hub.get("/org/acme/mk8s", caller=None, headers=headers).status_code == 401


def test_a_revoked_token_is_401_at_once(hub: Hub) -> None:
    for record in tokens.page(hub.database, "acme"):
        tokens.revoke(hub.database, record.id)
    assert hub.get("/org/acme/mk8s").status_code == 401


def test_another_organisations_clusters_do_not_show(hub: Hub) -> None:
    assert hub.get("/org/acme/mk8s", caller="stranger").status_code == 404


def test_a_token_in_the_query_is_not_taken(hub: Hub) -> None:
    assert (
        hub.get(f"/org/acme/mk8s?token={hub.admin}&access_token={hub.admin}", caller=None).status_code == 401
    )


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()}


def test_a_browser_may_give_the_token_as_the_password_of_the_page(hub: Hub) -> None:
    challenge = hub.get("/openapi", caller=None).headers["WWW-Authenticate"]
    assert challenge.startswith("Bearer ")
    assert ", Basic " in challenge
    assert hub.get("/openapi", caller=None, headers=basic(hub.viewer)).status_code == 200
    assert hub.get("/openapi", caller=None, headers=basic("nobody")).status_code == 401


def test_a_password_opens_nothing_else_so_that_no_other_site_can_use_the_browsers(hub: Hub) -> None:
    assert hub.get("/org/acme/mk8s", caller=None, headers=basic(hub.admin)).status_code == 401
