from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from schemas.status import AddOnStatus, Condition, Issue, State
from tests.support.hub import CONNECTION, ISSUER, START, Hub, manifest, status


def test_a_new_cluster_shows_everything_the_wire_contract_asks_for(hub: Hub) -> None:
    hub.put({**manifest(), "description": "My cluster", "tags": {"team": "a"}})
    shown = hub.show("demo")
    assert list(shown) == [
        "kind",
        "id",
        "name",
        "description",
        "tags",
        "spec",
        "settings",
        "version",
        "alias",
        "created",
        "lastModified",
        "links",
        "status",
    ]
    assert (shown["description"], shown["tags"], shown["version"]) == ("My cluster", {"team": "a"}, 1)
    assert shown["created"] == "2026-11-22T05:40:00Z"
    assert {"rel": "self", "href": "/org/acme/mk8s/demo"} in shown["links"]


def test_the_description_defaults_to_the_name_and_is_not_stored(hub: Hub) -> None:
    hub.put(manifest())
    assert hub.show("demo")["description"] == "demo"
    assert "description" not in hub.stored("demo").manifest


def test_an_empty_description_stays_empty(hub: Hub) -> None:
    hub.put({**manifest(), "description": ""})
    assert hub.show("demo")["description"] == ""


def test_no_tag_is_added(hub: Hub) -> None:
    hub.put(manifest())
    assert hub.show("demo")["tags"] == {}


def test_an_enabled_add_on_shows_before_the_first_reconcile(hub: Hub) -> None:
    hub.put(manifest())
    states = {key: add_on["state"] for key, add_on in hub.show("demo")["status"]["addOns"].items()}
    assert states == {"awsWorkloadIdentity": "Installing", "awsECR": "Installing"}


def test_an_add_on_that_is_not_enabled_does_not_show(hub: Hub) -> None:
    hub.put(manifest(addOns={}))
    assert hub.show("demo")["status"]["addOns"] == {}


def test_what_the_controller_learned_shows(hub: Hub) -> None:
    hub.put(manifest())
    condition = Condition("Ready", "False", "AgentNotRunning", "no pod", START, 1)
    add_on = AddOnStatus(
        State.DEGRADED,
        (condition,),
        (Issue("AgentNotRunning", "no pod", "kubectl get pods", ("Pod/x",)),),
        {"delivery": "pullSecret", "credentials": {"expiresAt": "2026-11-22T17:40:00Z"}},
    )
    learned = status(observed_generation=1, server_url="https://demo.example.com", conditions=(condition,))
    hub.report("demo", replace(learned, add_ons={**learned.add_ons, "awsECR": add_on}))
    shown = hub.show("demo")["status"]
    assert (shown["oidcProviderUrl"], shown["serverUrl"]) == (ISSUER, "https://demo.example.com")
    assert (shown["generation"], shown["observedGeneration"]) == (1, 1)
    ecr = shown["addOns"]["awsECR"]
    assert (ecr["state"], ecr["delivery"]) == ("Degraded", "pullSecret")
    assert ecr["credentials"] == {"expiresAt": "2026-11-22T17:40:00Z"}
    assert ecr["issues"][0] == {
        "code": "AgentNotRunning",
        "message": "no pod",
        "remedy": "kubectl get pods",
        "resources": ["Pod/x"],
    }
    assert ecr["conditions"][0]["lastTransitionTime"] == "2026-11-22T05:40:00Z"


def test_what_was_disabled_shows_until_it_is_gone(hub: Hub) -> None:
    hub.put(manifest())
    learned = status()
    hub.report("demo", replace(learned, add_ons={**learned.add_ons, "awsECR": AddOnStatus(State.REMOVING)}))
    hub.put(manifest(addOns={"awsWorkloadIdentity": {}}))
    ecr = hub.show("demo")["status"]["addOns"]["awsECR"]
    assert (ecr["state"], ecr["trustPolicy"]) == ("Removing", None)


def test_a_status_changes_no_entity_tag(hub: Hub) -> None:
    hub.put(manifest())
    before = hub.get("/org/acme/mk8s/demo").headers["ETag"]
    hub.report("demo", status())
    assert hub.get("/org/acme/mk8s/demo").headers["ETag"] == before


def test_a_cluster_made_anew_has_another_entity_tag(hub: Hub) -> None:
    hub.put(manifest())
    before = hub.get("/org/acme/mk8s/demo").headers["ETag"]
    hub.call("DELETE", "/org/acme/mk8s/demo")
    hub.put(manifest())
    assert hub.get("/org/acme/mk8s/demo").headers["ETag"] != before


def test_that_a_connection_is_stored_shows_and_nothing_else_of_it(hub: Hub) -> None:
    hub.put(manifest())
    assert hub.show("demo")["status"]["connected"] is False
    hub.call("PUT", "/org/acme/mk8s/demo/-connection", json=CONNECTION)
    assert hub.show("demo")["status"]["connected"] is True
    assert "top-secret" not in hub.get("/org/acme/mk8s/demo").text


def test_links_lead_to_what_they_name(hub: Hub) -> None:
    hub.put(manifest())
    links = {link["rel"]: link["href"] for link in hub.show("demo")["links"]}
    assert set(links) == {"self", "eventlog", "accessreport"}
    assert {rel: hub.get(href).status_code for rel, href in links.items()} == dict.fromkeys(links, 200)


@pytest.mark.parametrize(
    ("provider", "location"),
    [
        ({"generic": {"location": "on-premises"}}, "on-premises"),
        (
            {"hetzner": {"region": "fsn1", "tokenSecretLink": "//secret/x", "networkId": "1", "image": "u"}},
            "fsn1",
        ),
        ({"gcp": {}}, None),
        ({"gcp": {"location": 7}}, None),
    ],
)
def test_the_home_location_is_the_manifests(hub: Hub, provider: dict[str, Any], location: str | None) -> None:
    hub.put(manifest(provider=provider, addOns={}))
    assert location == hub.show("demo")["status"].get("homeLocation")
