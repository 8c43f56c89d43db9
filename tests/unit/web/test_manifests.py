"""Manifests as YAML: what the API reads back, and where each part of them stands."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.documents import read_yaml
from schemas.errors import json_path
from web import manifests
from web.api import Mistake

# What YAML 1.1 and 1.2 read differently, or not as text.
AWKWARD = (
    "", "~", "null", "Null", "NO", "no", "No", "yes", "on", "off", "y", "n", "true", "True", "0o17", "017", "08",
    "0x1F", "0b11", "1_000", "1e3", "1.", ".5", "+.5", "-1", "+1", "1.30", "1.34.4", "190:20:30", "2026-11-22",
    "2026-11-22T05:40:00Z", ".inf", "-.INF", ".nan", "=", "<<", "*a", "&a", "!x", "%x", "@x", "`x", "- a", "? a",
    ": a", "a: b", "a #b", "#a", "{}", "[]", "'", '"', "\\", "|", ">", " a", "a ", "a\nb", "a\nb\n", "a\n\n", "\na",
    " a\nb", "a\n b", "a\t\nb", "a\r\nb", "a\x85b", "a\u2028b", "\ufeffa", "é", "日本", "😀", "---", "...", "a\n---\nb",
    "x" * 200, "word " * 60,
)  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")) | st.sampled_from(AWKWARD)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**39), 10**39)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_what_is_shown_is_read_back_exactly(document: dict[str, Any]) -> None:
    assert document == read_yaml(manifests.dump(document).encode())


@pytest.mark.parametrize("text", AWKWARD)
def test_text_stays_text(text: str) -> None:
    document = {"spec": {"version": text, "list": [text], text: [{text: text}]}}
    assert document == read_yaml(manifests.dump(document).encode())


def test_several_lines_stay_readable() -> None:
    assert "script: |\n  set -e\n  true\n" == manifests.dump({"script": "set -e\ntrue\n"})


def test_what_nobody_sent_is_not_shown() -> None:
    cluster = {
        "kind": "mk8s", "id": "1", "name": "demo", "description": "demo", "tags": {}, "settings": {}, "spec": {"a": 1},
        "version": 3, "status": {},
    }  # fmt: skip
    assert "kind: mk8s\nname: demo\nspec:\n  a: 1\n" == manifests.text_of(cluster)


def test_what_was_sent_is_shown() -> None:
    members = {
        "kind": "mk8s", "name": "demo", "description": "a shop", "tags": {"a": None}, "spec": {},
        "settings": {"awsECR": {}},
    }  # fmt: skip
    assert members == read_yaml(manifests.text_of(members).encode())


KEYS = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=8) | st.sampled_from(
    ("a.b", "it's", 'say "a"', "a[0]", "eks.amazonaws.com/role", "-", "a b", "\\", "]", "'")
)


@given(st.lists(KEYS | st.integers(0, 3), min_size=1, max_size=5))
def test_each_path_leads_to_its_line(steps: list[str | int]) -> None:
    """Keys of any kind and items of lists: the line of the path is the one on which the last step stands."""
    document: Any = "here"
    for step in reversed(steps):
        document = (
            [*(["before"] * step), document] if isinstance(step, int) else {"before": 1, step: document}
        )
    text = manifests.dump({"top": document})
    mistake = Mistake(json_path("$.top", *steps), "is wrong", "")
    (found,) = manifests.placed(text, (mistake,))
    assert text.splitlines()[found.line - 1].endswith("here")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("$", 1),
        ("$.spec", 3),
        ("$.spec.provider.generic.location", 3),  # what is missing is told where it is missing from
        ("$.spec.addOns.awsECR.roleArn", 5),
        ("$.tags['a.b']", 8),
        ("$.settings.awsECR.registries[1]", 12),
        ("$.settings.awsECR.registries[7]", 10),
        ("$.nothing", 1),
    ],
)
def test_a_mistake_stands_at_the_nearest_line(path: str, line: int) -> None:
    text = """\
kind: mk8s
name: demo
spec:
  addOns:
    awsECR: {roleArn: x}
tags:
  a: 1
  a.b: 2
settings:
  awsECR: {registries: [
    one,
    two]}
"""
    (found,) = manifests.placed(text, (Mistake(path, "is wrong", ""),))
    assert line == found.line


def test_mistakes_come_in_the_order_of_lines() -> None:
    wrong = (Mistake("$.b", "two", ""), Mistake("$.a", "one", ""))
    assert [1, 2] == [each.line for each in manifests.placed("a: 1\nb: 2\n", wrong)]


def test_what_is_no_yaml_has_the_line_that_the_api_names() -> None:
    mistake = Mistake("$", "line 2, column 5: not valid YAML", "found a tab")
    (found,) = manifests.placed("a: 1\nb:\t{", (mistake,))
    assert (2, "not valid YAML") == (found.line, found.message)


def test_a_diff_shows_what_goes_and_comes_with_lines_round_it() -> None:
    before = "".join(f"{number}\n" for number in range(20))
    after = before.replace("3\n", "three\n", 1).replace("17\n", "")
    found = [(line.kind, line.text) for line in manifests.diff(before, after)]
    assert [("removed", "3"), ("added", "three"), ("removed", "17")] == [
        each for each in found if each[0] in {"added", "removed"}
    ]
    assert ("gap", "") in found


def test_texts_that_are_the_same_have_no_diff() -> None:
    assert () == manifests.diff("a: 1\n", "a: 1\n")
