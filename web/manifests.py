"""Manifests as a person edits them: YAML text, where each part of it stands, and what differs between two. Pure.

The rules are the API's; this module only finds the line of what the API names by JSON path.
Called by the pages that create and edit.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from schemas.documents import is_plain_text
from web.api import Mistake

# What a person writes; all else in an answer is the server's.
_WISHES = ("kind", "name", "description", "tags", "spec", "settings")
# As `schemas.errors.json_path` writes them: `.name`, `[0]`, and other keys as Python would, cut where they are long.
_STEP = re.compile(r"""\.([A-Za-z_$-][A-Za-z0-9_$-]*)|\[(\d+)\]|\[('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\]""")
_LONGEST_STEP = 80
_CONTEXT_LINES = 3
_POSITION = re.compile(r"line (\d+), column \d+: ")  # how the API's reader says where a text cannot be read
_BLANK = frozenset(" \t\n")
_UNUSUAL_BREAK = re.compile("[\r\x85\u2028\u2029]")  # not a line's end to everybody


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
    return dump(members)


def dump(document: Mapping[str, Any]) -> str:
    """`document`, which is plain JSON, as YAML that the API reads as exactly the same."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def placed(text: str, mistakes: tuple[Mistake, ...]) -> tuple[Placed, ...]:
    """Each mistake with its line in `text`, in the order of lines."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        root = None  # what cannot be read has its line in the API's words
    found = [_placed(root, mistake) for mistake in mistakes]
    return tuple(sorted(found, key=lambda each: each.line))


def _placed(root: yaml.Node | None, mistake: Mistake) -> Placed:
    told = _POSITION.match(mistake.message)
    if told is None:
        return Placed(_line(root, mistake.path), mistake.path, mistake.message, mistake.hint)
    return Placed(int(told[1]), mistake.path, mistake.message[told.end() :], mistake.hint)


class _Dumper(yaml.SafeDumper):
    """PyYAML's, which speaks YAML 1.1, made to quote what YAML 1.2 would not read as text, too (`0o17`, `08`, `1e3`)."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's signature
        """Lists stand further in than their key, as most people write them."""
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if not is_plain_text(text):
        style = "'"
    elif _UNUSUAL_BREAK.search(text):
        style = '"'
    elif "\n" in text and text[0] not in _BLANK:
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text_node)


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
        key, index = match[1] or str(ast.literal_eval(match[3] or "''")), match[2]
        if isinstance(node, yaml.SequenceNode) and index is not None and int(index) < len(node.value):
            node = node.value[int(index)]
            line = node.start_mark.line + 1
            continue
        if not isinstance(node, yaml.MappingNode):
            break
        pair = next(((name, value) for name, value in node.value if name.value[:_LONGEST_STEP] == key), None)
        if pair is None:
            break
        line, node = pair[0].start_mark.line + 1, pair[1]
    return line
