from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from schemas.documents import ALIAS_LIMIT, DEPTH_LIMIT, read_json, read_yaml
from schemas.errors import Invalid, Mistake

READERS = [read_json, read_yaml]
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)
_OBJECT = st.dictionaries(_TEXT, _JSON, max_size=4)


def mistakes(read: Callable[[bytes], dict[str, Any]], data: bytes) -> list[Mistake]:
    with pytest.raises(Invalid) as caught:
        read(data)
    return list(caught.value.mistakes)


@given(_OBJECT)
def test_json_comes_out_as_it_went_in(document: dict[str, Any]) -> None:
    assert read_json(json.dumps(document).encode()) == document


@given(st.dictionaries(_TEXT, _TEXT, max_size=4))
def test_quoted_texts_in_yaml_stay_what_they_are(document: dict[str, str]) -> None:
    assert read_yaml(yaml.safe_dump(document, default_style='"').encode()) == document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("2026-11-22", "2026-11-22"),
        ("2026-11-22T05:40:00Z", "2026-11-22T05:40:00Z"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-7", -7),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("1.30", 1.3),
        ("'1.30'", "1.30"),
        ('"true"', "true"),
        ("!!str 1", "1"),
        ("1e3", 1000.0),
        ("<<", "<<"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_yaml_scalars_follow_the_core_schema_of_1_2(text: str, value: object) -> None:
    assert read_yaml(f"key: {text}".encode()) == {"key": value}


def test_yaml_keys_are_texts_as_written() -> None:
    assert read_yaml(b"1: a\ntrue: b\n1.30: c\n") == {"1": "a", "true": "b", "1.30": "c"}


def test_an_alias_is_a_copy() -> None:
    document = read_yaml(b"a: &x {b: [1]}\nc: *x\n")
    document["a"]["b"].append(2)
    assert document["c"] == {"b": [1]}


def test_a_byte_order_mark_is_skipped() -> None:
    assert [read(b'\xef\xbb\xbf{"a": 1}') for read in READERS] == [{"a": 1}] * 2


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("data", [b"", b"[]", b"3", b'"text"', b"null"])
def test_only_an_object_is_a_document(read: Callable[[bytes], dict[str, Any]], data: bytes) -> None:
    assert [mistake.path for mistake in mistakes(read, data)] == ["$"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a" 1}', Mistake("$", "line 1, column 6: not valid JSON", "Expecting ':' delimiter")),
        (b'{"a": \xff}', Mistake("$", "not UTF-8 at byte 6")),
        (b'{"a": NaN}', Mistake("$", "not valid JSON", "NaN is not a number in JSON")),
        (b'{"a": 1e999}', Mistake("$", "not valid JSON", "a number is out of range")),
        (b'{"a": {"b": 1, "b": 2}}', Mistake("$.a.b", "stands twice", "keep one of them")),
        (
            b'{"a": ["\\u0000"]}',
            Mistake("$.a[0]", "holds a character that cannot be stored", "remove U+0000 and lone surrogates"),
        ),
        (
            b'{"a": {"\\ud800": 1}}',
            Mistake("$.a", "holds a character that cannot be stored", "remove U+0000 and lone surrogates"),
        ),
    ],
)
def test_wrong_json_is_refused_with_its_place(data: bytes, expected: Mistake) -> None:
    assert mistakes(read_json, data) == [expected]


def test_every_key_that_stands_twice_is_named() -> None:
    data = b'{"a": 1, "a": 2, "b": {"c/d": 1, "c/d": 2}}'
    assert [mistake.path for mistake in mistakes(read_json, data)] == ["$.a", "$.b['c/d']"]


def test_an_integer_of_thousands_of_digits_is_refused() -> None:
    assert mistakes(read_json, b'{"a": ' + b"1" * 5000 + b"}")[0].message == "not valid JSON"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: 1\na: 2\n", Mistake("$", "line 2, column 1: a key stands twice", "keep one `a`")),
        (b"a: !!python/object:os.system x", Mistake("$", "line 1, column 4: tags are not allowed")),
        (b"a: !mine [1]", Mistake("$", "line 1, column 4: tags are not allowed")),
        (b"a: !!int '1'", Mistake("$", "line 1, column 4: tags are not allowed")),
        (b"a: *b", Mistake("$", "line 1, column 4: an alias names nothing that stands before it")),
        (b"a: &a [*a]", Mistake("$", "line 1, column 8: an alias names nothing that stands before it")),
        (b"? [a]\n: 1", Mistake("$", "line 1, column 3: a key must be text")),
        (b"a: &x 1\n? *x\n: 1", Mistake("$", "line 2, column 3: a key must be text")),
        (
            b"a: .inf",
            Mistake(
                "$",
                "line 1, column 4: infinity and not-a-number are not allowed",
                "quote it where a text is meant",
            ),
        ),
        (b"a: 1e999", Mistake("$", "line 1, column 4: a number is out of range")),
        (
            b"a: 1\n---\nb: 2\n",
            Mistake("$", "line 2, column 1: a second document", "send one document per request"),
        ),
        (b"a: '\x01'", Mistake("$", "not valid YAML: it holds a character that YAML does not allow")),
    ],
)
def test_wrong_yaml_is_refused_with_its_place(data: bytes, expected: Mistake) -> None:
    assert mistakes(read_yaml, data) == [expected]


def test_unbalanced_yaml_is_refused_with_line_and_column() -> None:
    assert mistakes(read_yaml, b"a: [1\nb: 2\n")[0].message == "line 2, column 2: not valid YAML"


@pytest.mark.parametrize("read", READERS)
def test_the_deepest_document_is_read(read: Callable[[bytes], dict[str, Any]]) -> None:
    assert read(b'{"a": ' * DEPTH_LIMIT + b"1" + b"}" * DEPTH_LIMIT)["a"] is not None


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("depth", [DEPTH_LIMIT + 1, 100_000])
def test_a_deeper_document_is_refused(read: Callable[[bytes], dict[str, Any]], depth: int) -> None:
    found = mistakes(read, b'{"a": ' * depth + b"1" + b"}" * depth)
    assert found[0].message.endswith("nested more than 64 levels deep")


def test_aliases_cannot_nest_deeper_than_the_limit() -> None:
    lines = ["k0: &a0 [1]"] + [f"k{index}: &a{index} [*a{index - 1}]" for index in range(1, DEPTH_LIMIT + 2)]
    assert mistakes(read_yaml, "\n".join(lines).encode())[0].message == "nested more than 64 levels deep"


def test_aliases_cannot_blow_a_document_up() -> None:
    lines = ["k0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"k{index}: &a{index} [{', '.join([f'*a{index - 1}'] * 9)}]" for index in range(1, 9)]
    assert mistakes(read_yaml, "\n".join(lines).encode()) == [
        Mistake("$", "aliases make the document too large")
    ]


def test_as_many_values_as_the_limit_allows_may_come_from_aliases() -> None:
    repeats = ALIAS_LIMIT // 11
    data = b"a: &x [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\nb: [" + b", ".join([b"*x"] * repeats) + b"]"
    assert len(read_yaml(data)["b"]) == repeats
