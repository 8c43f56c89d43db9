"""Request bodies as JSON values, read safely: JSON, and YAML 1.2 in its core schema.

Called by `addon_api` for every body and by `schemas.connection_bodies` for kubeconfigs. What comes out is always plain
JSON (objects with text keys, lists, texts, numbers, booleans, null) that every database and encoder takes. The
size of a body is the caller's to limit; here its depth and the growth by aliases are.

YAML is built from the parser's events rather than by PyYAML's loader, which speaks YAML 1.1 (`no` is false there,
`2026-11-22` a date, `010` eight), lets a key stand twice, and runs constructors that tags choose.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

import yaml

from schemas.errors import Invalid, Mistake, json_path

DEPTH_LIMIT = 64
ALIAS_LIMIT = 10_000  # values that aliases may add to a document

_Parser: Any = getattr(
    yaml, "CLoader", yaml.SafeLoader
)  # libyaml where PyYAML was built with it: ten times faster

# YAML 1.2.2, section 10.3.2 (core schema).
_NULL = re.compile(r"null|Null|NULL|~|")
_BOOLEAN = re.compile(r"(true|True|TRUE)|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}", re.ASCII)
_OCTAL_OR_HEXADECIMAL = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def read_json(data: bytes) -> dict[str, Any]:
    """The JSON object that `data` holds.

    Raises:
        schemas.errors.Invalid: no UTF-8, no JSON (with line and column), not an object, nested too deeply, a key
            that stands twice, a number or text that no database takes.
    """
    try:
        value = json.loads(
            _text(data), object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant
        )
    except json.JSONDecodeError as error:
        _refuse(f"line {error.lineno}, column {error.colno}: not valid JSON", error.msg)
    except RecursionError:
        _refuse(_TOO_DEEP)
    except ValueError as error:  # an integer of thousands of digits, or one of the hooks
        _refuse("not valid JSON", str(error)[:80])
    return _checked(value, value_limit=None)


def read_yaml(data: bytes) -> dict[str, Any]:
    """The one YAML document that `data` holds, as a JSON object.

    Raises:
        schemas.errors.Invalid: as `read_json`; also tags other than `!!str`, a second document, and aliases that
            blow the document up. Messages hold positions, never values.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(_text(data), Loader=_Parser):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = "" if mark is None else f"{_position(mark)}: "
        _refuse(f"{position}not valid YAML", error.problem or "")
    except yaml.YAMLError:
        _refuse("not valid YAML: it holds a character that YAML does not allow")
    return _checked(builder.document, value_limit=builder.values + ALIAS_LIMIT)


def is_plain_text(text: str) -> bool:
    """Whether `text`, written without quotes, is read as text: not as a number, a boolean or null."""
    others = (_NULL, _BOOLEAN, _INTEGER, _OCTAL_OR_HEXADECIMAL, _FLOAT, _NOT_JSON)
    return not any(pattern.fullmatch(text) for pattern in others)


_TOO_DEEP = f"nested more than {DEPTH_LIMIT} levels deep"


def _refuse(message: str, hint: str = "") -> NoReturn:
    raise Invalid.because_of([Mistake("$", message, hint)])


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse(f"not UTF-8 at byte {error.start}")


class _Object(dict[str, Any]):
    """A JSON object that remembers which keys stood twice."""

    twice: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = _Object(pairs)
    if len(members) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        members.twice = tuple(key for key, count in counts.items() if count > 1)
    return members


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is out of range")
    return value


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number in JSON")


def _checked(document: object, value_limit: int | None) -> dict[str, Any]:
    """A copy of `document` in plain containers that share nothing, once nothing in it is refused."""
    if not isinstance(document, dict):
        _refuse("expected an object")
    copying = _Copying(value_limit)
    plain = cast("dict[str, Any]", copying.copy(document, "$", 0))
    if copying.mistakes:
        raise Invalid.because_of(copying.mistakes)
    return plain


@dataclass
class _Copying:
    """Copies a JSON value and collects what is wrong in it; `limit` is for the number of values."""

    limit: int | None
    values: int = 0
    mistakes: list[Mistake] = field(default_factory=list)

    def copy(self, value: object, path: str, depth: int) -> Any:
        self.values += 1
        if self.limit is not None and self.values > self.limit:
            _refuse("aliases make the document too large")
        if depth > DEPTH_LIMIT:
            _refuse(_TOO_DEEP)
        if isinstance(value, str):
            self._check(value, path)
        elif isinstance(value, list):
            return [self.copy(item, json_path(path, index), depth + 1) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            for key in value.twice if isinstance(value, _Object) else ():
                self.mistakes.append(Mistake(json_path(path, key), "stands twice", "keep one of them"))
            for key in value:
                self._check(key, path)
            return {key: self.copy(item, json_path(path, key), depth + 1) for key, item in value.items()}
        return value

    def _check(self, text: str, path: str) -> None:
        if not _storable(text):
            self.mistakes.append(
                Mistake(path, "holds a character that cannot be stored", "remove U+0000 and lone surrogates")
            )


def _storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _position(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


@dataclass
class _Open:
    """A list or an object whose end has not come yet; `key` is an object's, waiting for its value."""

    value: list[Any] | dict[str, Any]
    anchor: str | None
    key: str | None = None


@dataclass
class _Builder:
    """Builds one JSON value from YAML events, without recursion; aliases share what their anchor named."""

    document: object = None
    values: int = 0
    _documents: int = 0
    _stack: list[_Open] = field(default_factory=list)
    _anchors: dict[str, Any] = field(default_factory=dict)

    def take(self, event: yaml.Event) -> None:
        """Takes the next event, or refuses the document there."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._refuse(event, "a second document", "send one document per request")
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            anchor = cast("str", event.anchor)
            if anchor not in self._anchors:
                self._refuse(event, "an alias names nothing that stands before it")
            if self._awaits_key():
                self._refuse(event, "a key must be text")
            self._place(self._anchors[anchor])
        elif isinstance(event, yaml.MappingStartEvent):
            self._open(event, {})
        elif isinstance(event, yaml.SequenceStartEvent):
            self._open(event, [])
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = self._stack.pop()
            self._finish(closed.value, closed.anchor)

    def _open(self, event: Any, value: list[Any] | dict[str, Any]) -> None:
        if event.tag is not None:
            self._refuse(event, "tags are not allowed")
        if self._awaits_key():
            self._refuse(event, "a key must be text")
        if len(self._stack) > DEPTH_LIMIT:
            self._refuse(event, _TOO_DEEP)
        self._stack.append(_Open(value, event.anchor))

    def _scalar(self, event: Any) -> None:
        if event.tag not in {None, "!", "tag:yaml.org,2002:str"}:
            self._refuse(event, "tags are not allowed")
        if self._awaits_key():
            top = self._stack[-1]
            if event.value in top.value:
                self._refuse(event, "a key stands twice", f"keep one `{event.value[:60]}`")
            top.key = event.value
            if event.anchor is not None:
                self._anchors[event.anchor] = event.value
            return
        plain = event.tag is None and event.style in {None, ""}
        self._finish(self._resolve(event) if plain else event.value, event.anchor)

    def _resolve(self, event: Any) -> str | float | bool | None:
        text: str = event.value
        if _NULL.fullmatch(text):
            return None
        if (boolean := _BOOLEAN.fullmatch(text)) is not None:
            return boolean[1] is not None
        if _INTEGER.fullmatch(text):
            return int(text)
        if _OCTAL_OR_HEXADECIMAL.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isfinite(number):
                return number
            self._refuse(event, "a number is out of range")
        if _NOT_JSON.fullmatch(text):
            self._refuse(event, "infinity and not-a-number are not allowed", "quote it where a text is meant")
        return text

    def _awaits_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None

    def _finish(self, value: Any, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = value
        self._place(value)

    def _place(self, value: Any) -> None:
        self.values += 1
        if not self._stack:
            self.document = value
            return
        top = self._stack[-1]
        if isinstance(top.value, list):
            top.value.append(value)
        else:
            top.value[cast("str", top.key)] = value
            top.key = None

    def _refuse(self, event: Any, message: str, hint: str = "") -> NoReturn:
        _refuse(f"{_position(event.start_mark)}: {message}", hint)
