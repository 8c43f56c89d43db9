"""The documentation is part of the product: what exists is documented, what is documented exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from cli.main import main
from cli.settings import VARIABLES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md"))]


def commands(group: click.Group, prefix: str = "pullpass") -> dict[str, click.Command]:
    context = click.Context(group)
    found: dict[str, click.Command] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        full = f"{prefix} {name}"
        found |= commands(command, full) if isinstance(command, click.Group) else {full: command}
    return found


def headings(page: str) -> set[str]:
    return {match.strip("` ") for match in re.findall(r"^## (.*)$", (DOCS / page).read_text(), re.MULTILINE)}


def test_every_command_has_a_section_and_no_section_is_left_over() -> None:
    assert set(commands(main)) == headings("reference/cli.md")


@pytest.mark.parametrize("name", commands(main))
def test_every_option_is_in_its_commands_section_or_among_those_of_all(name: str) -> None:
    page = (DOCS / "reference/cli.md").read_text()
    of_all = page.partition("\n## ")[0]
    section = page.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
    undocumented = [
        option.opts
        for option in commands(main)[name].params
        if isinstance(option, click.Option)
        if not any(re.search(rf"(?<![\w-]){flag}(?![\w-])", of_all + section) for flag in option.opts)
    ]
    assert [] == undocumented


def test_every_setting_is_documented_and_no_other() -> None:
    documented = re.findall(
        r"^\| `(PULLPASS_\w+)` \|", (DOCS / "reference/settings.md").read_text(), re.MULTILINE
    )
    assert set(VARIABLES) == set(documented)


def test_every_metric_is_documented_and_no_other() -> None:
    sources = [
        file for package in ("addon_api", "agent", "controller") for file in (ROOT / package).rglob("*.py")
    ]
    named = {name for file in sources for name in re.findall(r'"(pullpass_[a-z_]+)"', file.read_text())}
    documented = re.findall(
        r"^\| `(pullpass_\w+)` \|", (DOCS / "reference/metrics.md").read_text(), re.MULTILINE
    )
    assert named == set(documented)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
    assert [] == [link for link in links if not (page.parent / link).exists()]


def test_every_page_is_reachable_from_the_index() -> None:
    linked = {
        (DOCS / link).resolve()
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", (DOCS / "README.md").read_text())
    }
    assert [] == [
        str(page.relative_to(DOCS))
        for page in DOCS.rglob("*.md")
        if page.name != "README.md" and page not in linked
    ]
