"""Reading JSON that a program of ours wrote earlier: statuses, connections, the hub-agent documents.

Such a document may come from another version, or (the agent's report) from a cluster that is not in good hands,
so every member's type is checked and an error names the member, never its value: a value may be a secret.
What a person wrote is read by the schemas instead, which answer with every mistake at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypeVar, cast

from schemas.times import parse_time

_Kind = TypeVar("_Kind", str, int, bool, float, list[object], dict[str, object])


class Members:
    """The members of one JSON object; `path` is where it stands in its document ("" at the top).

    Every reading method raises `ValueError`, naming the member, when the member is missing (and has no default)
    or is of another type. `None` counts as missing.
    """

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, Mapping):
            raise ValueError(f"{path or 'the document'}: expected an object")  # noqa: TRY004 - one kind for callers
        self._members = cast("Mapping[str, object]", value)
        self._path = path

    def text(self, key: str, default: str | None = None) -> str:
        return self._read(key, str, "text", default)

    def optional_text(self, key: str) -> str | None:
        return self.text(key) if self.has(key) else None

    def integer(self, key: str, default: int | None = None) -> int:
        return self._read(key, int, "an integer", default)

    def number(self, key: str, default: float | None = None) -> float:
        if self.has(key) and type(self._members[key]) is int:
            return float(self.integer(key))
        return self._read(key, float, "a number", default)

    def boolean(self, key: str, default: bool | None = None) -> bool:
        return self._read(key, bool, "true or false", default)

    def time(self, key: str) -> datetime:
        """A time in RFC 3339."""
        text = self.text(key)
        try:
            return parse_time(text)
        except ValueError:
            raise ValueError(f"{self._at(key)}: expected an RFC 3339 time") from None

    def optional_time(self, key: str) -> datetime | None:
        return self.time(key) if self.has(key) else None

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; () when missing."""
        items = self._read(key, list, "a list", [])
        if not all(isinstance(item, str) for item in items):
            raise ValueError(f"{self._at(key)}: expected a list of texts")
        return tuple(cast("list[str]", items))

    def text_or_texts(self, key: str) -> str | tuple[str, ...]:
        """A text or a list of texts."""
        return self.text(key) if isinstance(self._members.get(key), str) else self.texts(key)

    def text_map(self, key: str) -> dict[str, str]:
        """An object whose values are texts; {} when missing."""
        members = self._read(key, dict, "an object", {})
        if not all(isinstance(value, str) for value in members.values()):
            raise ValueError(f"{self._at(key)}: expected an object of texts")
        return cast("dict[str, str]", dict(members))

    def member(self, key: str) -> Members:
        """An object's members; an empty object's when missing."""
        return Members(self._read(key, dict, "an object", {}), self._at(key))

    def list_of_members(self, key: str) -> Iterator[Members]:
        """The members of each object of a list; nothing when missing."""
        for index, item in enumerate(self._read(key, list, "a list", [])):
            yield Members(item, f"{self._at(key)}[{index}]")

    def choice(self, key: str, kind: type[_Choice]) -> _Choice:
        """One of the words of `kind`."""
        text = self.text(key)
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"{self._at(key)}: expected one of {', '.join(kind)}") from None

    def has(self, key: str) -> bool:
        """Whether the member is there; null is absence."""
        return self._members.get(key) is not None

    def rest(self, *known: str) -> dict[str, object]:
        """Every member but the `known` ones."""
        return {key: value for key, value in self._members.items() if key not in known}

    def _at(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def _read(self, key: str, kind: type[_Kind], expected: str, default: _Kind | None) -> _Kind:
        value = self._members.get(key)
        if value is None and default is not None:
            return default
        if value is None:
            raise ValueError(f"{self._at(key)} is missing")
        if type(value) is not kind:  # exactly: `True` is an int to isinstance
            raise ValueError(f"{self._at(key)}: expected {expected}")
        return value


_Choice = TypeVar("_Choice", bound=StrEnum)


def read_text(text: str) -> Members:
    """The members of the JSON object that `text` holds.

    Raises:
        ValueError: `text` is no JSON object.
    """
    try:
        document = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        raise ValueError("the document is no JSON text") from None
    return Members(document)


def read_versioned(text: str, version: int) -> Members:
    """The members of the JSON object that `text` holds, whose `version` must be this one.

    Raises:
        ValueError: `text` is no JSON object, or of another version.
    """
    members = read_text(text)
    found = members.integer("version")
    if found != version:
        raise ValueError(f"version: expected {version}, got {found}")
    return members


def canonical_text(document: Mapping[str, object]) -> str:
    """`document` as JSON text with sorted keys: equal documents give equal text."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
