"""What goes when clusters leave, and what stays because it is not ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aws.setup.iam_state import IamState, ProviderState, RoleState
from aws.setup.steps import DeleteProvider, UpdateTrustPolicy
from aws.setup.teardown import teardown
from aws.setup.trust import NOBODY
from aws.setup.wanted import ATTACHED_TAG, INLINE_POLICY_NAME, MANAGED_BY, TrustedCluster, Wanted

ACCOUNT = "123456789012"
OURS = dict([MANAGED_BY])
PULL_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/other"


def account(wanted: Wanted, *, provider_tags: Any = OURS, named_by: Any = None, **role: Any) -> IamState:
    policy = wanted.inline_policy
    assert policy is not None
    held = RoleState(
        arn=str(wanted.role),
        trust_policy=wanted.trust_policy,
        inline={INLINE_POLICY_NAME: policy},
        tags=OURS,
    )
    providers = {
        one.url: ProviderState(one.arn("aws", ACCOUNT), one.url, one.audiences, provider_tags)
        for one in wanted.providers
    }
    named = {one.arn: (str(wanted.role),) for one in providers.values()} if named_by is None else named_by
    return IamState(ACCOUNT, providers=providers, role=replace(held, **role), named_by=named)


def kinds(wanted: Wanted, state: IamState, *leaving: str) -> list[str]:
    return [type(step).__name__ for step in teardown(wanted, state, leaving or {"uid-demo"}).steps]


def test_all_that_was_made_for_the_last_cluster_goes(wanted: Wanted) -> None:
    assert ["DeleteInlinePolicy", "DeleteRole", "DeleteProvider"] == kinds(wanted, account(wanted))


def test_of_an_account_that_holds_nothing_nothing_goes(wanted: Wanted) -> None:
    assert [] == kinds(wanted, IamState(ACCOUNT, named_by={}))


def test_another_cluster_keeps_role_policy_and_its_provider(
    wanted: Wanted, demo: TrustedCluster, edge: TrustedCluster
) -> None:
    both = replace(wanted, trusted=(demo, edge))
    found = teardown(both, account(both), {"uid-demo"})
    trust, provider = found.steps
    assert isinstance(trust, UpdateTrustPolicy)
    assert [edge.sid] == [statement["Sid"] for statement in trust.document["Statement"]]
    assert DeleteProvider(demo_provider()) == provider


def demo_provider() -> str:
    return f"arn:aws:iam::{ACCOUNT}:oidc-provider/pullpass.acme.com/oidc/1"


def test_a_role_that_trusts_others_stays_without_our_policy(wanted: Wanted) -> None:
    ec2 = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    mixed = {"Version": "2012-10-17", "Statement": [ec2, *wanted.statements]}
    assert ["UpdateTrustPolicy", "DeleteInlinePolicy", "DeleteProvider"] == kinds(
        wanted, account(wanted, trust_policy=mixed)
    )


def test_a_role_of_somebody_else_stays_and_trusts_nobody(wanted: Wanted) -> None:
    found = teardown(wanted, account(wanted, tags={}), {"uid-demo"})
    assert isinstance(found.steps[0], UpdateTrustPolicy)
    assert [NOBODY] == found.steps[0].document["Statement"]
    assert "Pullpass did not make it" in found.notes[0]


def test_a_role_of_a_stack_stays(wanted: Wanted) -> None:
    stacked = OURS | {"aws:cloudformation:stack-id": "arn:aws:cloudformation:…"}
    assert "DeleteRole" not in kinds(wanted, account(wanted, tags=stacked, provider_tags=stacked))
    assert "DeleteProvider" not in kinds(wanted, account(wanted, tags=stacked, provider_tags=stacked))


def test_a_role_with_things_of_others_stays_and_says_which(wanted: Wanted) -> None:
    state = account(wanted, attached={PULL_ONLY: None}, instance_profiles=("nodes",))
    found = teardown(wanted, state, {"uid-demo"})
    assert "DeleteRole" not in [type(step).__name__ for step in found.steps]
    assert (
        "the managed policy AmazonEC2ContainerRegistryPullOnly, the instance profile nodes" in found.notes[0]
    )


def test_the_managed_policy_goes_where_a_tag_says_that_we_attached_it(wanted: Wanted) -> None:
    tags = OURS | {ATTACHED_TAG: "AmazonEC2ContainerRegistryPullOnly"}
    state = account(wanted, attached={PULL_ONLY: None}, tags=tags, inline={})
    assert ["DetachPolicy", "UntagRole", "DeleteRole", "DeleteProvider"] == kinds(wanted, state)


def test_a_provider_that_others_trust_stays(wanted: Wanted) -> None:
    state = account(wanted, named_by={demo_provider(): (str(wanted.role), OTHER_ROLE)})
    found = teardown(wanted, state, {"uid-demo"})
    assert "DeleteProvider" not in [type(step).__name__ for step in found.steps]
    assert OTHER_ROLE in found.notes[-1]


def test_a_provider_that_a_foreign_statement_of_the_same_role_names_stays(wanted: Wanted) -> None:
    foreign = wanted.statements[0] | {"Sid": "Own", "Condition": {}}
    state = account(wanted, trust_policy={"Statement": [foreign, *wanted.statements]})
    assert "DeleteProvider" not in kinds(wanted, state)


def test_a_provider_that_was_not_made_by_us_stays(wanted: Wanted) -> None:
    assert "DeleteProvider" not in kinds(wanted, account(wanted, provider_tags={}))


def test_a_provider_of_whose_users_nothing_is_known_stays(wanted: Wanted) -> None:
    state = replace(account(wanted), named_by=None)
    assert "DeleteProvider" not in kinds(wanted, state)


def test_another_organisations_statement_keeps_our_policy(wanted: Wanted) -> None:
    stray = wanted.statements[0] | {"Sid": "Pullpass0123abcd"}
    state = account(wanted, trust_policy={"Statement": [stray, *wanted.statements]})
    assert ["UpdateTrustPolicy"] == kinds(wanted, state)
