"""`-audit`: who did what to a cluster, also when it is gone."""

from __future__ import annotations

from tests.support.hub import CONNECTION, Hub, manifest


def actions(hub: Hub, path: str) -> list[str]:
    answer = hub.get(path, caller="viewer").json
    assert answer is not None
    return [item["action"] for item in answer["items"]]


def test_what_was_done_is_told_newest_first(hub: Hub) -> None:
    hub.put(manifest())
    hub.call("PUT", "/org/acme/mk8s/demo/-connection", json=CONNECTION)
    hub.put(manifest(version="1.31.0"), caller="editor")
    hub.call("DELETE", "/org/acme/mk8s/demo")

    answer = hub.get("/org/acme/mk8s/demo/-audit").json

    assert answer is not None
    told = [
        (item["action"], item["principal"].partition(" ")[0], item["version"]) for item in answer["items"]
    ]
    assert [
        ("delete", "admin", 2),
        ("update", "editor", 2),
        ("connect", "admin", 1),
        ("create", "admin", 1),
    ] == told


def test_it_outlives_the_cluster(hub: Hub) -> None:
    hub.put(manifest())
    hub.call("DELETE", "/org/acme/mk8s/demo?force=true")

    assert ["forceDelete", "create"] == actions(hub, "/org/acme/mk8s/demo/-audit")


def test_pages_lead_to_the_first_record(hub: Hub) -> None:
    for minor in range(30, 33):
        hub.put(manifest(version=f"1.{minor}.0"))
    first = hub.get("/org/acme/mk8s/demo/-audit?limit=2").json
    assert first is not None
    [following] = [link["href"] for link in first["links"] if link["rel"] == "next"]

    assert ["create"] == actions(hub, following)


def test_another_cluster_has_records_of_its_own(hub: Hub) -> None:
    hub.put(manifest("aa1"))
    hub.put(manifest("bb1"))

    assert ["create"] == actions(hub, "/org/acme/mk8s/aa1/-audit")


def test_no_credential_is_told(hub: Hub) -> None:
    hub.put(manifest())
    hub.call("PUT", "/org/acme/mk8s/demo/-connection", json=CONNECTION)

    assert CONNECTION["token"] not in hub.get("/org/acme/mk8s/demo/-audit").text


def test_a_page_that_starts_nowhere_is_refused(hub: Hub) -> None:
    hub.put(manifest())

    for after in ("x", "-1", "9" * 40, ""):
        assert 400 == hub.get(f"/org/acme/mk8s/demo/-audit?after={after}").status_code
