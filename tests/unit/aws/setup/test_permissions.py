"""Whether a role may pull already: judged so that a yes is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.setup.permissions import Lack, lacks
from sandbox.aws import policy

REPOSITORY = "arn:aws:ecr:eu-central-1:123456789012:repository"


def allow(action: Any, resource: Any = "*", **members: Any) -> dict[str, Any]:
    return {"Statement": {"Effect": "Allow", "Action": action, "Resource": resource, **members}}


WANTED = allow(["ecr:BatchGetImage"], f"{REPOSITORY}/team/*")


@pytest.mark.parametrize(
    "held",
    [
        allow("*"),
        allow("ecr:*"),
        allow("ECR:batchget*"),
        allow("ecr:BatchGetImage", [f"{REPOSITORY}/other", f"{REPOSITORY}/t*"]),
        {"Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}},
    ],
)
def test_what_covers_it_all_is_enough(held: dict[str, Any]) -> None:
    assert () == lacks(WANTED, [held])


@pytest.mark.parametrize(
    "held",
    [
        allow("ecr:GetAuthorizationToken"),
        allow("ecr:BatchGetImage", f"{REPOSITORY}/team/web"),
        allow("ecr:BatchGetImage", f"{REPOSITORY}/team/?"),
        allow("ecr:BatchGetImage", "*", Condition={"Bool": {"aws:SecureTransport": "true"}}),
        {"Statement": {"Effect": "Allow", "NotAction": "ecr:*", "Resource": "*"}},
        {"Statement": {"Effect": "Allow", "Action": "*", "NotResource": "x"}},
        {"Statement": []},
    ],
)
def test_what_covers_some_of_it_or_on_conditions_is_not(held: dict[str, Any]) -> None:
    assert (Lack("ecr:BatchGetImage", f"{REPOSITORY}/team/*"),) == lacks(WANTED, [held])


@pytest.mark.parametrize(
    ("resource", "denied"),
    [
        (f"{REPOSITORY}/*/web", True),
        (f"{REPOSITORY}/team/?", True),
        (f"{REPOSITORY}/other/*", False),
        ("*", True),
    ],
)
def test_a_denial_that_touches_it_counts(resource: str, denied: bool) -> None:
    deny = {"Statement": {"Effect": "Deny", "Action": "ecr:*", "Resource": resource}}
    assert denied == any(lack.denied for lack in lacks(WANTED, [allow("*"), deny]))


@pytest.mark.parametrize(
    ("kept", "denied"), [(f"{REPOSITORY}/team/*", False), (f"{REPOSITORY}/team/a*", True)]
)
def test_a_denial_of_all_others_spares_what_it_names(kept: str, denied: bool) -> None:
    deny = {"Statement": {"Effect": "Deny", "Action": "*", "NotResource": kept}}
    assert denied == bool(lacks(WANTED, [allow("*"), deny]))


_globs = st.text(alphabet="ab*?", min_size=1, max_size=5)


@given(_globs, _globs, st.text(alphabet="ab", max_size=6), st.sampled_from(["Allow", "Deny"]))
def test_a_yes_holds_for_everything_that_was_asked_for(asked: str, held: str, text: str, effect: str) -> None:
    wanted = allow("ecr:BatchGetImage", asked)
    documents: list[Mapping[str, Any]] = [allow("*", "*" if effect == "Deny" else held)]
    if effect == "Deny":
        documents.append({"Statement": {"Effect": "Deny", "Action": "*", "Resource": held}})
    if not lacks(wanted, documents) and policy.matches(asked, text):
        assert policy.allows(documents, "ecr:BatchGetImage", text)
