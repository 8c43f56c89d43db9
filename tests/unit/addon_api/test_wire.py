"""Requests as terraform-provider-cpln and `cpln` send them, on the wire."""

from __future__ import annotations

import pytest

from tests.support.hub import CONNECTION, Hub, manifest, status

ONE = "/org/acme/mk8s/demo"


def test_terraform_creates_without_a_kind_and_reads_it_back_at_once(hub: Hub) -> None:
    body = {key: value for key, value in manifest().items() if key != "kind"}
    assert hub.call("POST", "/org/acme/mk8s", json=body).status_code == 201
    shown = hub.show("demo")
    assert (shown["kind"], shown["name"], shown["description"]) == ("mk8s", "demo", "demo")
    assert shown["id"]
    assert body["spec"] == shown["spec"]


def test_terraform_updates_by_replacing_tags_and_spec(hub: Hub) -> None:
    hub.put({**manifest(), "settings": {"awsECR": {"delivery": "pullSecret"}}})
    tags = {"cpln/managedByTerraform": "true", "cpln/terraformProviderVersion": "1.2.31"}
    spec = manifest(addOns={"awsWorkloadIdentity": {}, "awsECR": {}})["spec"]
    body = {"name": "demo", "description": "demo", "$replace/tags": tags, "$replace/spec": spec}
    answer = hub.call("PATCH", ONE, json=body)
    assert answer.status_code == 200, answer.text
    shown = hub.show("demo")
    assert (spec, tags, {"awsECR": {"delivery": "pullSecret"}}) == (
        shown["spec"],
        shown["tags"],
        shown["settings"],
    )


def test_fifty_tags_and_terraforms_own_two_are_taken(hub: Hub) -> None:
    tags = {f"t{number}": number for number in range(50)} | {"cpln/managedByTerraform": "true", "cpln/x": "1"}
    hub.put({**manifest(), "tags": tags})
    assert tags == hub.show("demo")["tags"]


def test_a_second_delete_of_a_cluster_being_removed_is_202(hub: Hub) -> None:
    hub.put(manifest())
    hub.call("PUT", f"{ONE}/-connection", json=CONNECTION)
    assert [hub.call("DELETE", ONE).status_code for _ in range(2)] == [202, 202]


@pytest.mark.parametrize("connected", [True, False])
def test_terraforms_replace_deletes_and_creates_within_milliseconds(hub: Hub, connected: bool) -> None:
    hub.put(manifest())
    if connected:
        hub.call("PUT", f"{ONE}/-connection", json=CONNECTION)
    assert (202 if connected else 200) == hub.call("DELETE", ONE).status_code
    answer = hub.call("POST", "/org/acme/mk8s", json=manifest(version="1.31.0"))
    assert (answer.status_code, answer.headers["Location"]) == (201, ONE)
    shown = hub.show("demo")
    assert shown["spec"]["version"] == "1.31.0"
    assert "removal" not in shown["status"]


def test_a_slash_at_the_end_of_the_endpoint_doubles_no_path(hub: Hub) -> None:
    hub.put(manifest())
    answer = hub.call("GET", "/", environ_overrides={"PATH_INFO": "//org/acme/mk8s/demo"})
    assert (answer.status_code, answer.json["name"]) == (200, "demo")  # type: ignore[index]


def test_a_slash_at_the_end_of_the_path_is_none(hub: Hub) -> None:
    hub.put(manifest())
    assert hub.get(f"{ONE}/").status_code == 200
    assert hub.put(manifest(), query_string="").status_code == 200
    assert hub.call("PUT", "/org/acme/mk8s/", json=manifest()).status_code == 200


def test_trust_policies_are_an_object_or_null(hub: Hub) -> None:
    hub.put(manifest())
    before = hub.show("demo")["status"]["addOns"]
    assert (before["awsECR"]["trustPolicy"], before["awsWorkloadIdentity"]["trustPolicy"]) == (None, None)
    hub.report("demo", status())
    after = hub.show("demo")["status"]["addOns"]
    assert isinstance(after["awsECR"]["trustPolicy"], dict)
    assert isinstance(after["awsWorkloadIdentity"]["trustPolicy"], dict)


@pytest.mark.parametrize("accept", ["application/json, text/plain, */*", None])
def test_any_accept_header_gets_json(hub: Hub, accept: str | None) -> None:
    headers = {} if accept is None else {"Accept": accept}
    assert hub.get("/org/acme/mk8s", headers=headers).content_type == "application/json"
