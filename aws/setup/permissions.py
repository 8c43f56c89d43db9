"""Whether the policies on a role allow what is wanted already: a sound answer, never a hopeful one.

A wanted resource counts as allowed only where a statement without conditions covers all of it, and no statement denies
any of it. What cannot be judged (conditions, a boundary, an organisation's control policies) is not counted as
allowed, or said beside. Used by `plan`, and by the checks of `controller`.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws.setup.documents import Document, listed, statements


@dataclass(frozen=True)
class Lack:
    """An action on a resource that is not allowed; `denied` where a statement says so in words."""

    action: str
    resource: str
    denied: bool = False


def lacks(wanted: Document, held: Iterable[Mapping[str, Any]], *, partly: bool = False) -> tuple[Lack, ...]:
    """What `wanted` (allowing statements only) asks for and the documents `held` together do not give.

    With `partly` an action counts as given where some of its resource is: somebody narrowed it, and knows why.
    """
    given = [
        statement for document in held for statement in statements(document) if isinstance(statement, Mapping)
    ]
    allowing = [one for one in given if one.get("Effect") == "Allow" and not one.get("Condition")]
    denying = [one for one in given if one.get("Effect") == "Deny"]
    allows, denies = (_may_touch, _covers) if partly else (_covers, _may_touch)
    found = []
    for statement in statements(wanted):
        for action in listed(statement.get("Action")):
            for resource in listed(statement.get("Resource")):
                denied = any(denies(one, action, resource) for one in denying)
                if denied or not any(allows(one, action, resource) for one in allowing):
                    found.append(Lack(action, resource, denied))
    return tuple(found)


def touches(held: Iterable[Mapping[str, Any]], action: str, resource: str) -> bool:
    """Whether some statement without conditions allows `action` on a part of `resource` at least."""
    given = (one for document in held for one in statements(document) if isinstance(one, Mapping))
    return any(
        one.get("Effect") == "Allow" and not one.get("Condition") and _may_touch(one, action, resource)
        for one in given
    )


def _covers(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    """Whether a statement holds all of `resource`, which may have globs of its own."""
    return _action_matches(statement, action) and any(
        _pattern(str(pattern), blind=False).fullmatch(resource)
        for pattern in listed(statement.get("Resource"))
    )


def _may_touch(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    """Whether a statement may hold some of `resource`, its conditions (unknown here) fulfilled or not."""
    if not _action_matches(statement, action):
        return False
    if "NotResource" in statement:
        return not any(
            _pattern(str(pattern), blind=False).fullmatch(resource)
            for pattern in listed(statement["NotResource"])
        )
    return any(_overlap(str(pattern), resource) for pattern in listed(statement.get("Resource")))


def _action_matches(statement: Mapping[str, Any], action: str) -> bool:
    if "NotAction" in statement:
        return not _any_action(listed(statement["NotAction"]), action)
    return _any_action(listed(statement.get("Action")), action)


def _any_action(patterns: Sequence[Any], action: str) -> bool:
    return any(_pattern(str(pattern).lower(), blind=True).fullmatch(action.lower()) for pattern in patterns)


def _pattern(glob: str, *, blind: bool) -> re.Pattern[str]:
    """A glob as an expression; `?` never stands for the other side's `*` unless `blind`."""
    one = "." if blind else "[^*]"
    return re.compile("".join({"*": ".*", "?": one}.get(each) or re.escape(each) for each in glob), re.DOTALL)


def _overlap(one: str, other: str) -> bool:
    """Whether some text matches both globs."""
    reached = {0}
    seen: set[tuple[int, int]] = set()
    waiting = [(0, position) for position in reached]
    while waiting:
        here, there = waiting.pop()
        if (here, there) in seen:
            continue
        seen.add((here, there))
        if here == len(one) and there == len(other):
            return True
        ours, theirs = one[here : here + 1], other[there : there + 1]
        if ours == "*":
            waiting.append((here + 1, there))
            if theirs:
                waiting.append((here, there + 1))
        if theirs == "*":
            waiting.append((here, there + 1))
            if ours:
                waiting.append((here + 1, there))
        if ours and theirs and (ours == theirs or "?" in {ours, theirs}):
            waiting.append((here + 1, there + 1))
    return False
