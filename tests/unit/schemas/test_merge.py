from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Invalid, Mistake
from schemas.merge import REPLACE, merge

_KEY = st.sampled_from(["a", "b", "c"])
_LEAF = st.none() | st.booleans() | st.integers(0, 3)


def _objects(
    keys: st.SearchStrategy[str], leaves: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    values = st.recursive(
        leaves | st.lists(leaves, max_size=2), lambda inner: st.dictionaries(keys, inner, max_size=3)
    )
    return st.dictionaries(keys, values, max_size=3)


TARGETS = _objects(_KEY, st.integers(0, 3))
PATCHES = _objects(_KEY, _LEAF)
# Replaced and merged members have names of their own, so that none stands beside the other.
MIXED_PATCHES = _objects(st.sampled_from(["a", "b", f"{REPLACE}c", f"{REPLACE}d"]), _LEAF)


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [  # RFC 7396, appendix A, as far as it is about objects
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
    ],
)
def test_a_patch_merges_as_rfc_7396_has_it(target: Any, patch: Any, expected: Any) -> None:
    assert merge(target, patch) == expected


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"$replace/spec": {"x": 1}}, {"spec": {"x": 1}, "name": "n"}),
        ({"spec": {"$replace/addOns": {"b": {}}}}, {"spec": {"v": 1, "addOns": {"b": {}}}, "name": "n"}),
        ({"$replace/spec": None}, {"name": "n"}),
        ({"$replace/tags": {}}, {"spec": {"v": 1, "addOns": {"a": {}}}, "name": "n", "tags": {}}),
        ({"$replace/spec": {"x": None}}, {"spec": {"x": None}, "name": "n"}),
    ],
)
def test_a_replace_member_takes_the_place_of_the_whole(patch: Any, expected: Any) -> None:
    target = {"spec": {"v": 1, "addOns": {"a": {}}}, "name": "n"}
    assert merge(target, patch) == expected


def test_every_contradictory_replace_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        merge({}, {"$replace/": 1, "spec": {"a": 1, "$replace/a": 2}})
    assert list(caught.value.mistakes) == [
        Mistake("$['$replace/']", "names no member to replace"),
        Mistake("$.spec['$replace/a']", "stands beside `a`", "send one of the two"),
    ]


@given(TARGETS)
def test_an_empty_patch_changes_nothing(target: dict[str, Any]) -> None:
    assert merge(target, {}) == target


@given(TARGETS, MIXED_PATCHES)
def test_a_patch_applied_twice_is_applied_once(target: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merge(target, patch)
    assert merge(once, patch) == once


@given(TARGETS, MIXED_PATCHES)
def test_neither_argument_is_changed(target: dict[str, Any], patch: dict[str, Any]) -> None:
    before = copy.deepcopy((target, patch))
    merge(target, patch)
    assert (target, patch) == before


@given(TARGETS, PATCHES)
def test_what_a_patch_does_not_name_stays(target: dict[str, Any], patch: dict[str, Any]) -> None:
    merged = merge(target, patch)
    untouched = target.keys() - patch.keys()
    assert {key: merged[key] for key in untouched} == {key: target[key] for key in untouched}


@given(TARGETS, TARGETS)
def test_a_patch_without_null_on_nothing_is_itself(target: dict[str, Any], patch: dict[str, Any]) -> None:
    assert merge({}, patch) == patch


@given(TARGETS, _KEY, PATCHES)
def test_a_replaced_member_is_exactly_what_was_sent(
    target: dict[str, Any], key: str, value: dict[str, Any]
) -> None:
    assert merge(target, {f"{REPLACE}{key}": value})[key] == value
