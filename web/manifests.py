"""Manifests as a person edits them: YAML text, where each part of it stands, and what differs between two. Pure.

The rules are the API's; this module only finds the line of what the API names by JSON path.
Called by the pages that create and edit.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from web.api import Mistake

# What a person writes; all else in an answer is the server's.
_WISHES = ("kind", "name", "description", "tags", "spec", "settings")
_STEP = re.compile(
    r"\.([A-Za-z_$-][A-Za-z0-9_$-]*)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]"
)
_CONTEXT_LINES = 3


@dataclass(frozen=True)
class Placed:
    """A mistake and the line (from 1) where it stands, or where what it is missing from begins."""

    line: int
    path: str
    message: str
    hint: str


@dataclass(frozen=True)
class DiffLine:
    """One line of a diff; `kind` is `same`, `added`, `removed` or `gap`."""

    kind: str
    text: str


def text_of(cluster: Mapping[str, Any]) -> str:
    """The manifest in an answer of the API, as YAML; empty members that the user did not send are left out."""
    members = {name: cluster[name] for name in _WISHES if name in cluster}
    if members.get("description") == members.get("name"):
        del members["description"]
    for name in ("tags", "settings"):
        if not members.get(name):
            members.pop(name, None)
    return yaml.safe_dump(members, sort_keys=False, allow_unicode=True, width=110)


def syntax_mistake(text: str) -> Placed | None:
    """Where `text` stops being YAML."""
    try:
        yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return Placed(1 if mark is None else mark.line + 1, "$", f"This is no YAML: {error.problem}", "")
    except yaml.YAMLError as error:
        return Placed(1, "$", f"This is no YAML: {error}", "")
    return None


def placed(text: str, mistakes: tuple[Mistake, ...]) -> tuple[Placed, ...]:
    """Each mistake with its line in `text`, in the order of lines."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    found = [
        Placed(_line(root, mistake.path), mistake.path, mistake.message, mistake.hint) for mistake in mistakes
    ]
    return tuple(sorted(found, key=lambda each: each.line))


def diff(before: str, after: str) -> tuple[DiffLine, ...]:
    """What differs, with three lines round it; empty when nothing does."""
    lines: list[DiffLine] = []
    first = True
    for line in difflib.unified_diff(before.splitlines(), after.splitlines(), n=_CONTEXT_LINES, lineterm=""):
        if line.startswith(("---", "+++")):
            continue
        if line.startswith("@@"):
            if not first:
                lines.append(DiffLine("gap", ""))
            first = False
            continue
        lines.append(DiffLine({"+": "added", "-": "removed"}.get(line[:1], "same"), line[1:]))
    return tuple(lines)


def _line(node: yaml.Node | None, path: str) -> int:
    """The line of what `path` leads to, or of the last part of the way that is there."""
    line = 1 if node is None else node.start_mark.line + 1
    for match in _STEP.finditer(path):
        key, index = match[1] or match[3] or match[4], match[2]
        if isinstance(node, yaml.SequenceNode) and index is not None and int(index) < len(node.value):
            node = node.value[int(index)]
            line = node.start_mark.line + 1
            continue
        if not isinstance(node, yaml.MappingNode):
            break
        pair = next(((name, value) for name, value in node.value if name.value == key), None)
        if pair is None:
            break
        line, node = pair[0].start_mark.line + 1, pair[1]
    return line
