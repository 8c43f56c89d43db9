"""What `cpln` asks: queries, the event log, audit, permissions and who has access."""

from __future__ import annotations

import pytest

from tests.support.cpln import Cpln
from tests.support.hub import Hub, manifest, status


@pytest.fixture
def three(hub: Hub) -> None:
    hub.put({**manifest("aa1"), "tags": {"team": "red", "nodes": 3, "on": True}})
    hub.put({**manifest("bb1", version="1.31.2"), "tags": {"team": "blue", "nodes": 12}})
    hub.put({**manifest("cc1", version="1.9.0"), "description": "The third one"})
    hub.report("bb1", status())


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "aa1 bb1 cc1"),
        (["--property", "name=bb1"], "bb1"),
        (["--property", "name!=bb1"], "aa1 cc1"),
        (["--property", "name~B"], "bb1"),
        (["--property", "name>aa1"], "bb1 cc1"),
        (["--property", "name>=bb1"], "bb1 cc1"),
        (["--property", "name<bb1"], "aa1"),
        (["--property", "name<=bb1"], "aa1 bb1"),
        (["--property", "~third"], "cc1"),
        (["--property", "description=The third one"], "cc1"),
        (["--property", "version=1"], "aa1 bb1 cc1"),
        (["--property", "spec.version>=1.30"], "aa1 bb1"),
        (["--property", "spec.version<1.30"], "cc1"),
        (["--property", "status.oidcProviderUrl"], "bb1"),
        (["--property", "status.oidcProviderUrl!"], "aa1 cc1"),
        (["--property", "created>2020-01-01"], "aa1 bb1 cc1"),
        (["--tag", "team=red"], "aa1"),
        (["--tag", "team"], "aa1 bb1"),
        (["--tag", "team!"], "cc1"),
        (["--tag", "nodes>5"], "bb1"),
        (["--tag", "nodes<=3"], "aa1"),
        (["--tag", "on=true"], "aa1"),
        (["--tag", "~blu"], "bb1"),
        (["--rel", "self=bb1"], "bb1"),
        (["--rel", "gvc"], ""),
        (["--tag", "team=red", "--property", "name=aa1"], "aa1"),
        (["--tag", "team=red", "--property", "name=bb1"], ""),
        (["--match", "any", "--tag", "team=red", "--property", "name=bb1"], "aa1 bb1"),
        (["--match", "none", "--tag", "team=red", "--property", "name=bb1"], "cc1"),
    ],
)
def test_a_query(cpln: Cpln, arguments: list[str], expected: str) -> None:
    assert expected.split() == cpln.done("mk8s", "query", *arguments, "-o", "names").split()


def test_a_query_is_paged_to_its_end(hub: Hub, cpln: Cpln) -> None:
    names = [f"c{number:03}" for number in range(60)]
    for name in names:
        hub.put({**manifest(name), "tags": {"team": "red"}})
    found = cpln.done("mk8s", "query", "--tag", "team=red", "--max", "0", "-o", "names")
    assert names == found.split()


def test_a_query_that_is_cut_says_so(hub: Hub, cpln: Cpln) -> None:
    for number in range(51):
        hub.put(manifest(f"c{number:03}"))
    done = cpln.run("mk8s", "query", "--max", "2", "-o", "names")
    assert (done.stdout.split(), "More records are available" in done.stderr) == (["c000", "c001"], True)


def test_a_query_for_a_property_that_is_none_fails(cpln: Cpln) -> None:
    done = cpln.run("mk8s", "query", "--property", "nmae=x")
    assert (done.returncode, "did you mean `name`?" in done.stderr) == (1, True)


def test_the_event_log_as_a_table_and_to_its_end(hub: Hub, cpln: Cpln) -> None:
    for number in range(60):
        hub.put({**manifest(), "description": f"{number}"})
    table = cpln.done("mk8s", "log", "demo", "-o", "text", "--max", "0")
    assert 'message="Updated by admin"' in table
    assert len(cpln.read("mk8s", "eventlog", "demo", "--max", "0")["items"]) == 60


@pytest.mark.parametrize("reference", [[], ["demo"]])
def test_the_audit_as_a_table(hub: Hub, cpln: Cpln, reference: list[str]) -> None:
    hub.put(manifest())
    hub.put(manifest(version="1.31.0"), caller="editor")
    table = cpln.done("mk8s", "audit", *reference, "--from", "2026-11-01T00:00:00Z", "-o", "text")
    lines = [line.split("|") for line in table.splitlines() if "success" in line]
    found = [[cell.strip() for cell in line[1:-1]] for line in lines]
    moment = "2026-11-22T05:40:00Z"
    assert found == [
        [moment, "demo", "mk8s", "2", "success", "update", "serviceaccount", "editor"],
        [moment, "demo", "mk8s", "1", "success", "create", "serviceaccount", "admin"],
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--subject", "editor"], ["demo"]),
        (["--subject", "admin"], ["demo", "demo"]),
        (["--subject", "someone@example.com"], []),
        (["--to", "2026-11-02T00:00:00Z"], []),
    ],
)
def test_the_audit_is_narrowed(hub: Hub, cpln: Cpln, arguments: list[str], expected: list[str]) -> None:
    hub.put(manifest())
    hub.put(manifest(version="1.31.0"), caller="editor")
    hub.put(manifest(version="1.32.0"))
    found = cpln.read("mk8s", "audit", "demo", "--from", "2026-11-01T00:00:00Z", *arguments)
    assert expected == [item["resource"]["name"] for item in found["items"]]


def test_the_audit_since_a_while_ago(hub: Hub, cpln: Cpln) -> None:
    hub.put(manifest())
    assert cpln.read("mk8s", "audit", "--since", "36500d")["items"]


def test_another_audit_context_is_refused(cpln: Cpln) -> None:
    done = cpln.run("mk8s", "audit", "--context", "mine")
    assert (done.returncode, "there is no audit context" in done.stderr) == (1, True)


def test_the_permissions_as_a_table(cpln: Cpln) -> None:
    table = cpln.done("mk8s", "permissions", "-o", "text")
    assert "connect, create, delete, edit, view" in table
    assert [item["name"] for item in cpln.read("mk8s", "permissions")["items"]][-1] == "manage"


def test_the_access_report_as_a_table(hub: Hub, cpln: Cpln, as_admin: Cpln) -> None:
    hub.put(manifest())
    table = as_admin.done("mk8s", "access-report", "demo", "-o", "text")
    row = next(line for line in table.splitlines() if "edit" in line and "serviceaccount/admin" in line)
    assert "manage" in row
    refused = cpln.run("mk8s", "access-report", "demo")
    assert (refused.returncode, "needs the role admin" in refused.stderr) == (1, True)
