"""The how-to pages, followed as they are written: every file saved, every command run in order."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hcl2.api import loads

from tests.support import programs
from tests.support.cpln import Cpln
from tests.support.hub import Hub, status
from tests.support.terraform import Provider

PAGES = programs.REPOSITORY / "docs" / "how-to"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str]]:
    return _BLOCK.findall((PAGES / page).read_text(encoding="utf-8"))


def commands(text: str) -> list[str]:
    """The commands of a console block, without the one that says where the hub is."""
    lines = [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
    return [line for line in lines if not line.startswith("export CPLN_ENDPOINT=")]


def test_every_command_of_the_cpln_page_does_what_it_says(hub: Hub, as_admin: Cpln, tmp_path: Path) -> None:
    programs.require("jq", make="programs")
    environment = as_admin.environment() | {
        "EDITOR": "sed -i s/1.34.5/1.34.6/",
        "PATH": f"{as_admin.program.parent}:{as_admin.environment()['PATH']}",
    }
    environment["VISUAL"] = environment["EDITOR"]
    printed: dict[str, str] = {}
    for kind, text in blocks("cpln.md"):
        if kind == "yaml":
            name = text.partition("\n")[0].removeprefix("# ")
            (tmp_path / name).write_text(text, encoding="utf-8")
            continue
        for command in commands(text):
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command],
                env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{command}: {done.stderr}"
            printed[command] = done.stdout
            if command == "cpln mk8s get -o text":
                hub.report("demo", status())
    outputs = {command.partition("  ")[0]: output for command, output in printed.items()}
    assert outputs["cpln mk8s get demo -o json | jq -r .status.oidcProviderUrl"].startswith("https://")
    assert '"Statement"' in outputs["cpln mk8s get demo -o json | jq .status.addOns.awsECR.trustPolicy"]
    found = outputs['cpln mk8s query --tag stage=live --property "spec.version<1.34.5" -o names']
    assert found.split() == ["second"]
    assert outputs["cpln mk8s query --property spec.addOns.awsECR --match none -o names"].split() == [
        "second"
    ]
    shown = hub.show("demo")
    assert (shown["description"], shown["spec"]["version"], shown["tags"]) == (
        "Card payments",
        "1.34.6",
        {"stage": "live"},
    )
    assert shown["settings"] == {"awsECR": {"delivery": "pullSecret"}}
    assert hub.get("/org/acme/mk8s/third").status_code == 404
    assert (tmp_path / "demo.tf").read_text().startswith("# terraform import")


@pytest.mark.parametrize("page", ["cpln.md", "terraform.md"])
def test_a_page_sets_the_endpoint_before_anything_else(page: str) -> None:
    first = next(text for kind, text in blocks(page) if kind == "console")
    assert first.startswith("$ export CPLN_ENDPOINT=")


def test_the_resource_of_the_terraform_page_has_no_difference_once_applied(hub: Hub) -> None:
    [text] = [text for kind, text in blocks("terraform.md") if kind == "hcl"]
    read: Any = loads(text)
    [resource] = read["resource"]
    provider = Provider(hub)
    provider.create(resource["cpln_mk8s"]["demo"])
    assert provider.plan(resource["cpln_mk8s"]["demo"]) == {}
