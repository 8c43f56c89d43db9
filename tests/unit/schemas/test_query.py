"""The language of queries: what is taken, what is refused, and which object is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import query
from schemas.errors import Invalid
from schemas.query import Match, Of, Query, Term

DOCUMENT: dict[str, Any] = {
    "name": "demo",
    "version": 12,
    "created": "2026-11-22T05:40:00Z",
    "tags": {"team": "a", "nodes": 3, "on": True, "empty": None},
    "spec": {
        "version": "1.30.2",
        "provider": {"generic": {"location": "aws-eu-central-1"}},
        "addOns": {"awsECR": {}},
        "firewall": [{"sourceCIDR": "10.0.0.0/8"}, {"sourceCIDR": "192.0.2.1"}],
    },
    "links": [{"rel": "self", "href": "/org/acme/mk8s/demo"}],
}


def asked(*terms: dict[str, Any], **spec: Any) -> bool:
    parsed = query.parse({"spec": {"terms": list(terms), **spec}})
    return query.matches(DOCUMENT, "demo\nteam=a", parsed)


def holds(of: str, key: str, op: str, value: Any = None) -> bool:
    return asked({of: key, "op": op, **({} if value is None else {"value": value})})


@pytest.mark.parametrize(
    "body", [{}, {"spec": {}}, {"spec": {"match": "none", "terms": []}}, {"kind": "mk8s"}]
)
def test_a_query_without_terms_asks_for_everything(body: dict[str, Any]) -> None:
    assert query.matches(DOCUMENT, "", query.parse(body))


@pytest.mark.parametrize(
    ("key", "op", "value"),
    [
        ("name", "=", "demo"),
        ("name", "!=", "other"),
        ("name", "~", "EM"),
        ("name", ">", "dem"),
        ("name", ">=", "demo"),
        ("name", "<", "e"),
        ("name", "<=", "demo"),
        ("version", ">", 9),
        ("version", "=", "12"),
        ("created", ">", "2026-11-01"),
        ("created", "<", "2026-12"),
        ("spec.version", ">=", 1.3),
        ("spec.version", "<", "1.100"),
        ("spec.version", ">", "1.30"),
        ("spec.version", "<=", "1.30.2"),
        ("spec.provider.generic.location", "~", "eu-central"),
        ("spec.firewall.sourceCIDR", "=", "192.0.2.1"),
        ("spec.provider.generic", "exists", None),
        ("spec.addOns.awsECR", "exists", None),
        ("spec.provider.aws", "!exists", None),
        ("spec.provider.aws.region", "!=", "eu-central-1"),
        ("*", "~", "TEAM=A"),
    ],
)
def test_a_property_that_holds(key: str, op: str, value: Any) -> None:
    assert holds("property", key, op, value)


@pytest.mark.parametrize(
    ("key", "op", "value"),
    [
        ("name", "=", "Demo"),
        ("name", "!=", "demo"),
        ("name", "<", "demo"),
        ("version", ">", 12),
        ("version", "<", 9),
        ("spec.version", ">", "1.100"),
        ("spec.provider", "=", "generic"),
        ("spec.provider.aws.region", "<", "z"),
        ("spec.addOns.awsECR", "!exists", None),
        ("description", "exists", None),
        ("*", "~", "nowhere"),
    ],
)
def test_a_property_that_does_not_hold(key: str, op: str, value: Any) -> None:
    assert not holds("property", key, op, value)


@pytest.mark.parametrize(
    ("key", "op", "value", "expected"),
    [
        ("team", "=", "a", True),
        ("team", "!=", "b", True),
        ("nodes", "=", 3, True),
        ("nodes", "=", 3.0, True),
        ("nodes", "=", "3", True),
        ("nodes", ">", 2, True),
        ("nodes", "<", 2, False),
        ("on", "=", True, True),
        ("on", "=", "true", True),
        ("empty", "exists", None, True),
        ("none", "exists", None, False),
        ("none", "!exists", None, True),
        ("none", "!=", "a", True),
        ("*", "~", "TEA", True),
        ("*", "~", "nowhere", False),
    ],
)
def test_a_tag(key: str, op: str, value: Any, expected: bool) -> None:
    assert expected is holds("tag", key, op, value)


def test_a_link_by_its_whole_href_or_its_last_part() -> None:
    assert holds("rel", "self", "=", "/org/acme/mk8s/demo")
    assert holds("rel", "self", "=", "demo")
    assert holds("rel", "gvc", "!exists")
    assert not holds("rel", "gvc", "=", "demo")


RIGHT = {"property": "name", "op": "=", "value": "demo"}
WRONG = {"property": "name", "op": "=", "value": "other"}


@pytest.mark.parametrize(
    ("match", "terms", "expected"),
    [
        ("all", [RIGHT, RIGHT], True),
        ("all", [RIGHT, WRONG], False),
        ("any", [WRONG, RIGHT], True),
        ("any", [WRONG, WRONG], False),
        ("none", [WRONG, WRONG], True),
        ("none", [WRONG, RIGHT], False),
    ],
)
def test_match_says_how_many_terms_must_hold(match: str, terms: list[dict[str, Any]], expected: bool) -> None:
    assert expected is asked(*terms, match=match)


def test_less_or_equal_is_read_as_cpln_cuts_it() -> None:
    parsed = query.parse({"spec": {"terms": [{"op": "=", "property": "version<", "value": 12}]}})
    assert (Term(Of.PROPERTY, "version", "<=", 12),) == parsed.terms


def test_an_operator_that_is_absent_is_equality() -> None:
    assert query.parse({"spec": {"terms": [{"tag": "team", "value": "a"}]}}).terms[0].op == "="


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"spec": {"match": "some"}}, "$.spec.match"),
        ({"spec": {"terms": [{"op": "=", "value": 1}]}}, "$.spec.terms[0]"),
        ({"spec": {"terms": [{"property": "name", "tag": "a", "value": 1}]}}, "$.spec.terms[0]"),
        ({"spec": {"terms": [{"property": "name", "op": "=="}]}}, "$.spec.terms[0].op"),
        ({"spec": {"terms": [{"property": "nmae", "value": "x"}]}}, "$.spec.terms[0].property"),
        ({"spec": {"terms": [{"property": "name.first", "value": "x"}]}}, "$.spec.terms[0].property"),
        ({"spec": {"terms": [{"property": "*", "op": "=", "value": "x"}]}}, "$.spec.terms[0].property"),
        ({"spec": {"terms": [{"property": "name", "op": "="}]}}, "$.spec.terms[0].value"),
        ({"spec": {"terms": [{"property": "name", "value": ["x"]}]}}, "$.spec.terms[0].value"),
        ({"spec": {"terms": [{"property": "name", "value": "x" * 1001}]}}, "$.spec.terms[0].value"),
        ({"spec": {"terms": [{"tag": "a", "op": "exists"}] * 51}}, "$.spec.terms"),
        ({"spec": {"terms": [None]}}, "$.spec.terms[0]"),
        ({"spec": {"sort": {"by": "colour"}}}, "$.spec.sort.by"),
        ({"spec": {"sort": {"order": "up"}}}, "$.spec.sort.order"),
        ({"fetch": "links"}, "$.fetch"),
        ({"kind": "workload"}, "$.kind"),
    ],
)
def test_a_wrong_query_is_refused_with_its_path(body: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid) as caught:
        query.parse(body)
    assert path in [mistake.path for mistake in caught.value.mistakes]


def keys(values: list[Any], query_: Query) -> list[Any]:
    return sorted(
        values,
        key=lambda value: query.sort_key({"spec": {"version": value}}, query_),
        reverse=query_.descending,
    )


def test_the_order_is_numbers_versions_texts_and_what_lacks_it() -> None:
    by_version = Query(sort_by="spec.version")
    assert keys([None, "x", "1.100", 7, "1.9"], by_version) == [7, "1.9", "1.100", "x", None]


def test_what_lacks_the_property_is_last_the_other_way_round_too() -> None:
    downwards = Query(sort_by="spec.version", descending=True)
    assert keys([None, "1.9", "1.100"], downwards) == ["1.100", "1.9", None]


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)


@given(
    stored=VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(st.text(max_size=3), VALUES, max_size=2),
    op=st.sampled_from(["=", "!=", "~", ">", ">=", "<", "<="]),
    value=VALUES.filter(lambda value: value is not None),
)
def test_a_comparison_never_fails_and_not_equal_is_never_equal(stored: Any, op: str, value: Any) -> None:
    document = {"tags": {"a": stored}, "spec": {"a": stored}}
    for of, key in ((Of.TAG, "a"), (Of.PROPERTY, "spec.a")):
        term = Query(Match.ALL, (Term(of, key, op, value),))
        assert query.matches(document, "", term) in {True, False}
    equal = query.matches(document, "", Query(Match.ALL, (Term(Of.TAG, "a", "=", value),)))
    unequal = query.matches(document, "", Query(Match.ALL, (Term(Of.TAG, "a", "!=", value),)))
    assert equal is not unequal
