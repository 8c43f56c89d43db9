from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.hub import ISSUER, Hub, manifest, status

QUERY = "/org/acme/mk8s/-query"


@pytest.fixture(autouse=True)
def clusters(hub: Hub) -> None:
    for name, team in {"aa1": "red", "bb1": "blue", "cc1": "red"}.items():
        hub.put({**manifest(name), "tags": {"team": team}})


def ask(hub: Hub, *terms: dict[str, Any], **spec: Any) -> Any:
    answer = hub.call("POST", QUERY, json={"spec": {"match": "all", "terms": list(terms), **spec}})
    assert answer.status_code == 200, answer.text
    return answer.json


def names(body: Any) -> list[str]:
    return [item["name"] for item in body["items"]]


def test_clusters_are_whole_as_in_the_list(hub: Hub) -> None:
    hub.report("aa1", status())
    found = ask(hub, {"op": "=", "property": "name", "value": "aa1"})
    assert (found["kind"], found["itemKind"], found["items"]) == ("list", "mk8s", [hub.show("aa1")])


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "application/json"])
def test_an_empty_query_asks_for_everything(hub: Hub, content_type: str) -> None:
    data = b"" if content_type.endswith("urlencoded") else b"{}"
    answer = hub.call("POST", QUERY, data=data, content_type=content_type)
    assert names(answer.json) == ["aa1", "bb1", "cc1"]


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ({"property": "alias", "op": "exists"}, ["aa1", "bb1", "cc1"]),
        ({"property": "description", "value": "aa1"}, ["aa1"]),
        ({"property": "status.oidcProviderUrl", "value": ISSUER}, ["aa1"]),
        ({"property": "status.addOns.awsECR.state", "value": "Installing"}, ["aa1", "bb1", "cc1"]),
        ({"property": "spec.addOns.awsECR.roleArn", "op": "~", "value": "role/ecr"}, ["aa1", "bb1", "cc1"]),
        ({"rel": "self", "value": "bb1"}, ["bb1"]),
    ],
)
def test_what_the_api_shows_can_be_asked_for(hub: Hub, term: dict[str, Any], expected: list[str]) -> None:
    hub.report("aa1", status())
    assert expected == names(ask(hub, term))


def test_a_link_leads_to_the_next_page_of_the_same_query(hub: Hub) -> None:
    body = {"spec": {"terms": [{"op": "=", "tag": "team", "value": "red"}]}}
    first = hub.call("POST", f"{QUERY}?limit=1", json=body).json
    assert first is not None
    links = {link["rel"]: link["href"] for link in first["links"]}
    second = hub.get(links["next"], caller="viewer").json
    assert second is not None
    assert (names(first), names(second)) == (["aa1"], ["cc1"])
    assert [link["rel"] for link in second["links"]] == ["self"]


def test_a_link_leads_on_in_another_order_too(hub: Hub) -> None:
    body = {"spec": {"sort": {"by": "tags.team", "order": "desc"}}}
    seen = []
    page: Any = hub.call("POST", f"{QUERY}?limit=1", json=body).json
    while True:
        seen += names(page)
        following = [link["href"] for link in page["links"] if link["rel"] == "next"]
        if not following:
            break
        page = hub.get(following[0]).json
    assert seen == ["aa1", "cc1", "bb1"]


def test_a_link_of_the_longest_query_fits_a_request_line(hub: Hub) -> None:
    body = {
        "spec": {
            "match": "any",
            "terms": [{"tag": "é" * 200, "op": "exists"}, {"tag": "team", "op": "exists"}],
        }
    }
    page = hub.call("POST", f"{QUERY}?limit=1", json=body).json
    assert page is not None
    [following] = [link["href"] for link in page["links"] if link["rel"] == "next"]
    assert len(following) < 4000
    assert hub.get(following).status_code == 200


def test_a_query_that_no_link_could_carry_is_refused(hub: Hub) -> None:
    body = {"spec": {"terms": [{"tag": "t" * 990, "op": "exists"}]}}
    answer = hub.call("POST", QUERY, json=body)
    assert (answer.status_code, answer.json["code"]) == (400, "INVALID")  # type: ignore[index]


@pytest.mark.parametrize("text", ["{", "[]", "7", "\udc80", json.dumps({"spec": {"match": "some"}})])
def test_a_link_with_another_query_is_refused(hub: Hub, text: str) -> None:
    assert hub.get(QUERY, query_string={"query": text.encode(errors="surrogateescape")}).status_code == 400


def test_a_viewer_may_ask(hub: Hub) -> None:
    assert hub.call("POST", QUERY, caller="viewer", json={}).status_code == 200


def test_another_organisations_clusters_are_never_found(hub: Hub) -> None:
    hub.call("PUT", "/org/other/mk8s", caller="stranger", json=manifest("zz1"))
    assert "zz1" not in names(ask(hub))
