from __future__ import annotations

import pytest

from tests.support.certificates import Authority
from tests.support.hub import CONNECTION, Hub, manifest, status

ONE = "/org/acme/mk8s/demo"
REACHED = status(server_url="https://demo.example.com")


def connect(hub: Hub, **members: str) -> None:
    answer = hub.call("PUT", f"{ONE}/-connection", json={**CONNECTION, **members})
    assert answer.status_code == 200, answer.text


def test_the_authority_is_the_connections(hub: Hub) -> None:
    hub.put(manifest())
    pem = Authority().certificate
    connect(hub, certificateAuthority=pem)
    hub.report("demo", REACHED)
    answer = hub.get(f"{ONE}/-cacerts", caller="viewer")
    assert (answer.status_code, answer.json) == (200, {"kind": "cacerts", "cacerts": pem})


def test_nothing_else_of_the_connection_is_shown(hub: Hub) -> None:
    hub.put(manifest())
    connect(hub, certificateAuthority=Authority().certificate)
    hub.report("demo", REACHED)
    assert CONNECTION["token"] not in hub.get(f"{ONE}/-cacerts").text


def test_a_cluster_that_was_not_reached_has_no_authority(hub: Hub) -> None:
    hub.put(manifest())
    before = hub.get(f"{ONE}/-cacerts")
    assert (before.status_code, "pullpass connect demo" in before.text) == (404, True)
    connect(hub, certificateAuthority=Authority().certificate)
    assert hub.get(f"{ONE}/-cacerts").status_code == 404


def test_a_public_authority_is_named_as_the_reason(hub: Hub) -> None:
    hub.put(manifest())
    connect(hub)
    hub.report("demo", REACHED)
    answer = hub.get(f"{ONE}/-cacerts")
    assert (answer.status_code, "a public one signs" in answer.text) == (404, True)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/org/acme"), ("POST", f"{ONE}/-join"), ("POST", f"{ONE}/-cloudinit")]
)
def test_what_is_not_served_is_refused_for_good_with_a_reason(hub: Hub, method: str, path: str) -> None:
    hub.put(manifest())
    answer = hub.call(method, path, json={})
    assert answer.json is not None
    assert (answer.status_code, answer.json["code"]) == (422, "NOT_SERVED")
    assert answer.json["message"].startswith("Pullpass ")
