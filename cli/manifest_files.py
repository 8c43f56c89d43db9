"""Manifests as files: read from files, folders and stdin, several in one; and what one would change. Pure but for reading.

Parsed as the hub parses (`schemas.documents`), so that a mistake is found here with its file and line.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from schemas import documents
from schemas.errors import Invalid

_ENDINGS = frozenset({".yaml", ".yml", ".json"})
_MARKER = re.compile(r"^(?:---(?=\s|$)|\.\.\.\s*$)", re.MULTILINE)
_BLANK = re.compile(r"(?:\s*(?:#.*)?\n?)*")
_WISHES = ("kind", "name", "description", "tags", "spec", "settings")


@dataclass(frozen=True)
class Manifest:
    """One document; `origin` is where it stands: `file.yaml`, or `file.yaml:12` for one of several."""

    origin: str
    body: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The cluster's."""
        return str(self.body["name"])


def read(paths: Sequence[str]) -> list[Manifest]:
    """Every manifest of `paths`: files, folders (their .yaml, .yml and .json files, not below), `-` for stdin.

    Raises:
        click.ClickException: one cannot be read; the message says where.
        click.UsageError: there is none.
    """
    found = [manifest for path in paths for manifest in _of_path(path)]
    if not found:
        raise click.UsageError(f"-f: no manifest in {', '.join(paths)}")
    return found


def split(text: str) -> Iterator[tuple[int, str]]:
    """The documents of a YAML stream, each with its first line (from 1) and as many empty lines before it."""
    begin, line = 0, 1
    for marker in [*_MARKER.finditer(text), None]:
        end = len(text) if marker is None else marker.start()
        part = text[begin:end]
        if not _BLANK.fullmatch(part):
            yield line, "\n" * (line - 1) + part
        if marker is not None:
            line += part.count("\n")
            begin = marker.end()


def difference(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, *, title: str) -> str:
    """A unified diff of two documents as YAML, coloured; "" where they say the same."""
    lines = difflib.unified_diff(
        _text(before), _text(after), f"{title} (now)", f"{title} (then)", lineterm=""
    )
    return "\n".join(_coloured(line) for line in lines)


def wishes(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the user said, of a manifest or of what the hub shows; empty members that nobody wrote are left out."""
    said = {name: document[name] for name in _WISHES if name in document}
    if said.get("description") == said.get("name"):
        said.pop("description", None)
    return {name: value for name, value in said.items() if value or name not in {"tags", "settings"}}


def _of_path(path: str) -> Iterator[Manifest]:
    if path == "-":
        yield from _of_text("stdin", sys.stdin.buffer.read())
        return
    place = Path(path)
    try:
        files = (
            sorted(file for file in place.iterdir() if file.suffix in _ENDINGS) if place.is_dir() else [place]
        )
        for file in files:
            yield from _of_text(str(file), file.read_bytes())
    except OSError as error:
        raise click.ClickException(f"{error.filename or path}: {error.strerror}") from None


def _of_text(origin: str, data: bytes) -> Iterator[Manifest]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise click.ClickException(f"{origin}: is no text in UTF-8") from None
    for line, part in split(text):
        where = origin if line == 1 else f"{origin}:{line}"
        try:
            body = documents.read_yaml(part.encode())
        except Invalid as refusal:
            raise click.ClickException(f"{origin}: {refusal.message}") from None
        yield from _of_document(where, body)


def _of_document(origin: str, body: Mapping[str, Any]) -> Iterator[Manifest]:
    if body.get("kind") == "list":
        for item in body.get("items") or ():
            yield from _of_document(origin, item)
        return
    if not isinstance(body.get("name"), str):
        raise click.ClickException(f"{origin}: $.name: is missing; every manifest names its cluster")
    yield Manifest(origin, _as_sent(body) if "status" in body else body)


def _as_sent(shown: Mapping[str, Any]) -> dict[str, Any]:
    """What the hub shows (an export), without what it fills in where the user sent none."""
    filled_in: dict[str, Any] = {"description": shown.get("name"), "tags": {}}
    return {name: value for name, value in shown.items() if name not in filled_in or value != filled_in[name]}


def _text(document: Mapping[str, Any] | None) -> list[str]:
    if document is None:
        return []
    import yaml  # noqa: PLC0415 - only where a difference is shown

    return yaml.safe_dump(json.loads(json.dumps(document)), sort_keys=False, allow_unicode=True).splitlines()


def _coloured(line: str) -> str:
    if line.startswith(("+++", "---")):
        return click.style(line, bold=True)
    colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
    return click.style(line, fg=colour) if colour else line
