"""Queries of the wire contract: terms over properties, tags and relations of an object, and the order of the answer.

`parse` reads the body of `-query`; `matches` and `sort_key` look at one object as the API shows it. Pure. Called by
`addon_api` and, for the terms that columns can answer, by `fleet.queries`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from marshmallow import fields

from schemas.errors import Invalid, Mistake, json_path
from schemas.fields import Choice, ListOf, Object, Text
from schemas.structure import check, did_you_mean, strict

ANYTHING = "*"
"""The key that stands for the whole object: `cpln mk8s query --property ~TEXT` sends it."""

_OPERATORS = ("=", "!=", "~", ">", ">=", "<", "<=", "exists", "!exists")
_WITHOUT_VALUE = ("exists", "!exists")
_MOST_TERMS = 50
_LONGEST = 1000
_PLAIN = ("kind", "id", "name", "description", "alias", "version", "created", "lastModified")
_DEEP = ("tags", "spec", "settings", "status", "links")
# Digits with dots between; bounded, because Python reads no number of arbitrary length.
_VERSION = re.compile(r"v?(\d{1,18}(?:\.\d{1,18}){0,7})", re.ASCII)

QuerySchema = strict(
    "Query",
    {
        "kind": Choice("mk8s"),
        "fetch": Choice("items"),
        "spec": Object(
            strict(
                "QuerySpec",
                {
                    "match": Choice("all", "any", "none"),
                    "terms": ListOf(
                        Object(
                            strict(
                                "QueryTerm",
                                {
                                    "op": Choice(*_OPERATORS),
                                    "property": Text("a path such as name or spec.version", limit=_LONGEST),
                                    "tag": Text("the key of a tag, or *", limit=_LONGEST),
                                    "rel": Text("the rel of a link, such as self", limit=_LONGEST),
                                    "value": fields.Raw(allow_none=True),
                                },
                                exactly_one=("property", "tag", "rel"),
                            )
                        )
                    ),
                    "sort": Object(
                        strict(
                            "QuerySort",
                            {
                                "by": Text("a path such as name or created", limit=_LONGEST),
                                "order": Choice("asc", "desc"),
                            },
                        )
                    ),
                },
            )
        ),
    },
)


class Match(StrEnum):
    """How many of the terms must hold."""

    ALL = "all"
    ANY = "any"
    NONE = "none"


class Of(StrEnum):
    """What a term looks at."""

    PROPERTY = "property"
    TAG = "tag"
    REL = "rel"


@dataclass(frozen=True)
class Term:
    """One comparison; `value` is None for `exists` and `!exists`."""

    of: Of
    key: str
    op: str
    value: str | int | float | bool | None = None


@dataclass(frozen=True)
class Query:
    """What is asked for; without terms that is everything. `sort_by` is a path, ties follow the name."""

    match: Match = Match.ALL
    terms: tuple[Term, ...] = ()
    sort_by: str = "name"
    descending: bool = False


def parse(body: Mapping[str, Any]) -> Query:
    """The query that `body` describes; an empty one asks for everything.

    Raises:
        schemas.errors.Invalid: with every mistake at once.
    """
    read = check(QuerySchema, body)
    if read.mistakes:
        raise Invalid.because_of(read.mistakes)
    spec = body.get("spec") or {}
    sent = spec.get("terms") or []
    sort = spec.get("sort") or {}
    mistakes: list[Mistake] = []
    if len(sent) > _MOST_TERMS:
        mistakes.append(Mistake("$.spec.terms", f"expected at most {_MOST_TERMS} terms, got {len(sent)}"))
    terms = [_term(item, json_path("$.spec.terms", index), mistakes) for index, item in enumerate(sent)]
    sort_by = sort.get("by") or "name"
    _check_path(sort_by, "$.spec.sort.by", mistakes)
    if mistakes:
        raise Invalid.because_of(mistakes)
    return Query(Match(spec.get("match") or Match.ALL), tuple(terms), sort_by, sort.get("order") == "desc")


def matches(document: Mapping[str, Any], text: str, query: Query) -> bool:
    """Whether the object is asked for. `text` is what `*` looks in: all that a person may look for, in lower case."""
    if not query.terms:
        return True
    held = (_holds(document, text, term) for term in query.terms)
    if query.match is Match.ALL:
        return all(held)
    return any(held) is (query.match is Match.ANY)


def sort_key(document: Mapping[str, Any], query: Query) -> tuple[int, Any]:
    """Where the object stands in the order: numbers, then versions, then texts; what lacks the property is last."""
    found = next(iter(_at(document, query.sort_by.split("."))), None)
    if found is None or isinstance(found, Mapping | list):
        return (-1, 0) if query.descending else (3, 0)
    if isinstance(found, int | float) and not isinstance(found, bool):
        return (0, found)
    version = _version(found)
    return (2, in_words(found)) if version is None else (1, version)


def in_words(value: object) -> str:
    """A value as a person writes it: `true`, `3` for 3.0."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def _term(sent: Mapping[str, Any], path: str, mistakes: list[Mistake]) -> Term:
    of = next(of for of in Of if sent.get(of) is not None)
    key, op, value = sent[of], sent.get("op") or "=", sent.get("value")
    if op == "=" and key.endswith("<"):
        key, op = key[:-1], "<="  # `cpln` looks for `=` before `<=` and cuts `a<=b` there
    if of is Of.PROPERTY and not (key == ANYTHING and op == "~"):
        _check_path(key, json_path(path, "property"), mistakes)
    if not isinstance(value, str | int | float | None) or (isinstance(value, str) and len(value) > _LONGEST):
        mistakes.append(
            Mistake(
                json_path(path, "value"),
                f"expected a text of at most {_LONGEST} characters, a number, true or false",
            )
        )
    elif value is None and op not in _WITHOUT_VALUE:
        mistakes.append(Mistake(json_path(path, "value"), f"is missing; `{op}` compares with it"))
    return Term(of, key, op, value if op not in _WITHOUT_VALUE else None)


def _check_path(key: str, path: str, mistakes: list[Mistake]) -> None:
    first, _, rest = key.partition(".")
    if (first in _PLAIN and not rest) or first in _DEEP:
        return
    hint = did_you_mean(first, (*_PLAIN, *_DEEP))
    mistakes.append(Mistake(path, f"`{key[:80]}` is no property of a cluster", hint))


def _holds(document: Mapping[str, Any], text: str, term: Term) -> bool:
    if term.of is Of.PROPERTY and term.key == ANYTHING:
        return in_words(term.value).lower() in text
    found = [value for value in _candidates(document, term) if value is not None or term.of is Of.TAG]
    if term.op == "exists":
        return bool(found)
    if term.op == "!exists":
        return not found
    if term.op == "!=":
        return not any(_compares(value, "=", term.value) for value in found)
    return any(_compares(value, term.op, term.value) for value in found)


def _candidates(document: Mapping[str, Any], term: Term) -> Iterator[Any]:
    if term.of is Of.PROPERTY:
        yield from _at(document, term.key.split("."))
    elif term.of is Of.TAG:
        tags: Mapping[str, Any] = document.get("tags") or {}
        if term.key == ANYTHING:
            yield from tags
            yield from tags.values()
        elif term.key in tags:
            yield tags[term.key]
    else:
        for link in document.get("links") or ():
            if link["rel"] == term.key:
                yield link["href"]
                yield link["href"].rpartition("/")[2]


def _at(value: Any, steps: list[str]) -> Iterator[Any]:
    """What stands at a path; a list on the way gives what stands in each of its items."""
    if isinstance(value, list):
        for item in value:
            yield from _at(item, steps)
    elif not steps:
        yield value
    elif isinstance(value, Mapping) and steps[0] in value:
        yield from _at(value[steps[0]], steps[1:])


def _compares(stored: Any, op: str, value: Any) -> bool:
    if isinstance(stored, Mapping):
        return False
    if op == "=":
        return in_words(stored) == in_words(value)
    if op == "~":
        return in_words(value).lower() in in_words(stored).lower()
    left, right = _comparable(stored, value)
    if op in {">", ">="}:
        left, right = right, left
    return bool(left < right or (op in {"<=", ">="} and left == right))


def _comparable(stored: Any, value: Any) -> tuple[Any, Any]:
    """Both as numbers, else both as versions, else both as texts (which puts RFC 3339 times in order, too)."""
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in (stored, value)):
        return stored, value
    versions = _version(stored), _version(value)
    if None not in versions:
        return versions
    return in_words(stored), in_words(value)


def _version(value: Any) -> tuple[int, ...] | None:
    """`1.30.0` as (1, 30), so that it equals `1.30` and comes before `1.100`; None for what is none."""
    found = _VERSION.fullmatch(in_words(value))
    if found is None:
        return None
    numbers = [int(part) for part in found[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
