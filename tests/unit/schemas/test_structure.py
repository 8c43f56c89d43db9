from __future__ import annotations

import re
from typing import Any

import pytest
from marshmallow import fields as marshmallow_fields

from schemas.errors import Mistake
from schemas.fields import (
    Anything,
    Choice,
    Flag,
    FlagOrText,
    Integer,
    ListOf,
    Network,
    Number,
    Object,
    Text,
    TextMap,
    TextOrTexts,
)
from schemas.structure import Wrong, check, did_you_mean, strict, wrong_place

INNER = strict("Inner", {"name": Text(required=True), "size": Integer()})


def mistakes(field: marshmallow_fields.Field[Any], value: object) -> list[Mistake]:
    return check(strict("Any", {"field": field}), {"field": value}).mistakes


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (Text(), ""),
        (Text(pattern=re.compile("a+")), "aaa"),
        (Text(), None),
        (Choice("a", "b"), "b"),
        (Integer(), 0),
        (Number(0, 1), 1),
        (Number(0, 1), 0.5),
        (Flag(), False),
        (FlagOrText(), "enabled"),
        (FlagOrText(), True),
        (Network(), "10.42.0.0/16"),
        (Network(), "10.42.0.7/16"),
        (Network(), "203.0.113.7"),
        (Network(), "2001:db8::/32"),
        (TextMap(), {"a": "b"}),
        (Anything(), {"a": [None]}),
        (TextOrTexts("x", words=("all",), pattern=re.compile("[a-z]+")), "all"),
        (TextOrTexts("x", words=("all",), pattern=re.compile("[a-z]+")), ["a", "b"]),
        (ListOf(Text()), []),
        (ListOf(Object(INNER)), [{"name": "a", "size": None}]),
        (Object(INNER), None),
    ],
)
def test_a_right_value_passes(field: marshmallow_fields.Field[Any], value: object) -> None:
    assert mistakes(field, value) == []


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (Text("a name"), 1.3, Mistake("$.field", "expected a name", "put it in quotes")),
        (Text("a name"), True, Mistake("$.field", "expected a name", "put it in quotes")),
        (Text("a name"), [], Mistake("$.field", "expected a name")),
        (Text("a name", pattern=re.compile("a+")), "aab", Mistake("$.field", "expected a name")),
        (Text(limit=3), "four", Mistake("$.field", "expected at most 3 characters")),
        (Text("a name", required=True), None, Mistake("$.field", "expected a name")),
        (
            Choice("NoSchedule", "x"),
            "noschedule",
            Mistake("$.field", "expected one of NoSchedule, x", "did you mean `NoSchedule`?"),
        ),
        (
            Choice("auto", later=("node",)),
            "node",
            Mistake("$.field", "`node` is not available in this version; expected one of auto"),
        ),
        (Integer(), "3", Mistake("$.field", "expected a whole number of at least 0", "leave the quotes out")),
        (Integer(1, 100), 101, Mistake("$.field", "expected a whole number of at least 1 and at most 100")),
        (Integer(), True, Mistake("$.field", "expected a whole number of at least 0")),
        (Integer(), 1.0, Mistake("$.field", "expected a whole number of at least 0")),
        (Number(0, 1), 1.5, Mistake("$.field", "expected a number from 0 to 1")),
        (Number(0, 1), True, Mistake("$.field", "expected a number from 0 to 1")),
        (Flag(), "true", Mistake("$.field", "expected true or false")),
        (Flag(), 1, Mistake("$.field", "expected true or false")),
        (FlagOrText(), 1, Mistake("$.field", "expected true, false or a text")),
        (
            Network(),
            "10.0.0.0/33",
            Mistake("$.field", "expected a network such as 10.0.0.0/16, or an IP address"),
        ),
        (Network(), 10, Mistake("$.field", "expected a network such as 10.0.0.0/16, or an IP address")),
        (TextMap(), {"a/b": 1}, Mistake("$.field['a/b']", "expected text", "put it in quotes")),
        (TextMap("labels"), [], Mistake("$.field", "expected labels")),
        (Anything(), [], Mistake("$.field", "expected an object")),
        (
            TextOrTexts("names", words=("all",), pattern=re.compile("[a-z]+")),
            "al",
            Mistake("$.field", "expected names", "did you mean `all`?"),
        ),
        (
            TextOrTexts("names", words=("all",), pattern=re.compile("[a-z]+")),
            1,
            Mistake("$.field", "expected names"),
        ),
        (
            TextOrTexts("names", words=("all",), pattern=re.compile("[a-z]+")),
            ["a", "B"],
            Mistake("$.field[1]", "expected a name"),
        ),
        (ListOf(Text()), {}, Mistake("$.field", "expected a list")),
        (ListOf(Text()), ["a", 1], Mistake("$.field[1]", "expected text", "put it in quotes")),
        (ListOf(Object(INNER)), [{"name": "a"}, 3], Mistake("$.field[1]", "expected an object")),
        (ListOf(Object(INNER)), [{}], Mistake("$.field[0].name", "is missing; expected text")),
        (Object(INNER), "x", Mistake("$.field", "expected an object")),
    ],
)
def test_a_wrong_value_is_refused(
    field: marshmallow_fields.Field[Any], value: object, expected: Mistake
) -> None:
    assert mistakes(field, value) == [expected]


def test_every_mistake_is_found_at_once() -> None:
    document = {"nam": "a", "size": "x", "more": {}}
    assert [mistake.path for mistake in check(INNER, document).mistakes] == [
        "$.more",
        "$.nam",
        "$.name",
        "$.size",
    ]


def test_what_is_right_beside_a_mistake_is_still_read() -> None:
    assert check(INNER, {"name": "a", "size": "x"}).valid == {"name": "a"}


def test_an_unknown_member_comes_with_the_closest_known_one() -> None:
    assert check(INNER, {"name": "a", "Siez": 1}).mistakes == [
        Mistake("$.Siez", "is not known here", "did you mean `size`?")
    ]


def test_a_member_in_the_wrong_place_is_told_the_right_one() -> None:
    schema = strict("Here", {}, elsewhere=wrong_place(["size"], "there"))
    assert check(schema, {"size": 1}).mistakes == [
        Mistake("$.size", "stands in the wrong place", "it belongs in `there.size`")
    ]


def test_a_member_may_be_refused_in_its_own_words() -> None:
    schema = strict("Here", {}, elsewhere={"x": Wrong("is gone", "use y")})
    assert check(schema, {"x": 1}, "$.at").mistakes == [Mistake("$.at.x", "is gone", "use y")]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"a": {}}, []),
        ({"a": {}, "b": None}, []),
        ({}, [Mistake("$", "expected exactly one of a, b")]),
        ({"a": None}, [Mistake("$", "expected exactly one of a, b")]),
        ({"a": {}, "b": {}}, [Mistake("$", "expected exactly one of a, b; got a, b")]),
        ([], [Mistake("$", "expected an object")]),
    ],
)
def test_exactly_one_of_some_members_is_there(document: object, expected: list[Mistake]) -> None:
    schema = strict("One", {"a": Anything(), "b": Anything()}, exactly_one=("a", "b"))
    assert check(schema, document).mistakes == expected


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("awsEcr", ["awsECR", "awsWorkloadIdentity"], "did you mean `awsECR`?"),
        ("zzz", ["b", "a"], "known here: a, b"),
        ("zzz", [f"member{number}" for number in range(17)], ""),
        ("zzz", [], ""),
    ],
)
def test_a_hint_names_what_may_be_meant(word: str, known: list[str], expected: str) -> None:
    assert did_you_mean(word, known) == expected
