"""Strict schemas: every member is known and of one type, and each mistake says where, what was expected, and a way out.

marshmallow does the walking; this module gives it fields that coerce nothing (`"3"` is no integer) and words for
people. Schemas are declared as tables with `strict`, in the wire's own names. Used by every schema of this package
and, through them, by `addon_api` for the OpenAPI document.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields

from schemas.errors import Mistake, json_path


@dataclass(frozen=True)
class Wrong:
    """What a field says of its value; `check` adds where."""

    message: str
    hint: str = ""


def wrong(message: str, hint: str = "") -> ValidationError:
    """The exception with which a field or validator refuses a value."""
    return ValidationError([Wrong(message, hint)])


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` when a known word is close, else the known words when they are few, else nothing."""
    by_lower_case = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower_case, n=1)
    if close:
        return f"did you mean `{by_lower_case[close[0]]}`?"
    if 0 < len(by_lower_case) <= _LISTED:
        return f"known here: {', '.join(sorted(by_lower_case.values()))}"
    return ""


_LISTED = 16
_UNKNOWN = "is not known here"


class StrictSchema(Schema):
    """The base of every schema: no unknown members; `elsewhere` says of a member where it belongs instead."""

    class Meta:
        """marshmallow's options."""

        unknown = RAISE

    error_messages = {"unknown": _UNKNOWN, "type": "expected an object"}  # noqa: RUF012 - marshmallow's own declaration
    elsewhere: Mapping[str, Wrong] = {}

    def handle_error(self, error: ValidationError, data: Any, **_: Any) -> None:  # noqa: ARG002 - marshmallow passes it by name or position
        """Puts a hint to each unknown member; `error` is raised after this."""
        messages = error.messages_dict
        for key in messages.keys() - self.fields.keys():
            if messages[key] == [_UNKNOWN]:
                messages[key] = [
                    self.elsewhere.get(key, Wrong(_UNKNOWN, did_you_mean(str(key), self.fields)))
                ]


def strict(
    name: str, members: Mapping[str, fields.Field[Any]], *, elsewhere: Mapping[str, Wrong] | None = None
) -> type[Schema]:
    """The schema called `name` (its name in OpenAPI) with `members` by their names on the wire."""
    schema = StrictSchema.from_dict(dict(members), name=name)
    schema.elsewhere = elsewhere or {}  # type: ignore[attr-defined]  # from_dict promises no more than a Schema
    return schema


def check(schema: type[Schema], document: object, path: str = "$") -> list[Mistake]:
    """Every mistake of `document`, which stands at `path`, sorted by path."""
    return sorted(_mistakes(schema().validate(document), path), key=lambda mistake: mistake.path)  # type: ignore[arg-type]  # anything may be sent


def _mistakes(messages: Any, path: str) -> Iterator[Mistake]:
    if isinstance(messages, Mapping):
        for step, inner in messages.items():
            yield from _mistakes(inner, path if step == "_schema" else json_path(path, step))
        return
    for message in messages:
        if isinstance(message, Wrong):
            yield Mistake(path, message.message, message.hint)
        else:
            yield Mistake(path, str(message))


class _Field(fields.Field[Any]):
    """A field that says what it expects, in errors and in OpenAPI; an optional one takes null for absence."""

    def __init__(self, expected: str, *, required: bool = False) -> None:
        super().__init__(
            required=required,
            allow_none=not required,
            error_messages={
                "required": f"is missing; expected {expected}",
                "null": f"expected {expected}",
            },
            metadata={"description": expected},
        )
        self.expected = expected

    def refuse(self, hint: str = "") -> ValidationError:
        return wrong(f"expected {self.expected}", hint)


class Text(_Field, fields.String):
    """Text; `pattern` must match all of it, `choices` must hold it."""

    def __init__(
        self,
        expected: str = "text",
        *,
        required: bool = False,
        pattern: re.Pattern[str] | None = None,
        choices: Sequence[str] = (),
        limit: int = 4096,
    ) -> None:
        super().__init__(f"one of {', '.join(choices)}" if choices else expected, required=required)
        self.pattern = pattern
        self.choices = choices
        self.limit = limit

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str):
            number = isinstance(value, int | float)  # YAML reads `1.30` as 1.3
            raise self.refuse("put it in quotes" if number else "")
        if self.choices and value not in self.choices:
            raise self.refuse(did_you_mean(value, self.choices) if len(value) <= self.limit else "")
        if len(value) > self.limit:
            raise wrong(f"expected at most {self.limit} characters")
        if self.pattern is not None and self.pattern.fullmatch(value) is None:
            raise self.refuse()
        return value


class Integer(_Field, fields.Integer):
    """A whole number of at least `minimum`."""

    def __init__(self, minimum: int = 0, *, required: bool = False) -> None:
        super().__init__(f"a whole number of at least {minimum}", required=required)
        self.minimum = minimum

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if type(value) is not int or value < self.minimum:
            raise self.refuse("leave the quotes out" if isinstance(value, str) and value.isdecimal() else "")
        return value


class Number(_Field, fields.Float):
    """A number from `minimum` to `maximum`."""

    def __init__(self, minimum: float, maximum: float, *, required: bool = False) -> None:
        super().__init__(f"a number from {minimum:g} to {maximum:g}", required=required)
        self.minimum = minimum
        self.maximum = maximum

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        if type(value) not in {int, float} or not self.minimum <= value <= self.maximum:
            raise self.refuse()
        return float(value)


class Flag(_Field, fields.Boolean):
    """true or false, and nothing that merely looks like it."""

    def __init__(self, *, required: bool = False) -> None:
        super().__init__("true or false", required=required)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise self.refuse()
        return value


class TextMap(_Field, fields.Dict):
    """An object whose values are texts."""

    def __init__(self, expected: str = "an object of texts", *, required: bool = False) -> None:
        super().__init__(expected, required=required)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise self.refuse()
        wrongs = {
            key: [Wrong("expected text", "put it in quotes" if isinstance(item, int | float) else "")]
            for key, item in value.items()
            if not isinstance(item, str)
        }
        if wrongs:
            raise ValidationError(wrongs)
        return dict(value)


class Anything(_Field, fields.Dict):
    """An object that is taken as it is."""

    def __init__(self, expected: str = "an object", *, required: bool = False) -> None:
        super().__init__(expected, required=required)

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
    """A list whose items all are what `item` takes."""

    def __init__(self, item: fields.Field[Any], *, required: bool = False, at_least: int = 0) -> None:
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
        self.at_least = at_least

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> list[Any]:
        if isinstance(value, list) and len(value) < self.at_least:
            raise wrong(f"expected at least {self.at_least} of them")
        return super()._deserialize(value, attr, data, **options)
