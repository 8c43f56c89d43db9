"""RFC 7396 merge patch and RFC 6902 JSON patch. Neither changes what it is given."""

from __future__ import annotations

from typing import Any


class PatchRefused(Exception):
    """A JSON patch that does not fit the document."""


def merge_patched(document: Any, patch: Any) -> Any:
    """`patch` over `document`; null deletes."""
    if not isinstance(patch, dict):
        return patch
    made = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merge_patched(made.get(key), value)
    return made


def json_patched(document: Any, operations: list[dict[str, Any]]) -> Any:
    """Raises `PatchRefused` when a path is not there, a test fails, or an operation is unknown."""
    for operation in operations:
        try:
            document = _operate(document, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise PatchRefused(
                f"the server rejected our request due to an error in our request: {error}"
            ) from error
    return document


def _operate(document: Any, operation: dict[str, Any]) -> Any:
    verb, path = operation["op"], _pointer(operation["path"])
    if verb == "add":
        return _changed(document, path, operation["value"], insert=True)
    if verb == "replace":
        _read(document, path)
        return _changed(document, path, operation["value"], insert=False)
    if verb == "remove":
        return _removed(document, path)
    if verb == "test":
        if _read(document, path) != operation["value"]:
            raise ValueError(f"testing value {operation['path']} failed")
        return document
    if verb in ("copy", "move"):
        source = _pointer(operation["from"])
        value = _read(document, source)
        return _changed(_removed(document, source) if verb == "move" else document, path, value, insert=True)
    raise ValueError(f"unexpected kind: {verb}")


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _read(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _changed(document: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    part, rest = path[0], path[1:]
    if isinstance(document, list):
        items = list(document)
        if rest:
            items[int(part)] = _changed(items[int(part)], rest, value, insert=insert)
        elif insert:
            items.insert(len(items) if part == "-" else int(part), value)
        else:
            items[int(part)] = value
        return items
    return document | {part: _changed(document[part], rest, value, insert=insert) if rest else value}


def _removed(document: Any, path: list[str]) -> Any:
    part, rest = path[0], path[1:]
    if isinstance(document, list):
        items = list(document)
        if rest:
            items[int(part)] = _removed(items[int(part)], rest)
        else:
            del items[int(part)]
        return items
    made = dict(document)
    if rest:
        made[part] = _removed(made[part], rest)
    else:
        del made[part]
    return made
