from __future__ import annotations

from typing import Any

import pytest

from addon_api.app import ApiSettings
from addon_api.oidc import discovery_document
from fleet import issuers
from fleet.database import Database
from fleet.records import PublishedIssuer
from tests.support.hub import CONNECTION, Hub, make_hub, manifest

KEYS: dict[str, Any] = {
    "keys": [{"kty": "RSA", "kid": "first", "alg": "RS256", "use": "sig", "n": "AQ", "e": "AQAB"}]
}
OTHER: dict[str, Any] = {"keys": [{**KEYS["keys"][0], "kid": "second"}]}


def published(hub: Hub) -> PublishedIssuer:
    hub.put(manifest())
    uid = hub.stored("demo").uid
    issuers.reserve(hub.database, uid)
    return issuers.observe(hub.database, uid, KEYS)


def test_the_discovery_document_names_the_issuer_and_its_keys(hub: Hub) -> None:
    issuer = published(hub)
    url = f"https://pullpass.example.com/oidc/{issuer.id}"
    answer = hub.get(f"/oidc/{issuer.id}/.well-known/openid-configuration", caller=None)
    assert answer.json == {
        "issuer": url,
        "jwks_uri": f"{url}/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }


def test_the_pinned_keys_are_served(hub: Hub) -> None:
    issuer = published(hub)
    assert hub.get(f"/oidc/{issuer.id}/openid/v1/jwks", caller=None).json == KEYS


@pytest.mark.parametrize("path", [".well-known/openid-configuration", "openid/v1/jwks"])
def test_an_hour_of_caching_is_allowed_and_never_forbidden(hub: Hub, path: str) -> None:
    issuer = published(hub)
    answer = hub.get(f"/oidc/{issuer.id}/{path}", caller=None)
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.headers.getlist("Cache-Control") == ["public, max-age=3600"]


@pytest.mark.parametrize("path", [".well-known/openid-configuration", "openid/v1/jwks"])
def test_an_issuer_without_keys_is_not_there(hub: Hub, path: str) -> None:
    hub.put(manifest())
    issuer = issuers.reserve(hub.database, hub.stored("demo").uid)
    assert hub.get(f"/oidc/{issuer.id}/{path}", caller=None).status_code == 404


def test_a_hub_without_a_public_url_has_no_discovery(database: Database) -> None:
    hub = make_hub(database, ApiSettings())
    issuer = published(hub)
    assert hub.get(f"/oidc/{issuer.id}/.well-known/openid-configuration", caller=None).status_code == 404


def test_the_algorithms_are_those_of_the_keys(hub: Hub) -> None:
    keys = {"keys": [{"alg": "ES256"}, {"alg": "RS256"}, {"kty": "EC"}]}
    document = discovery_document("https://x.example.com/", PublishedIssuer("a", "b", keys))
    assert document["issuer"] == "https://x.example.com/oidc/a"
    assert document["id_token_signing_alg_values_supported"] == ["ES256", "RS256"]


def test_a_token_that_is_sent_all_the_same_does_no_harm(hub: Hub) -> None:
    issuer = published(hub)
    assert hub.get(f"/oidc/{issuer.id}/openid/v1/jwks", caller="stranger").status_code == 200


def test_other_keys_are_not_served_until_an_admin_accepts_them(hub: Hub) -> None:
    issuer = published(hub)
    issuers.observe(hub.database, hub.stored("demo").uid, OTHER)
    keys = f"/oidc/{issuer.id}/openid/v1/jwks"
    assert hub.get(keys, caller=None).json == KEYS
    shown = hub.get("/org/acme/mk8s/demo/-issuer", caller="viewer").json
    assert shown is not None
    body = {"fingerprint": shown["pendingKeys"]["fingerprint"]}
    accept = "/org/acme/mk8s/demo/-issuer/accept"
    assert hub.call("POST", accept, json=body, caller="editor").status_code == 403
    assert hub.call("POST", accept, json=body).status_code == 200
    served = hub.get(keys, caller=None).json
    assert served is not None
    assert sorted(key["kid"] for key in served["keys"]) == ["first", "second"]


def test_accepting_keys_that_do_not_wait_is_409(hub: Hub) -> None:
    published(hub)
    body = {"fingerprint": issuers.fingerprint(OTHER)}
    assert hub.call("POST", "/org/acme/mk8s/demo/-issuer/accept", json=body).status_code == 409


def test_accepting_needs_a_fingerprint(hub: Hub) -> None:
    published(hub)
    answer = hub.call("POST", "/org/acme/mk8s/demo/-issuer/accept", json={})
    assert answer.json is not None
    assert (answer.status_code, answer.json["details"][0]["path"]) == (400, "$.fingerprint")


def test_the_issuer_shows_its_url_and_fingerprints(hub: Hub) -> None:
    issuer = published(hub)
    assert hub.get("/org/acme/mk8s/demo/-issuer").json == {
        "kind": "issuer",
        "id": issuer.id,
        "url": f"https://pullpass.example.com/oidc/{issuer.id}",
        "keys": {"fingerprint": issuers.fingerprint(KEYS), **KEYS},
        "pendingKeys": None,
    }


def test_a_cluster_that_publishes_nothing_has_no_issuer(hub: Hub) -> None:
    hub.put(manifest())
    assert hub.get("/org/acme/mk8s/demo/-issuer").status_code == 404


def test_a_forgotten_clusters_keys_are_served_until_an_admin_buries_them(hub: Hub) -> None:
    issuer = published(hub)
    hub.call("PUT", "/org/acme/mk8s/demo/-connection", json=CONNECTION)
    remains = hub.call("DELETE", "/org/acme/mk8s/demo?force=true").json
    assert remains is not None
    assert f"pullpass issuer forget {issuer.id} --org acme" == remains["remains"][-1]["command"]
    bury = f"/org/acme/-issuers/{issuer.id}"
    keys = f"/oidc/{issuer.id}/openid/v1/jwks"
    assert hub.get(keys, caller=None).status_code == 200
    assert hub.call("DELETE", bury, caller="editor").status_code == 403
    assert hub.call("DELETE", bury).status_code == 200
    assert hub.get(keys, caller=None).status_code == 404
    assert hub.call("DELETE", bury).status_code == 404


def test_a_living_clusters_issuer_cannot_be_buried(hub: Hub) -> None:
    issuer = published(hub)
    assert hub.call("DELETE", f"/org/acme/-issuers/{issuer.id}").status_code == 404
