"""Merging trust policies: what is foreign stays, ours stands once, and doing it again changes nothing."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.arns import parse_role
from aws.setup.documents import meaning, statements
from aws.setup.trust import NOBODY, denies, merge, principals_gone, without
from aws.setup.wanted import TrustedCluster, Wanted, sid_of, statement_of
from aws.trust_policy import TrustedWorkload, trust_policy

ROLE = parse_role("arn:aws:iam::123456789012:role/pull")
AGENT = "system:serviceaccount:pullpass-system:pullpass-agent"
EC2 = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def cluster(
    number: int, *, issuer: int | None = None, subjects: tuple[str, ...] = (AGENT,)
) -> TrustedCluster:
    url = f"https://pullpass.acme.com/oidc/{number if issuer is None else issuer}"
    return TrustedCluster(f"uid-{number}", f"c{number}", TrustedWorkload(url, "sts.amazonaws.com", subjects))


def document(*found: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(found)}


def wanted(*clusters: TrustedCluster) -> list[dict[str, Any]]:
    return list(Wanted(ROLE, "acme", clusters).statements)


def test_a_new_statement_comes_after_those_of_others() -> None:
    merged = merge(document(EC2), wanted(cluster(1)))
    assert [EC2, *wanted(cluster(1))] == merged.document["Statement"]
    assert (1, (sid_of("uid-1"),)) == (merged.foreign, merged.added)


def test_a_statement_that_stands_alone_becomes_one_of_a_list() -> None:
    merged = merge({"Version": "2008-10-17", "Id": "mine", "Statement": EC2}, wanted(cluster(1)))
    assert {"Version": "2008-10-17", "Id": "mine", "Statement": [EC2, *wanted(cluster(1))]} == merged.document


def test_what_the_hub_shows_may_be_pasted_and_counts_as_ours() -> None:
    pasted = trust_policy(str(ROLE), [cluster(1).workload])
    merged = merge(pasted, wanted(cluster(1)))
    assert not merged.changed
    assert pasted == merged.document


def test_a_new_issuer_replaces_the_statement_in_its_place() -> None:
    before = document(*wanted(cluster(1)), EC2)
    merged = merge(before, wanted(cluster(1, issuer=9)))
    assert [*wanted(cluster(1, issuer=9)), EC2] == merged.document["Statement"]
    assert (sid_of("uid-1"),) == merged.mended


@pytest.mark.parametrize(
    "change",
    [
        {"Condition": {"StringEquals": {"pullpass.acme.com/oidc/1:sub": AGENT}}},
        {
            "Condition": {
                "StringEquals": {
                    "pullpass.acme.com/oidc/1:aud": "wrong",
                    "pullpass.acme.com/oidc/1:sub": [AGENT],
                }
            }
        },
    ],
)
def test_a_statement_of_ours_that_was_written_by_hand_is_mended(change: dict[str, Any]) -> None:
    by_hand = {key: value for key, value in wanted(cluster(1))[0].items() if key != "Sid"} | change
    merged = merge(document(by_hand), wanted(cluster(1)))
    assert wanted(cluster(1)) == merged.document["Statement"]


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Deny"},
        {"Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]},
        {"Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/other.acme.com"}},
        {"Principal": "*"},
        {"Condition": {"StringLike": {"pullpass.acme.com/oidc/1:sub": "*"}}},
        {"Condition": {"StringEquals": {"pullpass.acme.com/oidc/1:sub": [AGENT, "other"]}}},
        {
            "Condition": {
                "StringEquals": {"pullpass.acme.com/oidc/1:sub": AGENT},
                "IpAddress": {"aws:SourceIp": "192.0.2.1"},
            }
        },
        {"Condition": {"StringEquals": {"pullpass.acme.com/oidc/1:aud": "sts.amazonaws.com"}}},
        {"Sid": sid_of("of another organisation")},
    ],
)
def test_a_statement_that_says_anything_else_is_foreign(change: dict[str, Any]) -> None:
    foreign = {key: value for key, value in wanted(cluster(1))[0].items() if key != "Sid"} | change
    merged = merge(document(foreign), wanted(cluster(1)))
    assert [foreign, *wanted(cluster(1))] == merged.document["Statement"]


def test_a_second_statement_for_the_same_cluster_goes() -> None:
    pasted = trust_policy(str(ROLE), [cluster(1).workload])["Statement"][0]
    merged = merge(document(*wanted(cluster(1)), pasted), wanted(cluster(1)))
    assert wanted(cluster(1)) == merged.document["Statement"]
    assert (sid_of("uid-1"),) == merged.removed


def test_strangers_with_our_form_of_name_are_told() -> None:
    stray = statement_of(ROLE, cluster(7))
    merged = merge(document(stray), wanted(cluster(1)))
    assert (sid_of("uid-7"),) == merged.strays


def test_the_last_one_that_leaves_shuts_the_door() -> None:
    left = without(document(*wanted(cluster(1))), wanted(cluster(1)))
    assert document(NOBODY) == left.document
    assert wanted(cluster(1)) == merge(left.document, wanted(cluster(1))).document["Statement"]


def test_only_those_that_leave_go() -> None:
    left = without(document(*wanted(cluster(1), cluster(2)), EC2), wanted(cluster(1)))
    assert [*wanted(cluster(2)), EC2] == left.document["Statement"]


def test_principals_that_were_deleted_are_found() -> None:
    gone = EC2 | {"Principal": {"AWS": ["AROAQ3EGRDNMX6YJ5ABCD", "arn:aws:iam::123456789012:root"]}}
    assert ("AROAQ3EGRDNMX6YJ5ABCD",) == principals_gone(document(gone))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (EC2 | {"Sid": "A", "Effect": "Deny", "Principal": "*", "Action": "sts:*"}, ("A",)),
        (EC2 | {"Effect": "Deny", "Principal": {"AWS": "*"}}, ()),
        (EC2, ()),
    ],
)
def test_a_statement_that_may_deny_our_tokens_is_found(statement: Any, expected: tuple[str, ...]) -> None:
    assert expected == denies(document(statement), ["arn:aws:iam::123456789012:oidc-provider/x"])


_texts = st.text(alphabet="abAB19:/*", max_size=6)
_foreign = st.one_of(
    st.just(EC2),
    st.fixed_dictionaries(
        {
            "Effect": st.sampled_from(["Allow", "Deny"]),
            "Principal": st.one_of(
                st.just("*"), st.dictionaries(st.sampled_from(["AWS", "Service"]), _texts, min_size=1)
            ),
            "Action": st.one_of(_texts, st.lists(_texts, min_size=1, max_size=3)),
        },
        optional={
            "Sid": _texts,
            "Condition": st.dictionaries(_texts, st.dictionaries(_texts, _texts), max_size=2),
        },
    ),
    st.builds(lambda number: statement_of(ROLE, cluster(number)), st.integers(100, 105)),
    st.builds(
        lambda number, extra: statement_of(ROLE, cluster(number)) | {"Sid": "Own", "Action": extra},
        st.integers(1, 4),
        st.sampled_from(["sts:TagSession", "sts:*"]),
    ),
)
_clusters = st.lists(
    st.builds(
        cluster,
        st.integers(1, 6),
        issuer=st.one_of(st.none(), st.integers(1, 8)),
        subjects=st.sampled_from([(AGENT,), (AGENT, "system:serviceaccount:shop:web")]),
    ),
    max_size=4,
    unique_by=lambda one: one.uid,
)
_ours = _clusters.map(lambda clusters: [statement_of(ROLE, one) for one in clusters])
_bare = _clusters.map(
    lambda clusters: [
        {key: value for key, value in statement_of(ROLE, one).items() if key != "Sid"} for one in clusters
    ]
)


@st.composite
def _documents(draw: st.DrawFn) -> tuple[dict[str, Any], list[Any]]:
    """A document of foreign statements and of ours, mixed; and the foreign ones in their order."""
    foreign = draw(st.lists(_foreign, max_size=5))
    ours = [*draw(_ours), *draw(_bare)]
    mixed = draw(st.permutations([(False, one) for one in foreign] + [(True, one) for one in ours]))
    return document(*(one for _, one in mixed)), [one for own, one in mixed if not own]


@given(_documents(), _clusters.filter(bool))
def test_every_foreign_statement_stays_in_its_words_and_order(
    found: tuple[dict[str, Any], list[Any]], clusters: list[TrustedCluster]
) -> None:
    before, foreign = found
    untouched = copy.deepcopy(before)
    merged = merge(before, wanted(*clusters)).document["Statement"]
    kept = [one for one in merged if any(one is other for other in foreign)]
    assert foreign == kept
    assert untouched == before


@given(_documents(), _clusters.filter(bool))
def test_merging_again_changes_nothing(
    found: tuple[dict[str, Any], list[Any]], clusters: list[TrustedCluster]
) -> None:
    once = merge(found[0], wanted(*clusters))
    again = merge(once.document, wanted(*clusters))
    assert not again.changed
    assert once.document == again.document


@given(_documents(), _clusters.filter(bool))
def test_each_cluster_is_trusted_once_and_as_wanted(
    found: tuple[dict[str, Any], list[Any]], clusters: list[TrustedCluster]
) -> None:
    merged = [meaning(one) for one in merge(found[0], wanted(*clusters)).document["Statement"]]
    for statement in wanted(*clusters):
        assert meaning(statement) in merged


@given(
    _documents(), _clusters.filter(bool).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some)))
)
def test_the_order_of_the_clusters_does_not_matter(
    found: tuple[dict[str, Any], list[Any]], orders: tuple[list[TrustedCluster], list[TrustedCluster]]
) -> None:
    assert merge(found[0], wanted(*orders[0])) == merge(found[0], wanted(*orders[1]))


@given(_documents(), _clusters.filter(bool))
def test_what_was_added_can_be_taken_out_again(
    found: tuple[dict[str, Any], list[Any]], clusters: list[TrustedCluster]
) -> None:
    left = without(merge(found[0], wanted(*clusters)).document, wanted(*clusters)).document
    assert all(statement.get("Sid") not in {one.sid for one in clusters} for statement in statements(left))
    assert all(any(one is other for other in statements(left)) for one in found[1])


def test_a_statement_with_more_than_ours_is_not_taken_for_ours(demo: TrustedCluster) -> None:
    wide = replace(demo, workload=replace(demo.workload, subjects=(*demo.workload.subjects, "a")))
    assert 1 == merge(document(statement_of(ROLE, wide) | {"Sid": "Own"}), wanted(demo)).foreign
