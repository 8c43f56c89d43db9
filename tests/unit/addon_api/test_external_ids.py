from __future__ import annotations

from typing import Any

from addon_api.app import ApiSettings
from fleet import external_ids
from fleet.database import Database
from tests.support.hub import Hub, make_hub

PATH = "/org/acme/-external-id"
PRINCIPAL = "arn:aws:iam::111111111111:role/pullpass-hub"


def shown(hub: Hub, caller: str = "viewer") -> Any:
    answer = hub.get(PATH, caller=caller)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_everybody_of_the_organisation_reads_the_same_one(hub: Hub) -> None:
    assert shown(hub) == shown(hub, "admin")
    assert shown(hub)["externalId"] == external_ids.of_organisation(hub.database, "acme")


def test_nobody_else_reads_it(hub: Hub) -> None:
    assert hub.get(PATH, caller="stranger").status_code == 404
    assert hub.get(PATH, caller=None).status_code == 401


def test_nobody_sets_it(hub: Hub) -> None:
    for method in ("PUT", "POST", "PATCH", "DELETE"):
        assert hub.call(method, PATH, json={"externalId": "mine"}).status_code == 405


def test_the_trust_policy_asks_for_it(database: Database) -> None:
    document = shown(make_hub(database, ApiSettings(aws_principal=PRINCIPAL)))
    (statement,) = document["trustPolicy"]["Statement"]
    assert document["principal"] == PRINCIPAL
    assert statement["Principal"] == {"AWS": PRINCIPAL}
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": document["externalId"]}}


def test_a_principal_that_nobody_said_is_left_to_fill_in(hub: Hub) -> None:
    document = shown(hub)
    assert document["principal"] is None
    assert document["trustPolicy"]["Statement"][0]["Principal"] == {"AWS": "${HUB_PRINCIPAL}"}
