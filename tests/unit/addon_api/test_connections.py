from __future__ import annotations

from typing import Any

import pytest

from addon_api.app import ApiSettings
from fleet import connections
from fleet.database import Database
from fleet.sealing import Sealer
from tests.support.hub import CONNECTION, Hub, make_hub, manifest, status

PATH = "/org/acme/mk8s/demo/-connection"


def test_an_admin_stores_it_and_no_secret_comes_back(hub: Hub) -> None:
    hub.put(manifest())
    answer = hub.call("PUT", PATH, json=CONNECTION)
    assert answer.json == {
        "kind": "connection",
        "server": "https://demo.example.com",
        "expiresAt": "2026-12-22T05:40:00Z",
        "renewable": False,
        "eks": None,
    }
    stored = connections.read(hub.database, hub.stored("demo").uid)
    assert stored is not None
    assert stored.token == "top-secret-cluster-token"


def test_an_editor_may_not(hub: Hub) -> None:
    hub.put(manifest())
    assert hub.call("PUT", PATH, json=CONNECTION, caller="editor").status_code == 403


def test_it_is_never_read_back(hub: Hub) -> None:
    hub.put(manifest())
    assert hub.get(PATH).status_code == 405


def test_it_makes_the_cluster_due_under_a_new_generation(hub: Hub) -> None:
    hub.put(manifest())
    before = hub.stored("demo").generation
    hub.call("PUT", PATH, json=CONNECTION)
    assert hub.stored("demo").generation == before + 1


def test_settings_alone_keep_the_credential(hub: Hub) -> None:
    hub.put(manifest())
    hub.call("PUT", PATH, json=CONNECTION)
    assert hub.call("PUT", PATH, json={"settings": {"timeoutSeconds": 20}}).status_code == 200
    stored = connections.read(hub.database, hub.stored("demo").uid)
    assert stored is not None
    assert (stored.token, stored.timeout_seconds) == ("top-secret-cluster-token", 20.0)


def test_another_server_needs_a_new_credential(hub: Hub) -> None:
    hub.put(manifest())
    hub.call("PUT", PATH, json=CONNECTION)
    answer = hub.call("PUT", PATH, json={"server": "https://elsewhere.example.com"})
    assert answer.status_code == 400
    assert "top-secret" not in answer.text


@pytest.mark.parametrize("server", ["https://127.0.0.1:6443", "https://localhost:6443"])
def test_loopback_is_taken_in_development_only(database: Database, server: str) -> None:
    body = {**CONNECTION, "server": server}
    for allow, expected in ((False, 400), (True, 200)):
        hub = make_hub(database, ApiSettings(allow_loopback=allow))
        hub.put(manifest())
        assert hub.call("PUT", PATH, json=body).status_code == expected


def test_a_connection_that_no_key_opens_is_mended_by_a_whole_one(hub: Hub) -> None:
    hub.put(manifest())
    hub.call("PUT", PATH, json=CONNECTION)
    hub.database.sealer = Sealer((bytes([1]) * 32,))
    assert hub.call("PUT", PATH, json=CONNECTION).status_code == 200


AWS = {
    "aws": {
        "region": "eu-central-1",
        "deployRoleArn": "arn:aws:iam::210987654321:role/deploy",
        "deployRoleChain": [{"roleArn": "arn:aws:iam::333333333333:role/inner", "externalId": "inner-id"}],
        "vpcId": "vpc-1",
        "image": {"recommended": "amazon/al2023"},
    }
}


def test_an_eks_cluster_is_named_and_the_rest_is_the_manifests(hub: Hub) -> None:
    assert hub.put(manifest(provider=AWS)).status_code == 201
    answer = hub.call("PUT", PATH, json={"eks": {"cluster": "prod"}})
    assert answer.json == {
        "kind": "connection",
        "server": "",
        "expiresAt": None,
        "renewable": True,
        "eks": {
            "cluster": "prod",
            "region": "eu-central-1",
            "roles": ["arn:aws:iam::210987654321:role/deploy", "arn:aws:iam::333333333333:role/inner"],
        },
    }
    stored = connections.read(hub.database, hub.stored("demo").uid)
    assert stored is not None
    assert stored.eks is not None
    assert [None, "inner-id"] == [role.external_id for role in stored.eks.roles]


def test_the_authority_of_an_eks_cluster_is_asked_of_eks(hub: Hub) -> None:
    hub.put(manifest(provider=AWS))
    hub.call("PUT", PATH, json={"eks": {"cluster": "prod"}})
    hub.report("demo", status(server_url="https://ABC.gr7.eu-central-1.eks.amazonaws.com"))
    answer = hub.get("/org/acme/mk8s/demo/-cacerts")
    assert answer.status_code == 404
    assert "aws eks describe-cluster --name prod --region eu-central-1" in answer.text


def test_a_later_change_of_the_manifest_leads_to_no_other_role(hub: Hub) -> None:
    hub.put(manifest(provider=AWS))
    hub.call("PUT", PATH, json={"eks": {"cluster": "prod"}})
    before = connections.read(hub.database, hub.stored("demo").uid)
    other = {"aws": {**AWS["aws"], "deployRoleArn": "arn:aws:iam::210987654321:role/other"}}
    assert hub.put(manifest(provider=other), caller="editor").status_code == 200
    assert before == connections.read(hub.database, hub.stored("demo").uid)


def test_an_editor_names_no_eks_cluster(hub: Hub) -> None:
    hub.put(manifest(provider=AWS))
    assert hub.call("PUT", PATH, json={"eks": {"cluster": "prod"}}, caller="editor").status_code == 403


def test_eks_is_for_provider_aws(hub: Hub) -> None:
    hub.put(manifest())
    answer = hub.call("PUT", PATH, json={"eks": {"cluster": "prod", "region": "eu-central-1"}})
    assert (400, "$.eks") == (answer.status_code, answer.json["details"][0]["path"] if answer.json else "")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"server": "https://demo.example.com", "token": "top-secret", "colour": "blue"},
        {"server": "http://demo.example.com", "token": "top-secret"},
        {"kubeconfig": "top-secret: ["},
    ],
)
def test_what_is_refused_repeats_no_secret(hub: Hub, body: dict[str, Any]) -> None:
    hub.put(manifest())
    answer = hub.call("PUT", PATH, json=body)
    assert answer.status_code == 400
    assert "top-secret" not in answer.text
