"""How `cpln` prints: tables, YAML, names, Terraform, custom resources and kubeconfigs."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml
from hcl2.api import loads

from tests.support.certificates import Authority
from tests.support.cpln import Cpln
from tests.support.hub import CONNECTION, Hub, manifest, status


def test_the_table_fills_every_column(hub: Hub, cpln: Cpln) -> None:
    hub.put({**manifest(), "description": "My cluster", "tags": {"team": "a"}})
    table = cpln.done("mk8s", "get", "-o", "text").splitlines()
    row = [cell.strip() for cell in table[3].split("|")[1:-1]]
    alias = hub.show("demo")["alias"]
    created = "2026-11-22T05:40:00.000Z"
    assert row == [
        "demo", alias, "My cluster", created, "1.30.0", "aws-eu-central-1", "generic", "awsECR", 'team="a"',
    ]  # fmt: skip


def test_yaml_is_the_whole_object(hub: Hub, cpln: Cpln) -> None:
    hub.put(manifest())
    assert hub.show("demo") == yaml.safe_load(cpln.done("mk8s", "get", "demo", "-o", "yaml"))


def test_several_at_once(hub: Hub, cpln: Cpln) -> None:
    for name in ("aa1", "bb1", "cc1"):
        hub.put(manifest(name))
    assert cpln.done("mk8s", "get", "cc1", "aa1", "-o", "names").split() == ["cc1", "aa1"]
    assert cpln.done("mk8s", "get", "-o", "names").split() == ["aa1", "bb1", "cc1"]


def test_names_of_what_is_not_there_fail(cpln: Cpln) -> None:
    done = cpln.run("mk8s", "get", "none", "-o", "names")
    assert (done.returncode, done.stdout, done.stderr.strip()) == (1, "", "NOT_FOUND")


def test_terraform_of_one_and_of_all(hub: Hub, cpln: Cpln) -> None:
    hub.put(manifest("aa1"))
    hub.put(manifest("bb1"))
    one: Any = loads(cpln.done("mk8s", "get", "aa1", "-o", "tf"))
    assert one["resource"][0]["cpln_mk8s"]["aa1"]["version"] == "1.30.0"
    both: Any = loads(cpln.done("mk8s", "get", "-o", "tf"))
    assert [next(iter(found["cpln_mk8s"])) for found in both["resource"]] == ["aa1", "bb1"]


def test_custom_resources_of_one_and_of_all(hub: Hub, cpln: Cpln) -> None:
    hub.put(manifest("aa1"))
    hub.put(manifest("bb1"))
    one = yaml.safe_load(cpln.done("mk8s", "get", "aa1", "-o", "crd"))
    assert (one["apiVersion"], one["kind"], one["org"]) == ("cpln.io/v1", "mk8s", "acme")
    both = yaml.safe_load_all(cpln.done("mk8s", "get", "-o", "crd"))
    assert [found["metadata"]["name"] for found in both] == ["aa1", "bb1"]


def test_a_kubeconfig_says_where_the_cluster_is(hub: Hub, cpln: Cpln) -> None:
    hub.put(manifest())
    authority = Authority().certificate
    hub.call("PUT", "/org/acme/mk8s/demo/-connection", json={**CONNECTION, "certificateAuthority": authority})
    hub.report("demo", status(server_url="https://demo.example.com"))
    printed = cpln.done("mk8s", "kubeconfig", "demo", "-f", "-")
    config = yaml.safe_load(printed)
    [cluster] = config["clusters"]
    assert cluster["name"] == f"acme/demo/{hub.show('demo')['alias']}"
    assert cluster["cluster"] == {
        "server": "https://demo.example.com",
        "certificate-authority-data": base64.b64encode(authority.encode()).decode(),
    }
    assert CONNECTION["token"] not in printed


def test_a_kubeconfig_of_a_cluster_that_was_not_reached_is_refused(hub: Hub, cpln: Cpln) -> None:
    hub.put(manifest())
    done = cpln.run("mk8s", "kubeconfig", "demo", "-f", "-")
    assert (done.returncode, "pullpass connect demo" in done.stderr, done.stdout) == (1, True, "")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["auth", "demo"], "signs nobody in"),
        (["join", "demo", "--type", "join-script"], "joins no nodes"),
        (["join", "demo", "--type", "cloud-init"], "makes no nodes"),
    ],
)
def test_what_is_not_served_says_why(hub: Hub, cpln: Cpln, arguments: list[str], reason: str) -> None:
    hub.put(manifest())
    done = cpln.run("mk8s", *arguments)
    assert (done.returncode, reason in done.stderr, done.stdout) == (1, True, "")


def test_the_dashboard_of_a_cluster_without_one_opens_nothing(hub: Hub, cpln: Cpln) -> None:
    hub.put(manifest())
    assert cpln.done("mk8s", "dashboard", "demo") == ""
