"""How a command shows what it found: columns and colours on a terminal, tab-separated lines off it, JSON or YAML on request.

Called by every command that lists or shows something.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])
Row = Mapping[str, Any]

_GAP = "   "
_COLOURS = {
    "Ready": "green",
    "Installing": "cyan",
    "Removing": "cyan",
    "Degraded": "yellow",
    "Blocked": "yellow",
    "NotConnected": "yellow",
    "Failed": "red",
    "Disabled": "bright_black",
}


def option(function: Function) -> Function:
    """Adds `-o/--output table|json|yaml|name`, passed on as `output_format`."""
    return click.option(
        "-o",
        "--output",
        "output_format",
        type=click.Choice(["table", "json", "yaml", "name"]),
        default="table",
        show_default=True,
    )(function)


def show(rows: Sequence[Row], output_format: str, *, empty: str) -> None:
    """Prints `rows`; `empty` is what a person reads on stderr when there are none."""
    if output_format in {"json", "yaml"}:
        document([dict(row) for row in rows], output_format)
    elif not rows:
        if output_format == "table":
            click.echo(empty, err=True)
    elif output_format == "name":
        for row in rows:
            click.echo(row["name"])
    else:
        click.echo(table(rows) if sys.stdout.isatty() else lines(rows))


def document(value: Any, output_format: str) -> None:
    """Prints `value` as JSON or YAML; JSON is indented for eyes, and compact for programs."""
    if output_format == "yaml":
        import yaml  # noqa: PLC0415 - only where it is asked for

        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        text = yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True)
        click.echo(text, nl=False)
    elif sys.stdout.isatty():
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        click.echo(json.dumps(value, ensure_ascii=False))


def lines(rows: Sequence[Row]) -> str:
    """Tab-separated, without a header: what `cut` and `awk` like."""
    return "\n".join("\t".join("" if value is None else str(value) for value in row.values()) for row in rows)


def table(rows: Sequence[Row]) -> str:
    """Aligned columns under their names, states in their colour."""
    names = list(rows[0])
    cells = [["-" if row[name] in {None, ""} else str(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[place]) for line in cells)) for place, name in enumerate(names)]
    widths[-1] = 0  # nothing stands behind it
    head = [
        click.style(name.upper().ljust(width), bold=True) for name, width in zip(names, widths, strict=True)
    ]
    body = [[coloured(cell, width) for cell, width in zip(line, widths, strict=True)] for line in cells]
    return "\n".join(_GAP.join(line).rstrip() for line in (head, *body))


def coloured(text: str, width: int = 0) -> str:
    """`text` in the colour of the state that it is, if it is one."""
    padded = text.ljust(width)
    return click.style(padded, fg=_COLOURS[text]) if text in _COLOURS else padded
