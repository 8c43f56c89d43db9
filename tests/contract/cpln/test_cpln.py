"""The commands of Control Plane's own documentation, run by its unmodified command line against this API."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support import programs
from tests.support.cpln import Cpln
from tests.support.hub import CONNECTION, ISSUER, Hub, manifest, status


@pytest.fixture
def cluster_file(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(manifest()))
    return path


def jq(expression: str, document: object) -> str:
    done = subprocess.run(
        [programs.require("jq", make="programs"), "-r", expression],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_apply_creates_updates_and_get_shows_it(hub: Hub, cpln: Cpln, cluster_file: Path) -> None:
    created = cpln.run("apply", "-f", str(cluster_file))
    assert created.returncode == 0, created.stderr
    assert "Created" in created.stdout
    shown = cpln.read("mk8s", "get", "demo")
    assert (shown["name"], shown["spec"]) == ("demo", manifest()["spec"])
    updated = cpln.run("apply", "-f", str(cluster_file))
    assert updated.returncode == 0, updated.stderr
    assert "Updated" in updated.stdout


def test_the_documented_queries_give_the_provider_url_and_the_trust_policy(hub: Hub, cpln: Cpln) -> None:
    hub.put(manifest())
    hub.report("demo", status())
    shown = cpln.read("mk8s", "get", "demo")
    assert jq(".status.oidcProviderUrl", shown) == ISSUER
    policy = json.loads(jq(".status.addOns.awsECR.trustPolicy", shown))
    host = ISSUER.removeprefix("https://")
    [statement] = policy["Statement"]
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{host}"}
    assert statement["Condition"]["StringEquals"] == {
        f"{host}:aud": "sts.amazonaws.com",
        f"{host}:sub": [
            "system:serviceaccount:pullpass-system:pullpass-agent",
            "system:serviceaccount:pullpass-system:pullpass-node",
        ],
    }


def test_the_list_shows_every_cluster_as_a_table(hub: Hub, cpln: Cpln) -> None:
    for name in ("one", "two"):
        hub.put(manifest(name))
    table = cpln.run("mk8s", "get")
    assert table.returncode == 0, table.stderr
    assert [name in table.stdout for name in ("one", "two")] == [True, True]


def test_the_list_is_paged_to_its_end(hub: Hub, cpln: Cpln) -> None:
    names = [f"c{number:03}" for number in range(60)]
    for name in names:
        hub.put(manifest(name))
    listed = cpln.read("mk8s", "get", "--max", "0")
    assert [item["name"] for item in listed["items"]] == names


def test_delete_takes_a_cluster_away(hub: Hub, cpln: Cpln) -> None:
    hub.put(manifest())
    done = cpln.run("mk8s", "delete", "demo")
    assert done.returncode == 0, done.stderr
    assert hub.get("/org/acme/mk8s/demo").status_code == 404


def test_delete_of_a_connected_cluster_starts_its_removal(hub: Hub, cpln: Cpln) -> None:
    hub.put(manifest())
    hub.call("PUT", "/org/acme/mk8s/demo/-connection", json=CONNECTION)
    done = cpln.run("mk8s", "delete", "demo")
    assert done.returncode == 0, done.stderr
    assert hub.stored("demo").removal is not None


def test_a_refusal_is_printed_and_fails(hub: Hub, cpln: Cpln, tmp_path: Path) -> None:
    wrong = manifest(addOns={"awsECR": {}})
    file = tmp_path / "wrong.yaml"
    file.write_text(yaml.safe_dump(wrong))
    done = cpln.run("apply", "-f", str(file))
    assert done.returncode != 0
    assert "requires the add-on `awsWorkloadIdentity`" in done.stderr


def test_what_is_not_there_is_printed_and_fails(hub: Hub, cpln: Cpln) -> None:
    done = cpln.run("mk8s", "get", "none")
    assert done.returncode == 1
    assert "NOT_FOUND" in done.stderr


def test_the_event_log_is_listed(hub: Hub, cpln: Cpln) -> None:
    hub.put(manifest())
    events = cpln.read("mk8s", "eventlog", "demo")
    assert (events["itemKind"], events["items"][0]["context"]["reason"]) == ("event", "Created")


def test_a_slash_at_the_end_of_the_endpoint_does_no_harm(hub: Hub, cpln: Cpln, endpoint: str) -> None:
    hub.put(manifest())
    slashed = Cpln(cpln.program, f"{endpoint}/", cpln.token, cpln.home)
    assert slashed.read("mk8s", "get", "demo")["name"] == "demo"


def test_an_endpoint_with_a_path_serves_everything(hub: Hub, under_a_path: Cpln) -> None:
    names = [f"c{number:03}" for number in range(51)]
    for name in names:
        hub.put(manifest(name))
    assert names == under_a_path.done("mk8s", "get", "--max", "0", "-o", "names").split()
    assert names == under_a_path.done("mk8s", "query", "--max", "0", "-o", "names").split()
    assert under_a_path.done("mk8s", "clone", "c000", "--name", "copy", "-o", "names").strip() == "copy"
    assert under_a_path.done("mk8s", "get", "copy", "-o", "tf").startswith("# terraform import")
