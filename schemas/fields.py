"""The fields of the schemas: they coerce nothing (`"3"` is no integer) and say what they expect.

Each has marshmallow's own field as a base, so that `apispec` knows its type in OpenAPI. An optional field takes null
for absence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from marshmallow import Schema, ValidationError, fields

from schemas.structure import Wrong, did_you_mean, wrong

NOT_AVAILABLE = "is not available in this version"

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_LABEL_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = re.compile(rf"(?:[a-z0-9](?:[a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_LABEL_WORD}", re.ASCII)
_LABEL_VALUE = re.compile(rf"(?:{_LABEL_WORD})?", re.ASCII)


class _Field(fields.Field[Any]):
    """A field that says what it expects, in errors and in OpenAPI; `described` is what else OpenAPI says of it."""

    def __init__(
        self, expected: str, *, required: bool = False, described: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(
            required=required,
            allow_none=not required,
            error_messages={
                "required": f"is missing; expected {expected}",
                "null": f"expected {expected}",
            },
            metadata={"description": expected, **(described or {})},
        )
        self.expected = expected

    def refuse(self, hint: str = "") -> ValidationError:
        return wrong(f"expected {self.expected}", hint)


class Text(_Field, fields.String):
    """Text of at most `limit` characters; `pattern` must match all of it."""

    def __init__(
        self,
        expected: str = "text",
        *,
        required: bool = False,
        pattern: re.Pattern[str] | None = None,
        limit: int = 4096,
    ) -> None:
        super().__init__(expected, required=required)
        self.pattern = pattern
        self.limit = limit

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str):
            raise self.refuse(_quotes(value))
        if len(value) > self.limit:
            raise wrong(f"expected at most {self.limit} characters")
        if self.pattern is not None and self.pattern.fullmatch(value) is None:
            raise self.refuse()
        return value


class Choice(_Field, fields.String):
    """One of `words`; those of `later` are known and not available yet."""

    def __init__(self, *words: str, later: tuple[str, ...] = (), required: bool = False) -> None:
        known = [*words] if required else [*words, None]
        super().__init__(f"one of {', '.join(words)}", required=required, described={"enum": known})
        self.words = words
        self.later = later

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str):
            raise self.refuse(_quotes(value))
        if value in self.later:
            raise wrong(f"`{value}` {NOT_AVAILABLE}; expected {self.expected}")
        if value not in self.words:
            raise self.refuse(did_you_mean(value, self.words))
        return value


class Network(_Field, fields.String):
    """An IP network in CIDR notation; a bare address means that address alone."""

    def __init__(self, *, required: bool = False) -> None:
        super().__init__("a network such as 10.0.0.0/16, or an IP address", required=required)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str):
            raise self.refuse()
        try:
            ip_network(value, strict=False)
        except ValueError:
            raise self.refuse() from None
        return value


class Integer(_Field, fields.Integer):
    """A whole number from `minimum` to `maximum`."""

    def __init__(self, minimum: int = 0, maximum: int = 2**31 - 1, *, required: bool = False) -> None:
        upper = "" if maximum == 2**31 - 1 else f" and at most {maximum}"
        super().__init__(f"a whole number of at least {minimum}{upper}", required=required)
        self.minimum = minimum
        self.maximum = maximum

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if type(value) is not int or not self.minimum <= value <= self.maximum:
            raise self.refuse("leave the quotes out" if isinstance(value, str) and value.isdecimal() else "")
        return value


class Number(_Field, fields.Float):
    """A number from `minimum` to `maximum`."""

    def __init__(self, minimum: float, maximum: float) -> None:
        super().__init__(f"a number from {minimum:g} to {maximum:g}")
        self.minimum = minimum
        self.maximum = maximum

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        if type(value) not in {int, float} or not self.minimum <= value <= self.maximum:
            raise self.refuse()
        return float(value)


class Flag(_Field, fields.Boolean):
    """true or false, and nothing that merely looks like it."""

    def __init__(self) -> None:
        super().__init__("true or false")

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise self.refuse()
        return value


class FlagOrText(_Field, fields.Raw):
    """true, false or a text."""

    def __init__(self) -> None:
        super().__init__("true, false or a text")

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool | str:
        if not isinstance(value, bool | str):
            raise self.refuse()
        return value


class TextOrTexts(_Field, fields.Raw):
    """One of `words`, or a list of texts that `pattern` matches."""

    def __init__(self, expected: str, *, words: tuple[str, ...], pattern: re.Pattern[str]) -> None:
        either = [{"enum": [*words, None]}, {"type": "array", "items": {"type": "string"}}]
        super().__init__(expected, described={"anyOf": either})
        self.words = words
        self.pattern = pattern

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str | list[str]:
        if isinstance(value, list):
            wrongs = {
                index: [Wrong("expected a name")]
                for index, item in enumerate(value)
                if not isinstance(item, str) or self.pattern.fullmatch(item) is None
            }
            if wrongs:
                raise ValidationError(wrongs)
            return value
        if not isinstance(value, str) or value not in self.words:
            raise self.refuse(did_you_mean(value, self.words) if isinstance(value, str) else "")
        return value


class TextMap(_Field, fields.Dict):
    """An object whose values are texts."""

    def __init__(self, expected: str = "an object of texts") -> None:
        super().__init__(expected)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise self.refuse()
        wrongs = {
            key: [Wrong("expected text", _quotes(item))]
            for key, item in value.items()
            if not isinstance(item, str)
        }
        if wrongs:
            raise ValidationError(wrongs)
        return dict(value)


class Label(_Field, fields.Dict):
    """An object with exactly one member: a label's key and its value, both as Kubernetes takes them."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise self.refuse()
        if len(value) != 1:
            raise self.refuse("give exactly one label")
        for key, text in value.items():
            if not isinstance(text, str):
                raise self.refuse(_quotes(text))
            if _LABEL_KEY.fullmatch(str(key)) is None or _LABEL_VALUE.fullmatch(text) is None:
                raise self.refuse()
        return dict(value)


class Anything(_Field, fields.Dict):
    """An object that is taken as it is."""

    def __init__(self) -> None:
        super().__init__("an object")

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise self.refuse()
        return dict(value)


class Object(fields.Nested):
    """An object with a schema of its own."""

    def __init__(self, schema: type[Schema], *, required: bool = False) -> None:
        super().__init__(
            schema,
            required=required,
            allow_none=not required,
            error_messages={
                "required": "is missing; expected an object",
                "null": "expected an object",
                "type": "expected an object",
            },
        )


class ListOf(fields.List[Any]):
    """A list whose items all are what `item` takes; null is no item."""

    def __init__(self, item: fields.Field[Any], *, required: bool = False) -> None:
        item.allow_none = False
        super().__init__(
            item,
            required=required,
            allow_none=not required,
            error_messages={
                "required": "is missing; expected a list",
                "null": "expected a list",
                "invalid": "expected a list",
            },
        )


def _quotes(value: object) -> str:
    """The way out where YAML read a number or a boolean: `1.30` is 1.3."""
    return "put it in quotes" if isinstance(value, int | float) else ""
