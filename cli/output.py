"""How a command shows rows: a table on a terminal, plain columns off it, JSON or YAML on request."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def option(function: Function) -> Function:
    """Adds `-o/--output table|json|yaml`, passed on as `output_format`."""
    return click.option(
        "-o",
        "--output",
        "output_format",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
    )(function)


def show(rows: Sequence[Mapping[str, Any]], output_format: str, *, empty: str) -> None:
    """Prints `rows`; `empty` is what a person reads on stderr when there are none."""
    if output_format == "json":
        click.echo(json.dumps(list(rows), indent=2))
    elif output_format == "yaml":
        import yaml  # noqa: PLC0415 - only where it is asked for

        click.echo(yaml.safe_dump([dict(row) for row in rows], sort_keys=False), nl=False)
    elif not rows:
        click.echo(empty, err=True)
    elif sys.stdout.isatty():
        _table(rows)
    else:
        for row in rows:
            click.echo("\t".join("" if value is None else str(value) for value in row.values()))


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only on a terminal
    from rich.table import Table  # noqa: PLC0415 - the same

    table = Table(box=None, header_style="bold")
    for name in rows[0]:
        table.add_column(name.upper())
    for row in rows:
        table.add_row(*("-" if value is None else str(value) for value in row.values()))
    Console().print(table)
