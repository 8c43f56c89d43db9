from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from schemas.status import State
from schemas.stored import Members, canonical_text, read_text

DOCUMENT = Members(
    {
        "text": "a",
        "integer": 3,
        "number": 1.5,
        "flag": True,
        "time": "2026-11-22T05:40:00Z",
        "texts": ["a", "b"],
        "map": {"k": "v"},
        "objects": [{"x": 1}, {"x": "secret"}],
        "state": "Ready",
        "null": None,
    }
)


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda: DOCUMENT.text("text"), "a"),
        (lambda: DOCUMENT.text("null", "default"), "default"),
        (lambda: DOCUMENT.optional_text("nowhere"), None),
        (lambda: DOCUMENT.integer("integer"), 3),
        (lambda: DOCUMENT.integer("nowhere", 0), 0),
        (lambda: DOCUMENT.number("number"), 1.5),
        (lambda: DOCUMENT.number("integer"), 3.0),
        (lambda: DOCUMENT.boolean("nowhere", default=False), False),
        (lambda: DOCUMENT.time("time"), datetime(2026, 11, 22, 5, 40, tzinfo=UTC)),
        (lambda: DOCUMENT.optional_time("null"), None),
        (lambda: DOCUMENT.texts("texts"), ("a", "b")),
        (lambda: DOCUMENT.texts("nowhere"), ()),
        (lambda: DOCUMENT.text_or_texts("text"), "a"),
        (lambda: DOCUMENT.text_or_texts("texts"), ("a", "b")),
        (lambda: DOCUMENT.text_map("map"), {"k": "v"}),
        (lambda: DOCUMENT.member("map").text("k"), "v"),
        (lambda: DOCUMENT.choice("state", State), State.READY),
    ],
)
def test_a_member_is_read(read: Callable[[], object], expected: object) -> None:
    assert read() == expected


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: DOCUMENT.text("nowhere"), "nowhere is missing"),
        (lambda: DOCUMENT.text("null"), "null is missing"),
        (lambda: DOCUMENT.text("integer"), "integer: expected text"),
        (lambda: DOCUMENT.integer("flag"), "flag: expected an integer"),
        (lambda: DOCUMENT.number("flag"), "flag: expected a number"),
        (lambda: DOCUMENT.boolean("integer"), "integer: expected true or false"),
        (lambda: DOCUMENT.time("text"), "text: expected an RFC 3339 time"),
        (lambda: DOCUMENT.texts("text"), "text: expected a list"),
        (lambda: DOCUMENT.texts("objects"), "objects: expected a list of texts"),
        (lambda: DOCUMENT.text_map("texts"), "texts: expected an object"),
        (lambda: Members({"m": {"k": 1}}).text_map("m"), "m: expected an object of texts"),
        (lambda: DOCUMENT.member("text"), "text: expected an object"),
        (
            lambda: [item.integer("x") for item in DOCUMENT.list_of_members("objects")],
            "objects[1].x: expected an integer",
        ),
        (lambda: list(DOCUMENT.list_of_members("texts")), "texts[0]: expected an object"),
        (lambda: DOCUMENT.choice("text", State), "text: expected one of Disabled, Blocked"),
        (lambda: Members([]), "the document: expected an object"),
        (lambda: read_text("{"), "the document is no JSON text"),
        (lambda: read_text("[" * 100_000), "the document is no JSON text"),
    ],
)
def test_an_error_names_the_member_and_not_its_value(read: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read()
    assert str(caught.value).startswith(message)
    assert "secret" not in str(caught.value)


def test_equal_documents_give_equal_text() -> None:
    assert canonical_text({"b": [1, "ä"], "a": None}) == canonical_text({"a": None, "b": [1, "ä"]})
