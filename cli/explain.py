"""`pullpass explain`: what an issue means, why it comes and what to do, without asking anybody.

Messages and remedies are those of `schemas.issues`, the words between them those of docs/reference/issues.md, which is
installed beside this module (pyproject.toml).
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import click

from cli import output
from schemas.issues import KINDS, issue

_PAGES = (
    Path(__file__).with_name("issues.md"),  # as it is installed
    Path(__file__).parents[1] / "docs" / "reference" / "issues.md",  # in a clone
)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def _complete(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    return [code for code in KINDS if code.lower().startswith(begun.lower())]


@click.command()
@click.argument("code", metavar="[ISSUE]", required=False, shell_complete=_complete)
@output.option
def explain(code: str | None, output_format: str) -> None:
    """Explain an ISSUE, such as TrustPolicyMismatch; without one, list them all.

    Needs no hub. ${…} stands where an issue of a cluster has that cluster's own value.
    """
    if code is None:
        rows = [{"name": each, "message": issue(each, {}).message} for each in KINDS]
        output.show(rows, output_format, empty="")
        return
    by_lower = {each.lower(): each for each in KINDS}
    known = by_lower.get(code.lower())
    if known is None:
        near = difflib.get_close_matches(code.lower(), by_lower, n=3)
        advice = (
            f"did you mean {' or '.join(by_lower[each] for each in near)}?"
            if near
            else "`pullpass explain` lists all"
        )
        raise click.UsageError(f"there is no issue {code!r}; {advice}")
    found = issue(known, {})
    why, steps = section(known)
    if output_format == "name":
        click.echo(known)
    elif output_format != "table":
        output.document(
            {"code": known, "message": found.message, "why": why, "steps": steps, "remedy": found.remedy},
            output_format,
        )
    else:
        click.echo(
            f"{click.style(known, bold=True)}\n\n{found.message}\n\n{why}\n\n{steps}\n\n"
            f"{click.style('Remedy', bold=True)}\n  {found.remedy}"
        )


def section(code: str) -> tuple[str, str]:
    """Of an issue's section in the reference: why it comes, and the list of what to see and do; no links.

    Raises:
        click.ClickException: the page is not installed.
    """
    page = next((page for page in _PAGES if page.exists()), None)
    if page is None:
        raise click.ClickException(f"{_PAGES[0]} is not installed")
    text = page.read_text(encoding="utf-8")
    match = re.search(rf"^## {code}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    plain = _LINK.sub(r"\1", match[1] if match else "").replace("**", "").replace("\n  ", " ").strip()
    why, separator, steps = plain.partition("\n- ")
    return " ".join(why.split()), f"{separator.strip()} {steps}".strip()
