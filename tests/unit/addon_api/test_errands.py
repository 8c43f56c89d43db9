from __future__ import annotations

from tests.support.hub import Hub, manifest

DEMO = "/org/acme/mk8s/demo"


def test_a_doctor_is_asked_for_and_followed_by_its_link(hub: Hub) -> None:
    hub.put(manifest())
    asked = hub.call("POST", f"{DEMO}/-doctor", caller="editor")
    followed = hub.get(asked.headers["Location"], caller="editor")
    document = followed.json or {}
    assert (202, document) == (asked.status_code, asked.json)
    assert (None, "doctor") == (document["result"], document["what"])


def test_a_preview_is_checked_like_a_write(hub: Hub) -> None:
    hub.put(manifest())
    assert 400 == hub.call("POST", f"{DEMO}/-preview", json=manifest(version=1)).status_code


def test_a_preview_of_another_cluster_is_refused(hub: Hub) -> None:
    hub.put(manifest())
    assert 400 == hub.call("POST", f"{DEMO}/-preview", json=manifest("other")).status_code


def test_a_preview_stores_nothing_of_the_manifest(hub: Hub) -> None:
    hub.put(manifest())
    before = hub.stored("demo")
    assert 202 == hub.call("POST", f"{DEMO}/-preview", json=manifest(version="1.31.0")).status_code
    assert before == hub.stored("demo")


def test_an_errand_for_a_cluster_that_is_not_there_is_not_found(hub: Hub) -> None:
    assert 404 == hub.call("POST", f"{DEMO}/-doctor").status_code


def test_a_viewer_sends_nobody_on_errands(hub: Hub) -> None:
    hub.put(manifest())
    assert 403 == hub.call("POST", f"{DEMO}/-doctor", caller="viewer").status_code


def test_a_connection_is_forgotten_once(hub: Hub) -> None:
    hub.put(manifest())
    body = {"server": "https://demo.example.com", "token": "secret", "expiresAt": "2026-12-22T05:40:00Z"}
    assert 200 == hub.call("PUT", f"{DEMO}/-connection", json=body).status_code
    answers = [hub.call("DELETE", f"{DEMO}/-connection").json for _ in range(2)]
    assert [True, False] == [answer["deleted"] for answer in answers if answer is not None]
    assert not hub.stored("demo").connected
