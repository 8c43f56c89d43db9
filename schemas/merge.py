"""PATCH: a deep merge of JSON values, in which `null` deletes and `$replace/KEY` replaces.

This is RFC 7396 (JSON Merge Patch) and one thing more, which the wire contract's clients send: a member
`$replace/KEY` takes the place of the whole member `KEY`, where plain `KEY` would be merged into it. Called by
`addon_api`. Pure: neither argument is changed, and what did not change is shared with the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.errors import Invalid, Mistake, json_path

REPLACE = "$replace/"


def merge(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`target` as `patch` wants it.

    Raises:
        schemas.errors.Invalid: a `$replace/` names no member, or stands beside the member that it replaces.
    """
    mistakes: list[Mistake] = []
    merged = _merge(target, patch, "$", mistakes)
    if mistakes:
        raise Invalid.because_of(mistakes)
    return merged


def _merge(
    target: Mapping[str, Any], patch: Mapping[str, Any], path: str, mistakes: list[Mistake]
) -> dict[str, Any]:
    merged = dict(target)
    for key, value in patch.items():
        name = key.removeprefix(REPLACE)
        replaces = name != key or key == REPLACE
        if replaces and (not name or name in patch):
            message = f"stands beside `{name[:80]}`" if name else "names no member to replace"
            mistakes.append(Mistake(json_path(path, key), message, "send one of the two" if name else ""))
        elif value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping) and not replaces:
            before = merged.get(name)
            merged[name] = _merge(
                before if isinstance(before, Mapping) else {}, value, json_path(path, name), mistakes
            )
        else:
            merged[name] = value
    return merged
