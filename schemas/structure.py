"""Strict schemas: every member is known and of one type, and each mistake says where, what was expected, and a way out.

marshmallow does the walking; this module gives it words for people. Schemas are declared as tables with `strict`, in
the wire's own names, of the fields in `schemas.fields`. Used by every schema of this package and, through them, by
`addon_api` for the OpenAPI document.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validates_schema

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
    if len(word) > _LONG:
        return ""
    close = difflib.get_close_matches(word.lower(), by_lower_case, n=1)
    if close:
        return f"did you mean `{by_lower_case[close[0]]}`?"
    if 0 < len(by_lower_case) <= _LISTED:
        return f"known here: {', '.join(sorted(by_lower_case.values()))}"
    return ""


_LISTED = 16
_LONG = 80  # a longer word is like none of ours, and comparing takes its time
_HINTED = 50  # unknown members of one object; whoever sends more is not helped by hints
_UNKNOWN = "is not known here"


class StrictSchema(Schema):
    """The base of every schema.

    `elsewhere` says of a member that does not belong here what is wrong with it; of the members `exactly_one`, one
    and only one must be there (null is absence).
    """

    class Meta:
        """marshmallow's options."""

        unknown = RAISE

    error_messages = {"unknown": _UNKNOWN, "type": "expected an object"}  # noqa: RUF012 - marshmallow's own declaration
    elsewhere: Mapping[str, Wrong] = {}
    exactly_one: tuple[str, ...] = ()

    def handle_error(self, error: ValidationError, data: Any, **_: Any) -> None:  # noqa: ARG002 - marshmallow's signature
        """Puts a hint to each unknown member; `error` is raised after this."""
        messages = error.messages_dict
        unknown = [key for key in messages.keys() - self.fields.keys() if messages[key] == [_UNKNOWN]]
        for index, key in enumerate(sorted(unknown)):
            hint = did_you_mean(key, self.fields) if index < _HINTED else ""
            messages[key] = [self.elsewhere.get(key, Wrong(_UNKNOWN, hint))]

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def check_exactly_one(self, _data: Any, original: Any, **_: Any) -> None:
        """Refuses an object with none or several of `exactly_one`."""
        if self.exactly_one and isinstance(original, Mapping):
            given = [key for key in self.exactly_one if original.get(key) is not None]
            if len(given) != 1:
                got = f"; got {', '.join(given)}" if given else ""
                raise wrong(f"expected exactly one of {', '.join(self.exactly_one)}{got}")


def strict(
    name: str,
    members: Mapping[str, fields.Field[Any]],
    *,
    elsewhere: Mapping[str, Wrong] | None = None,
    exactly_one: tuple[str, ...] = (),
) -> type[Schema]:
    """The schema called `name` (its name in OpenAPI) with `members` by their names on the wire."""
    schema = StrictSchema.from_dict(dict(members), name=name)
    schema.elsewhere = elsewhere or {}  # type: ignore[attr-defined]  # from_dict promises no more than a Schema
    schema.exactly_one = exactly_one  # type: ignore[attr-defined]  # the same
    return schema


def wrong_place(members: Iterable[str], right_place: str) -> dict[str, Wrong]:
    """For `elsewhere`: the `members` belong in `right_place`."""
    return {
        name: Wrong("stands in the wrong place", f"it belongs in `{right_place}.{name}`") for name in members
    }


@dataclass(frozen=True)
class Checked:
    """`valid` is what of a document is right; `mistakes` is what is not, sorted by path."""

    valid: dict[str, Any]
    mistakes: list[Mistake]


def check(schema: type[Schema], document: object, path: str = "$") -> Checked:
    """Reads `document`, which stands at `path`, and finds every mistake of it."""
    try:
        return Checked(_instance(schema).load(document), [])  # type: ignore[arg-type]  # anything may be sent
    except ValidationError as error:
        mistakes = sorted(_mistakes(error.messages, path), key=lambda mistake: mistake.path)
        return Checked(error.valid_data if isinstance(error.valid_data, dict) else {}, mistakes)


@cache
def _instance(schema: type[Schema]) -> Schema:
    """One instance per schema: making one copies all its fields, and reading keeps nothing in it."""
    return schema()


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
