from __future__ import annotations

from typing import Any

import pytest

from schemas.trusted_accounts import AGENT, NODE, of_cluster

ROLE = "arn:aws:iam::123456789012:role/pull"
KEYS = {"resource": "ecrpullsecrets.alchemy.com", "keys": {"namespace": "ops", "name": "aws"}}


def trusted(*, role: str | None = ROLE, provider: str = "generic", **settings: Any) -> tuple[str, ...]:
    add_on = {} if role is None else {"roleArn": role}
    manifest = {"spec": {"provider": {provider: {}}, "addOns": {"awsECR": add_on}}}
    return of_cluster(manifest, {"awsECR": settings})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (AGENT, NODE)),
        ({"delivery": "node"}, (NODE,)),
        ({"delivery": "pullSecret"}, (AGENT,)),
        ({"identity": "serviceAccount", "serviceAccounts": ["b/b", "a/a"]}, ("a/a", "b/b")),
        ({"delivery": "node", "pullSecret": {"labelled": {}}}, (AGENT, NODE)),
        ({"delivery": "node", "pullSecret": {"customResources": True}}, (AGENT, NODE)),
        ({"delivery": "node", "pullSecret": {"adopt": [{"resource": KEYS["resource"]}]}}, (AGENT, NODE)),
        ({"delivery": "node", "pullSecret": {"adopt": [KEYS]}}, (NODE,)),
    ],
)
def test_the_role_trusts_whoever_assumes_it(settings: Any, expected: tuple[str, ...]) -> None:
    assert trusted(**settings) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (AGENT, NODE)),  # the template for the role that is to be made
        ({"pullSecret": {"customResources": True}}, (AGENT,)),
        ({"pullSecret": {"adopt": [KEYS]}}, ()),
    ],
)
def test_without_a_role_the_template_is_for_those_that_are_named_elsewhere(
    settings: Any, expected: tuple[str, ...]
) -> None:
    assert trusted(role=None, **settings) == expected


@pytest.mark.parametrize(
    ("settings", "expected"), [({}, ()), ({"pullSecret": {"customResources": True}}, (AGENT,))]
)
def test_the_role_of_the_instances_trusts_nobody_of_the_cluster(
    settings: Any, expected: tuple[str, ...]
) -> None:
    assert trusted(role=None, provider="aws", **settings) == expected
