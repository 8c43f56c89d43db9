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


def commands(group: click.Group, prefix: str = "pullpass") -> list[str]:
    context = click.Context(group)
    names: list[str] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        full = f"{prefix} {name}"
        names += commands(command, full) if isinstance(command, click.Group) else [full]
    return names


def headings(page: str) -> set[str]:
    return {match.strip("` ") for match in re.findall(r"^## (.*)$", (DOCS / page).read_text(), re.MULTILINE)}


def test_every_command_has_a_section_and_no_section_is_left_over() -> None:
    assert set(commands(main)) == headings("reference/cli.md")


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
