"""The trust policy: its shape, its order, what it always pins, and its size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.trust_policy import TrustedWorkload, counted_size, subject, trust_policy

ROLE = "arn:aws:iam::123456789012:role/pull"
AGENT = TrustedWorkload(
    issuer="https://pullpass.acme.com/oidc/1",
    audience="sts.amazonaws.com",
    subjects=("system:serviceaccount:pullpass-system:pullpass-agent",),
)


def test_one_workload_gives_the_documented_shape() -> None:
    expected = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {
                    "Federated": "arn:aws:iam::123456789012:oidc-provider/pullpass.acme.com/oidc/1"
                },
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        "pullpass.acme.com/oidc/1:aud": "sts.amazonaws.com",
                        "pullpass.acme.com/oidc/1:sub": "system:serviceaccount:pullpass-system:pullpass-agent",
                    }
                },
            }
        ],
    }
    assert expected == trust_policy(ROLE, [AGENT])


def test_without_a_role_the_account_is_left_to_the_user() -> None:
    principal = trust_policy(None, [AGENT])["Statement"][0]["Principal"]
    assert principal == {"Federated": "arn:aws:iam::${AWS_ACCOUNT_ID}:oidc-provider/pullpass.acme.com/oidc/1"}


def test_the_provider_is_in_the_partition_of_the_role() -> None:
    policy = trust_policy("arn:aws-cn:iam::123456789012:role/pull", [AGENT])
    expected = {"Federated": "arn:aws-cn:iam::123456789012:oidc-provider/pullpass.acme.com/oidc/1"}
    assert expected == policy["Statement"][0]["Principal"]


def test_several_subjects_are_a_sorted_list() -> None:
    workload = TrustedWorkload(AGENT.issuer, AGENT.audience, ("b", "a", "b"))
    condition = trust_policy(ROLE, [workload])["Statement"][0]["Condition"]
    assert condition["StringEquals"]["pullpass.acme.com/oidc/1:sub"] == ["a", "b"]


def test_a_last_slash_of_the_issuer_is_kept() -> None:
    workload = TrustedWorkload("https://acme.com/oidc/", AGENT.audience, AGENT.subjects)
    condition = trust_policy(ROLE, [workload])["Statement"][0]["Condition"]
    assert {"acme.com/oidc/:aud", "acme.com/oidc/:sub"} == set(condition["StringEquals"])


_workloads = st.builds(
    TrustedWorkload,
    issuer=st.sampled_from(["https://a.acme.com", "https://b.acme.com/x", "https://c.acme.com/y/"]),
    audience=st.sampled_from(["sts.amazonaws.com", "sts.amazonaws.com.cn"]),
    subjects=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1).map(tuple),
)


@given(st.lists(_workloads, min_size=1).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_the_order_of_the_workloads_does_not_matter(
    orders: tuple[list[TrustedWorkload], list[TrustedWorkload]],
) -> None:
    assert json.dumps(trust_policy(ROLE, orders[0])) == json.dumps(trust_policy(ROLE, orders[1]))


@given(st.lists(_workloads, min_size=1))
def test_every_statement_pins_one_issuer_audience_and_subject(workloads: list[TrustedWorkload]) -> None:
    statements: list[dict[str, Any]] = trust_policy(ROLE, workloads)["Statement"]
    assert len({(workload.issuer, workload.audience) for workload in workloads}) == len(statements)
    for statement in statements:
        issuer = statement["Principal"]["Federated"].partition("oidc-provider/")[2]
        assert {f"{issuer}:aud", f"{issuer}:sub"} == set(statement["Condition"]["StringEquals"])


@pytest.mark.parametrize(
    "workloads",
    [
        [],
        [TrustedWorkload("https://acme.com", "aud", ())],
        [TrustedWorkload("https://acme.com", "aud", ("",))],
        [TrustedWorkload("https://acme.com", "", ("a",))],
        [TrustedWorkload("http://acme.com", "aud", ("a",))],
        [TrustedWorkload("https://", "aud", ("a",))],
    ],
)
def test_a_policy_that_would_trust_too_much_is_refused(workloads: list[TrustedWorkload]) -> None:
    with pytest.raises(ValueError, match=r"subject or audience|at least one|expected an https"):
        trust_policy(ROLE, workloads)


def test_four_clusters_with_published_issuers_fit_the_default_quota() -> None:
    workloads = [
        TrustedWorkload(f"https://pullpass.acme.com/oidc/{number:032x}", AGENT.audience, AGENT.subjects)
        for number in range(5)
    ]
    assert (
        counted_size(trust_policy(ROLE, workloads[:4])) <= 2048 < counted_size(trust_policy(ROLE, workloads))
    )


def test_the_size_counts_no_white_space_between_tokens() -> None:
    assert len('{"a":["b c","ü"]}') == counted_size({"a": ["b c", "ü"]})


def test_a_subject_is_that_of_a_service_account() -> None:
    assert subject("default", "web") == "system:serviceaccount:default:web"


def test_the_documented_policy_is_the_one_that_is_written() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/trust-policy.md").read_text(encoding="utf-8")
    documented = json.loads(page.partition("```json\n")[2].partition("```")[0])
    subjects = (*AGENT.subjects, subject("pullpass-system", "pullpass-node"))
    workload = TrustedWorkload("https://pullpass.example.com/oidc/2f1c", AGENT.audience, subjects)
    assert documented == trust_policy(ROLE, [workload])
