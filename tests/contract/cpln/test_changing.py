"""What `cpln` changes: apply, update, patch, tag, edit, clone and delete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cpln import Cpln
from tests.support.hub import Hub, manifest

SETTINGS = {"awsECR": {"delivery": "pullSecret"}}


@pytest.fixture(autouse=True)
def demo(hub: Hub) -> None:
    hub.put({**manifest(), "tags": {"team": "a"}, "settings": SETTINGS})


def editor(tmp_path: Path, program: str) -> dict[str, str]:
    """An editor that runs `program` on the document, which it finds as `document`."""
    path = tmp_path / "editor"
    path.write_text(
        "#!/usr/bin/env python3\n"
        "import sys, pathlib\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "document = path.read_text()\n"
        f"{program}\n"
        "path.write_text(document)\n"
    )
    path.chmod(0o755)
    return {"EDITOR": str(path), "VISUAL": str(path)}


def replace(before: str, after: str) -> str:
    return f"assert {before!r} in document\ndocument = document.replace({before!r}, {after!r})"


def test_apply_takes_every_document_of_a_file(hub: Hub, cpln: Cpln, tmp_path: Path) -> None:
    file = tmp_path / "clusters.yaml"
    file.write_text(yaml.safe_dump_all([manifest("aa1"), manifest("bb1"), manifest(version="1.31.0")]))
    printed = cpln.done("apply", "-f", str(file)).splitlines()
    assert printed == ["Created /org/acme/mk8s/aa1", "Created /org/acme/mk8s/bb1", "Updated mk8s 'demo'"]
    assert [hub.show(name)["name"] for name in ("aa1", "bb1")] == ["aa1", "bb1"]


def test_apply_goes_on_after_a_wrong_document_and_fails(hub: Hub, cpln: Cpln, tmp_path: Path) -> None:
    file = tmp_path / "clusters.yaml"
    file.write_text(yaml.safe_dump_all([manifest("aa1", version=1.3), manifest("bb1")]))
    done = cpln.run("apply", "-f", str(file))
    assert (done.returncode, "put it in quotes" in done.stderr) == (1, True)
    assert hub.get("/org/acme/mk8s/aa1").status_code == 404
    assert hub.get("/org/acme/mk8s/bb1").status_code == 200


def test_apply_from_standard_input(hub: Hub, cpln: Cpln) -> None:
    cpln.done("apply", "-f", "-", given=json.dumps(manifest("aa1")))
    assert hub.show("aa1")["name"] == "aa1"


@pytest.mark.parametrize("output", ["yaml-slim", "yaml", "json-slim", "json"])
def test_what_get_prints_can_be_applied_again(hub: Hub, cpln: Cpln, output: str) -> None:
    exported = cpln.done("mk8s", "get", "demo", "-o", output)
    before = hub.show("demo")
    hub.call("PATCH", "/org/acme/mk8s/demo", json={"spec": {"version": "1.32.0"}, "settings": None})
    cpln.done("apply", "-f", "-", given=exported)
    after = hub.show("demo")
    assert [before[key] for key in ("spec", "tags", "settings")] == [
        after[key] for key in ("spec", "tags", "settings")
    ]


def test_a_viewer_may_not_apply(hub: Hub, as_viewer: Cpln) -> None:
    done = as_viewer.run("apply", "-f", "-", given=json.dumps(manifest("aa1")))
    assert (done.returncode, "this needs the role editor" in done.stderr) == (1, True)


def test_update_sets_and_unsets(hub: Hub, cpln: Cpln) -> None:
    changes = ("description=New words", "spec.version=1.31.0", "tags.stage=live")
    cpln.done("mk8s", "update", "demo", *(word for change in changes for word in ("--set", change)))
    shown = hub.show("demo")
    assert (shown["description"], shown["spec"]["version"]) == ("New words", "1.31.0")
    assert shown["tags"] == {"team": "a", "stage": "live"}
    cpln.done("mk8s", "update", "demo", "--set", "tags.team=null", "--unset", "description")
    shown = hub.show("demo")
    assert (shown["description"], shown["tags"]) == ("demo", {"stage": "live"})


def test_patch_merges_a_file(hub: Hub, cpln: Cpln, tmp_path: Path) -> None:
    file = tmp_path / "patch.yaml"
    file.write_text("tags: {stage: live, team: null}\nspec: {addOns: {awsECR: null}}\n")
    cpln.done("mk8s", "patch", "demo", "-f", str(file))
    shown = hub.show("demo")
    assert (shown["tags"], shown["spec"]["addOns"]) == ({"stage": "live"}, {"awsWorkloadIdentity": {}})
    assert shown["settings"] == SETTINGS


def test_tag_attaches_and_removes_on_several(hub: Hub, cpln: Cpln) -> None:
    hub.put(manifest("aa1"))
    cpln.done("mk8s", "tag", "demo", "aa1", "--tag", "n=3", "--tag", "word", "--remove-tag", "team")
    assert [hub.show(name)["tags"] for name in ("demo", "aa1")] == [
        {"n": 3, "word": ""},
        {"n": 3, "word": ""},
    ]


def test_edit_merges_what_the_editor_left(hub: Hub, cpln: Cpln, tmp_path: Path) -> None:
    environment = editor(tmp_path, replace("version: 1.30.0", "version: 1.31.0"))
    cpln.done("mk8s", "edit", "demo", environment=environment)
    assert (hub.show("demo")["spec"]["version"], hub.show("demo")["settings"]) == ("1.31.0", SETTINGS)


def test_edit_with_replace_takes_away_what_the_editor_took_away(hub: Hub, cpln: Cpln, tmp_path: Path) -> None:
    gone = "    awsECR:\n      roleArn: arn:aws:iam::123456789012:role/ecr\n"
    environment = editor(tmp_path, replace(gone, ""))
    cpln.done("mk8s", "edit", "demo", "--replace", environment=environment)
    assert hub.show("demo")["spec"]["addOns"] == {"awsWorkloadIdentity": {}}


@pytest.mark.parametrize("replaces", [[], ["--replace"]])
def test_edit_of_what_somebody_else_changed_is_refused(
    hub: Hub, cpln: Cpln, tmp_path: Path, replaces: list[str]
) -> None:
    changed = replace("version: 1.30.0", "version: 1.31.0")
    stale = replace("\nversion: 1\n", "\nversion: 9\n")
    done = cpln.run("mk8s", "edit", "demo", *replaces, environment=editor(tmp_path, f"{changed}\n{stale}"))
    assert (done.returncode, "changed meanwhile: version 1 is stored" in done.stderr) == (1, True)
    assert hub.show("demo")["spec"]["version"] == "1.30.0"


def test_edit_without_a_change_writes_nothing(hub: Hub, cpln: Cpln, tmp_path: Path) -> None:
    cpln.run("mk8s", "edit", "demo", environment=editor(tmp_path, ""))
    assert hub.show("demo")["version"] == 1


def test_clone_copies_what_was_wished_for_and_nothing_else(hub: Hub, cpln: Cpln) -> None:
    printed: Any = json.loads(
        cpln.done("mk8s", "clone", "demo", "--name", "copy", "--tag", "b=c", "-o", "json")
    )
    shown = hub.show("copy")
    assert printed == shown
    original = hub.show("demo")
    assert (shown["spec"], shown["settings"]) == (original["spec"], original["settings"])
    assert (shown["description"], shown["tags"]) == ("Clone of demo", {"team": "a", "b": "c"})
    assert shown["id"] != original["id"]


def test_clone_to_a_name_that_is_taken_is_refused(hub: Hub, cpln: Cpln) -> None:
    hub.put(manifest("copy"))
    done = cpln.run("mk8s", "copy", "demo", "--name", "copy")
    assert (done.returncode, "exists already" in done.stderr) == (1, True)


def test_delete_takes_several(hub: Hub, cpln: Cpln) -> None:
    hub.put(manifest("aa1"))
    cpln.done("mk8s", "delete", "demo", "aa1")
    assert hub.get("/org/acme/mk8s").json["items"] == []  # type: ignore[index]


def test_delete_of_what_is_not_there_fails(cpln: Cpln) -> None:
    done = cpln.run("mk8s", "delete", "none")
    assert (done.returncode, "NOT_FOUND" in done.stderr) == (1, True)


def test_delete_by_file(hub: Hub, cpln: Cpln, tmp_path: Path) -> None:
    file = tmp_path / "clusters.yaml"
    file.write_text(yaml.safe_dump_all([manifest(), manifest("aa1")]))
    hub.put(manifest("aa1"))
    assert sorted(cpln.done("delete", "-f", str(file)).splitlines()) == [
        "Deleted mk8s 'aa1'",
        "Deleted mk8s 'demo'",
    ]
