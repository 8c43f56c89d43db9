"""Documents as text: exact on the way back, and equal only when they say the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import tables

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)
documents = st.dictionaries(st.text(), values)


@given(document=documents)
def test_text_reads_back_as_the_same_document_in_the_same_order(document: dict[str, Any]) -> None:
    read = json.loads(tables.to_text(document))

    assert repr(document) == repr(read)


@given(document=documents)
def test_text_is_ascii_and_holds_no_zero_byte(document: dict[str, Any]) -> None:
    text = tables.to_text(document)

    assert text.isascii()
    assert "\x00" not in text


@given(document=documents)
def test_the_order_of_members_makes_no_difference(document: dict[str, Any]) -> None:
    assert tables.canonical(document) == tables.canonical(dict(reversed(document.items())))


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (1, True), (0, False), ("1", 1), ([], {}), ([1, 2], [2, 1])]
)
def test_values_that_differ_on_the_wire_differ(one: object, other: object) -> None:
    assert tables.canonical(one) != tables.canonical(other)


def test_ids_are_never_the_same() -> None:
    assert 1000 == len({tables.new_id() for _ in range(1000)})
