from __future__ import annotations

from typing import Any

import pytest

from tests.support.hub import CONNECTION, Hub, manifest

TRAIL = "/audit/org/acme"


@pytest.fixture(autouse=True)
def history(hub: Hub) -> None:
    hub.put(manifest())
    hub.clock.pass_seconds(3600)
    hub.put(manifest(version="1.31.0"), caller="editor")
    hub.clock.pass_seconds(3600)
    hub.put(manifest("second"))


def trail(hub: Hub, path: str = TRAIL, **query: str) -> list[Any]:
    answer = hub.get(path, query_string=query, caller="viewer")
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    return list(answer.json["items"])


def told(items: list[Any]) -> list[tuple[str, str]]:
    return [(item["result"]["message"], item["resource"]["name"]) for item in items]


def test_a_record_has_the_shape_that_cpln_reads(hub: Hub) -> None:
    newest = trail(hub)[0]
    assert newest["id"]
    assert {key: value for key, value in newest.items() if key != "id"} == {
        "eventTime": "2026-11-22T07:40:00Z",
        "resource": {"name": "second", "type": "mk8s", "data": {"version": 1}},
        "result": {"status": "success", "message": "create"},
        "subject": {
            "data": {"type": "serviceaccount", "principalLink": "/org/acme/serviceaccount/admin"},
        },
    }


def test_the_newest_is_first(hub: Hub) -> None:
    assert told(trail(hub)) == [("create", "second"), ("update", "demo"), ("create", "demo")]


def test_a_resource_is_found_by_its_id(hub: Hub) -> None:
    uid = hub.show("demo")["id"]
    assert told(trail(hub, f"{TRAIL}/resource/id/{uid}")) == [("update", "demo"), ("create", "demo")]


def test_the_history_of_an_earlier_cluster_of_the_same_name_is_not_this_ones(hub: Hub) -> None:
    hub.clock.pass_seconds(1)
    hub.call("DELETE", "/org/acme/mk8s/demo")
    hub.clock.pass_seconds(1)
    hub.put(manifest())
    uid = hub.show("demo")["id"]
    assert told(trail(hub, f"{TRAIL}/resource/id/{uid}")) == [("create", "demo")]


def test_the_id_of_another_organisations_cluster_is_not_there(hub: Hub) -> None:
    hub.call("PUT", "/org/other/mk8s", caller="stranger", json=manifest())
    uid = hub.call("GET", "/org/other/mk8s/demo", caller="stranger").json["id"]  # type: ignore[index]
    assert hub.get(f"{TRAIL}/resource/id/{uid}").status_code == 404


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"fromEvent": "2026-11-22T06:40:00.000Z"}, ["create second", "update demo"]),
        ({"fromEvent": "2026-11-22T06:40:01Z"}, ["create second"]),
        ({"toEvent": "2026-11-22T06:40:00.000Z"}, ["update demo", "create demo"]),
        ({"fromEvent": "2026-11-22T06:00:00Z", "toEvent": "2026-11-22T07:00:00Z"}, ["update demo"]),
        ({"subjectName": "/org/acme/serviceaccount/editor"}, ["update demo"]),
        ({"subjectName": "editor"}, ["update demo"]),
        ({"subjectName": "edit"}, []),
        ({"subjectName": "%"}, []),
        ({"subjectName": "someone@example.com"}, []),
        ({"resourceType": "mk8s", "contextName": "cpln"}, ["create second", "update demo", "create demo"]),
        ({"resourceType": "workload"}, []),
    ],
)
def test_the_trail_is_narrowed(hub: Hub, query: dict[str, str], expected: list[str]) -> None:
    assert expected == [" ".join(words) for words in told(trail(hub, **query))]


def test_another_context_is_not_there(hub: Hub) -> None:
    answer = hub.get(TRAIL, query_string={"contextName": "mine"})
    assert (answer.status_code, answer.json["code"]) == (404, "NOT_FOUND")  # type: ignore[index]


@pytest.mark.parametrize("moment", ["yesterday", "", "2026-11-22"])
def test_a_time_that_is_none_is_refused(hub: Hub, moment: str) -> None:
    answer = hub.get(TRAIL, query_string={"fromEvent": moment})
    assert (answer.status_code, answer.json["details"][0]["path"]) == (400, "?fromEvent")  # type: ignore[index]


def test_what_the_controller_did_is_the_controllers(hub: Hub) -> None:
    hub.call("PUT", "/org/acme/mk8s/demo/-connection", json=CONNECTION)
    hub.call("DELETE", "/org/acme/mk8s/demo")
    hub.forget("demo")
    newest = trail(hub)[0]
    assert newest["result"]["message"] == "forget"
    assert newest["subject"]["data"] == {"type": "controller", "principalLink": "controller"}


def test_what_does_not_fit_one_answer_is_behind_a_link(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("addon_api.audit_trail._MOST", 2)
    first = hub.get(TRAIL, query_string={"resourceType": "mk8s"}).json
    assert first is not None
    [following] = [link["href"] for link in first["links"] if link["rel"] == "next"]
    assert "resourceType=mk8s" in following
    assert told(hub.get(following).json["items"]) == [("create", "demo")]  # type: ignore[index]
