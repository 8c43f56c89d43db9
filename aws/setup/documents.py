"""Policy documents compared by what they mean: IAM's grammar lets one thing be written in several ways.

Used by `trust`, `permissions`, `plan` and `teardown`.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]

_ACTIONS = ("Action", "NotAction")
_NAMED = ("Effect", "Principal", "NotPrincipal", *_ACTIONS, "Resource", "NotResource", "Condition")


def statements(document: Mapping[str, Any]) -> list[Any]:
    """The statements; a single one may stand without its list."""
    found = document.get("Statement", [])
    return list(found) if isinstance(found, list) else [found]


def listed(value: Any) -> list[Any]:
    """A value that may stand for a list of one; nothing is an empty list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def meaning(statement: Any) -> str:
    """Equal for two statements that say the same: names, order and lists of one make no difference."""
    if not isinstance(statement, Mapping):
        return _text(statement)
    said = {
        name: _canonical(value, lower=name in _ACTIONS) for name, value in statement.items() if name in _NAMED
    }
    return _text(said)


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two documents hold the same statements, in whatever order."""
    return sorted(map(meaning, statements(one))) == sorted(map(meaning, statements(other)))


def compact(document: Mapping[str, Any]) -> str:
    """As it is sent: without white space between its tokens, which no quota counts."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def counted_size(document: Mapping[str, Any]) -> int:
    """Characters as IAM's quotas count them."""
    return len(compact(document))


def _canonical(value: Any, *, lower: bool) -> Any:
    if isinstance(value, Mapping):
        return {name: _canonical(child, lower=lower) for name, child in value.items()}
    return sorted({str(item).lower() if lower else _text(item) for item in listed(value)})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
