"""AWS's errors named, and what never stands in their words."""

from __future__ import annotations

import pytest

from aws import errors
from aws.hops import HopName

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize("hop", [HopName.STS, HopName.ECR, HopName.REGISTRY])
def test_every_hop_names_what_nobody_has_heard_of(hop: HopName) -> None:
    failure = errors.refused(hop, "SomethingNew", "whatever")
    assert (hop, "SomethingNew: whatever") == (failure.hop, failure.message)


def test_codes_are_told_apart_without_regard_to_case() -> None:
    assert errors.refused(HopName.STS, "expiredtokenexception", "").code == "TokenExpired"


def test_a_bad_request_that_speaks_of_the_token_is_a_denial() -> None:
    failure = errors.refused(HopName.REGISTRY, "400", "DENIED: Your Authorization Token is invalid.")
    assert failure.code == "RegistryAccessDenied"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n  b", "a b"),
        (f"token {TOKEN} is bad", "token *** is bad"),
        ("the password hunter2, and hunter2", "the password ***, and ***"),
        ("proxy http://me:hunter3@proxy.acme.com:3128", "proxy http://***@proxy.acme.com:3128"),
        ("x" * 700, "x" * 599 + "…"),
    ],
)
def test_words_are_one_short_line_without_secrets(text: str, expected: str) -> None:
    assert expected == errors.without_secrets(text, ["hunter2", ""])


def test_a_failure_says_where_and_what() -> None:
    failure = errors.unreachable(HopName.ECR, "no route to host")
    assert str(failure) == "ecr: EcrUnreachable: no route to host"
