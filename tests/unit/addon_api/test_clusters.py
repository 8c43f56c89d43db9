from __future__ import annotations

from typing import Any

import pytest

from tests.support.hub import CONNECTION, Hub, manifest

ONE = "/org/acme/mk8s/demo"


def connect(hub: Hub, name: str = "demo") -> None:
    assert hub.call("PUT", f"/org/acme/mk8s/{name}/-connection", json=CONNECTION).status_code == 200


def test_put_creates_with_201_and_says_where(hub: Hub) -> None:
    answer = hub.put(manifest())
    assert (answer.status_code, answer.headers["Location"]) == (201, ONE)
    assert manifest()["spec"] == hub.show("demo")["spec"]


def test_put_again_is_200_without_a_location(hub: Hub) -> None:
    hub.put(manifest())
    answer = hub.put(manifest(version="1.31.0"))
    assert answer.status_code == 200
    assert "Location" not in answer.headers
    assert hub.show("demo")["spec"]["version"] == "1.31.0"


def test_put_of_what_is_stored_changes_no_version(hub: Hub) -> None:
    hub.put(manifest())
    assert hub.put(manifest()).json["version"] == 1  # type: ignore[index]


def test_put_takes_the_name_from_the_path(hub: Hub) -> None:
    nameless = {key: value for key, value in manifest().items() if key != "name"}
    assert hub.call("PUT", ONE, json=nameless).status_code == 201
    assert hub.show("demo")["name"] == "demo"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_name_that_differs_from_the_paths_is_refused(hub: Hub, method: str) -> None:
    hub.put(manifest())
    answer = hub.call(method, ONE, json=manifest("other"))
    assert answer.status_code == 400
    assert answer.json["details"][0]["path"] == "$.name"  # type: ignore[index]


@pytest.mark.parametrize("name", [{}, {"name": None}, {"name": 7}, {"name": ""}, {"name": "No"}])
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_body_without_a_good_name_is_refused_with_its_other_mistakes(
    hub: Hub, method: str, name: dict[str, Any]
) -> None:
    answer = hub.call(method, "/org/acme/mk8s", json={**name, "spec": {"version": "1.30"}})
    assert answer.json is not None
    paths = [detail["path"] for detail in answer.json["details"]]
    assert (answer.status_code, paths) == (400, ["$.name", "$.spec.provider"])


def test_post_creates_and_refuses_a_second_time(hub: Hub) -> None:
    created = hub.call("POST", "/org/acme/mk8s", json=manifest())
    assert (created.status_code, created.headers["Location"]) == (201, ONE)
    assert hub.call("POST", "/org/acme/mk8s", json=manifest()).status_code == 409


def test_post_ignores_what_the_server_owns(hub: Hub) -> None:
    hub.put(manifest("first"))
    copy = {**hub.show("first"), "name": "second"}
    answer = hub.call("POST", "/org/acme/mk8s", json=copy)
    assert answer.status_code == 201
    assert hub.show("first")["id"] != hub.show("second")["id"]


def test_yaml_is_read_as_json_is(hub: Hub) -> None:
    text = "kind: mk8s\nname: demo\nspec:\n  version: '1.30'\n  provider: {generic: {location: on}}\n"
    answer = hub.call("PUT", "/org/acme/mk8s", data=text, content_type="application/yaml")
    assert answer.status_code == 201, answer.text
    assert hub.show("demo")["spec"] == {"version": "1.30", "provider": {"generic": {"location": "on"}}}


@pytest.mark.parametrize(
    "add_ons", [{}, {"awsWorkloadIdentity": {}}, {"awsWorkloadIdentity": {}, "awsECR": {}}]
)
def test_spec_comes_back_as_sent_emptiness_included(hub: Hub, add_ons: dict[str, Any]) -> None:
    sent = manifest(addOns=add_ons)
    hub.put(sent)
    assert sent["spec"] == hub.show("demo")["spec"]


def test_absent_add_ons_stay_absent(hub: Hub) -> None:
    sent = manifest()
    del sent["spec"]["addOns"]
    hub.put(sent)
    assert "addOns" not in hub.show("demo")["spec"]


def test_patch_merges_and_null_deletes(hub: Hub) -> None:
    hub.put({**manifest(), "tags": {"team": "a", "old": "x"}})
    body = {"description": "A cluster", "tags": {"old": None, "new": 1}, "spec": {"addOns": {"awsECR": None}}}
    answer = hub.call("PATCH", ONE, json=body)
    assert answer.status_code == 200, answer.text
    shown = hub.show("demo")
    assert (shown["description"], shown["tags"]) == ("A cluster", {"team": "a", "new": 1})
    assert shown["spec"]["addOns"] == {"awsWorkloadIdentity": {}}


def test_patch_replaces_what_says_so(hub: Hub) -> None:
    hub.put({**manifest(), "tags": {"team": "a"}})
    spec = manifest(addOns={})["spec"]
    hub.call("PATCH", ONE, json={"$replace/spec": spec, "$replace/tags": {"only": "this"}})
    shown = hub.show("demo")
    assert (spec, {"only": "this"}) == (shown["spec"], shown["tags"])


def test_patch_without_a_change_changes_no_version(hub: Hub) -> None:
    hub.put(manifest())
    assert hub.call("PATCH", ONE, json={}).json["version"] == 1  # type: ignore[index]


def test_a_form_without_a_body_is_an_empty_patch(hub: Hub) -> None:
    hub.put(manifest())
    answer = hub.call("PATCH", ONE, data=b"", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 200


def test_a_patch_that_breaks_the_manifest_changes_nothing(hub: Hub) -> None:
    hub.put(manifest())
    answer = hub.call("PATCH", ONE, json={"spec": {"addOns": {"awsWorkloadIdentity": None}}})
    assert answer.status_code == 400
    assert (manifest()["spec"], 1) == (hub.show("demo")["spec"], hub.show("demo")["version"])


SETTINGS = {"awsECR": {"delivery": "pullSecret"}}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_write_without_settings_keeps_them(hub: Hub, method: str) -> None:
    hub.put({**manifest(), "settings": SETTINGS})
    assert hub.call(method, ONE, json=manifest(version="1.31.0")).status_code == 200
    assert hub.show("demo")["settings"] == SETTINGS


@pytest.mark.parametrize("empty", [{}, None])
def test_put_with_empty_settings_resets_them(hub: Hub, empty: object) -> None:
    hub.put({**manifest(), "settings": SETTINGS})
    hub.put({**manifest(), "settings": empty})
    assert hub.show("demo")["settings"] == {}


def test_patch_merges_settings(hub: Hub) -> None:
    hub.put({**manifest(), "settings": SETTINGS})
    issuer = {"awsWorkloadIdentity": {"issuer": "published"}}
    hub.call("PATCH", ONE, json={"settings": issuer})
    assert SETTINGS | issuer == hub.show("demo")["settings"]


@pytest.mark.parametrize("change", [{"settings": None}, {"$replace/settings": {}}])
def test_patch_can_reset_settings(hub: Hub, change: dict[str, Any]) -> None:
    hub.put({**manifest(), "settings": SETTINGS})
    answer = hub.call("PATCH", ONE, json=change)
    assert (answer.status_code, hub.show("demo")["settings"]) == (200, {}), answer.text


def test_wrong_settings_are_refused_with_their_path(hub: Hub) -> None:
    answer = hub.put({**manifest(), "settings": {"awsECR": {"deliverry": "auto"}}})
    assert answer.status_code == 400
    assert answer.json["details"][0]["path"] == "$.settings.awsECR.deliverry"  # type: ignore[index]


@pytest.mark.parametrize("settings", [[], "x", 1])
def test_settings_that_are_no_object_are_refused(hub: Hub, settings: object) -> None:
    assert hub.put({**manifest(), "settings": settings}).status_code == 400


def test_the_entity_tag_lets_the_holder_of_the_newest_write(hub: Hub) -> None:
    hub.put(manifest())
    tag = hub.get(ONE).headers["ETag"]
    assert hub.call("PUT", ONE, json=manifest(version="1.31.0"), headers={"If-Match": tag}).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("old", ["stored once", '"nonsense"', 'W/"x.1"', "1"])
def test_another_entity_tag_is_412_and_nothing_changes(hub: Hub, method: str, old: str) -> None:
    hub.put(manifest())
    tag = hub.get(ONE).headers["ETag"] if old == "stored once" else old
    hub.put(manifest(version="1.31.0"))
    before = hub.show("demo")
    answer = hub.call(method, ONE, json=manifest(version="1.32.0"), headers={"If-Match": tag})
    assert answer.status_code == 412
    assert before == hub.show("demo")


def test_any_entity_tag_needs_a_cluster_that_exists(hub: Hub) -> None:
    any_tag = {"If-Match": "*"}
    assert hub.call("PUT", ONE, json=manifest(), headers=any_tag).status_code == 412
    hub.put(manifest())
    assert hub.call("PUT", ONE, json=manifest(), headers=any_tag).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("wrong", [{"version": 7}, {"id": "another"}])
def test_another_version_or_id_in_the_body_is_409(hub: Hub, method: str, wrong: dict[str, Any]) -> None:
    hub.put(manifest())
    stale = {**hub.show("demo"), **wrong, "description": "changed"}
    assert hub.call(method, ONE, json=stale).status_code == 409
    assert hub.show("demo")["description"] == "demo"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_the_whole_object_can_be_sent_back(hub: Hub, method: str) -> None:
    hub.put(manifest())
    answer = hub.call(method, ONE, json={**hub.show("demo"), "description": "edited"})
    assert (answer.status_code, hub.show("demo")["description"]) == (200, "edited"), answer.text


def test_an_applied_export_of_an_older_version_is_taken(hub: Hub) -> None:
    hub.put(manifest())
    export = hub.show("demo")
    hub.put(manifest(version="1.31.0"))
    assert hub.put(export).status_code == 200


@pytest.mark.parametrize("body", [{"version": "1"}, {"version": True}, {"id": 1}])
def test_a_version_or_id_of_another_type_is_refused(hub: Hub, body: dict[str, Any]) -> None:
    hub.put(manifest())
    assert hub.call("PATCH", ONE, json=body).status_code == 400


def test_delete_of_a_connected_cluster_starts_its_removal(hub: Hub) -> None:
    hub.put(manifest())
    connect(hub)
    answer = hub.call("DELETE", ONE)
    assert answer.status_code == 202
    removal = hub.show("demo")["status"]["removal"]
    assert (removal["requestedAt"], removal["requestedBy"]) == ("2026-11-22T05:40:00Z", "admin")
    assert "kubectl delete namespace pullpass-system" in [left["command"] for left in removal["remains"]]


def test_delete_of_a_cluster_that_was_never_connected_is_done_at_once(hub: Hub) -> None:
    hub.put(manifest())
    answer = hub.call("DELETE", ONE)
    assert (answer.status_code, answer.json["remains"]) == (200, [])  # type: ignore[index]
    assert hub.get(ONE).status_code == 404


def test_patch_of_a_cluster_being_removed_is_409(hub: Hub) -> None:
    hub.put(manifest())
    connect(hub)
    hub.call("DELETE", ONE)
    assert hub.call("PATCH", ONE, json={}).status_code == 409


def test_put_cancels_a_removal(hub: Hub) -> None:
    hub.put(manifest())
    connect(hub)
    hub.call("DELETE", ONE)
    assert hub.put(manifest()).status_code == 200
    assert "removal" not in hub.show("demo")["status"]


def test_force_forgets_and_says_what_remains(hub: Hub) -> None:
    hub.put(manifest())
    connect(hub)
    uid = hub.show("demo")["id"]
    answer = hub.call("DELETE", f"{ONE}?force=true")
    assert answer.status_code == 200
    commands = [remaining["command"] for remaining in answer.json["remains"]]  # type: ignore[index]
    assert "kubectl delete namespace pullpass-system" in commands
    assert any(f"pullpass.dev/cluster={uid}" in command for command in commands)
    assert hub.get(ONE).status_code == 404


def test_the_list_pages_by_name(hub: Hub) -> None:
    for name in ("cc1", "aa1", "bb1"):
        hub.put(manifest(name))
    first = hub.get("/org/acme/mk8s?limit=2").json
    assert first is not None
    assert (
        first["kind"],
        first["itemKind"],
        [item["name"] for item in first["items"]],
    ) == ("list", "mk8s", ["aa1", "bb1"])
    links = {link["rel"]: link["href"] for link in first["links"]}
    last = hub.get(links["next"]).json
    assert last is not None
    assert [item["name"] for item in last["items"]] == ["cc1"]
    assert [link["rel"] for link in last["links"]] == ["self", "prev"]


def test_an_empty_list_holds_items_and_links(hub: Hub) -> None:
    answer = hub.get("/org/acme/mk8s").json
    assert answer == {
        "kind": "list",
        "itemKind": "mk8s",
        "items": [],
        "links": [{"rel": "self", "href": "/org/acme/mk8s"}],
    }


@pytest.mark.parametrize("limit", ["0", "-1", "501", "x", "", "1e3", "9" * 5000, "²"])
def test_a_limit_that_is_none_is_refused(hub: Hub, limit: str) -> None:
    answer = hub.get("/org/acme/mk8s", query_string={"limit": limit})
    assert (answer.status_code, answer.json["details"][0]["path"]) == (400, "?limit")  # type: ignore[index]


def test_unknown_query_parameters_are_ignored(hub: Hub) -> None:
    assert hub.get("/org/acme/mk8s?colour=blue").status_code == 200


def test_a_name_with_a_character_that_cannot_be_stored_is_no_servers_error(hub: Hub) -> None:
    assert hub.get("/org/acme/mk8s/a%00b").status_code in {400, 404}


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/org/acme/mk8s"), ("PUT", ONE), ("POST", "/org/acme/mk8s")]
)
def test_a_dry_run_stores_nothing(hub: Hub, method: str, path: str) -> None:
    answer = hub.call(method, f"{path}?dryRun=true", json=manifest())
    assert (200, {"kind": "dryRun", "name": "demo", "valid": True}) == (answer.status_code, answer.json)
    assert 404 == hub.get(ONE).status_code


@pytest.mark.parametrize(("method", "path"), [("PUT", ONE), ("POST", "/org/acme/mk8s")])
def test_a_dry_run_tells_what_the_write_would_be_refused_for(hub: Hub, method: str, path: str) -> None:
    answer = hub.call(method, f"{path}?dryRun=true", json=manifest(version=7))
    assert answer.json is not None
    assert (400, "$.spec.version") == (answer.status_code, answer.json["details"][0]["path"])


def test_a_dry_run_of_creating_knows_the_names_that_are_taken(hub: Hub) -> None:
    hub.put(manifest())
    assert 409 == hub.call("POST", "/org/acme/mk8s?dryRun=true", json=manifest()).status_code
    connect(hub)
    hub.call("DELETE", ONE)
    assert 200 == hub.call("POST", "/org/acme/mk8s?dryRun=true", json=manifest()).status_code
