"""The API asked in the same process: as whoever is signed in, with its own words when it refuses."""

from __future__ import annotations

import pytest

from fleet import tokens
from fleet.database import Database
from fleet.records import Principal
from tests.support.hub import START, Hub, make_hub, manifest
from web.api import Api, Refused


@pytest.fixture
def hub(database: Database) -> Hub:
    return make_hub(database)


def principal(hub: Hub, role: str) -> Principal:
    found = tokens.authenticate(hub.database, getattr(hub, role), now=START)
    assert found is not None
    return found


def test_a_page_sees_what_the_api_answers(hub: Hub) -> None:
    hub.put(manifest())
    seen = Api(hub.app).get(principal(hub, "viewer"), "mk8s", "demo")
    assert hub.show("demo") == seen


def test_a_query_without_a_value_is_left_out(hub: Hub) -> None:
    assert [] == Api(hub.app).get(principal(hub, "viewer"), "mk8s", limit=10, text=None)["items"]


def test_a_refusal_has_the_mistakes_and_where_they_are(hub: Hub) -> None:
    with pytest.raises(Refused) as refused:
        Api(hub.app).call(principal(hub, "editor"), "POST", "mk8s", body=manifest(versin="1"))
    assert 400 == refused.value.status
    assert ["$.spec.versin"] == [mistake.path for mistake in refused.value.mistakes]


def test_the_role_is_the_tokens(hub: Hub) -> None:
    with pytest.raises(Refused) as refused:
        Api(hub.app).call(principal(hub, "viewer"), "POST", "mk8s", body=manifest())
    assert 403 == refused.value.status


@pytest.mark.parametrize("name", ["../other/mk8s", "demo/-connection", "..", "demo?force=true", "démo"])
def test_a_name_leads_to_nothing_but_a_cluster(hub: Hub, name: str) -> None:
    hub.put(manifest())
    with pytest.raises(Refused) as refused:
        Api(hub.app).get(principal(hub, "admin"), "mk8s", name)
    assert refused.value.status in {404, 405}


def test_no_header_of_a_request_makes_a_principal(hub: Hub) -> None:
    for name in ("pullpass.principal", "Pullpass-Principal", "X-Pullpass-Principal"):
        assert 401 == hub.call("GET", "/org/acme/mk8s", caller=None, headers={name: "admin"}).status_code
