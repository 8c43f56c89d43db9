"""The steps from what is there to what is wanted, and what stands in their way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aws import registry_hosts
from aws.setup import steps
from aws.setup.documents import counted_size
from aws.setup.iam_state import IamState, ProviderState, Quotas, RoleState
from aws.setup.plan import plan
from aws.setup.wanted import (
    ATTACHED_TAG,
    INLINE_POLICY_NAME,
    MANAGED_BY,
    Permissions,
    PermissionsKind,
    TrustedCluster,
    Wanted,
)

ACCOUNT = "123456789012"
URL = "https://pullpass.acme.com/oidc/1"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/pullpass.acme.com/oidc/1"
PULL_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"
EMPTY = IamState(ACCOUNT)


def there(wanted: Wanted, **role: Any) -> IamState:
    """An account that holds all that is wanted, with `role` changed."""
    policy = wanted.inline_policy
    held = RoleState(
        arn=str(wanted.role),
        trust_policy=wanted.trust_policy,
        inline={} if policy is None else {INLINE_POLICY_NAME: policy},
    )
    providers = {
        one.url: ProviderState(one.arn("aws", ACCOUNT), one.url, one.audiences) for one in wanted.providers
    }
    return IamState(ACCOUNT, providers=providers, role=replace(held, **role))


def kinds(found: steps.Plan) -> list[str]:
    return [type(step).__name__ for step in found.steps]


def test_an_empty_account_gets_provider_role_and_policy(wanted: Wanted) -> None:
    found = plan(wanted, EMPTY)
    assert ["CreateProvider", "CreateRole", "PutInlinePolicy"] == kinds(found)
    provider, role = found.steps[0], found.steps[1]
    assert isinstance(provider, steps.CreateProvider)
    assert isinstance(role, steps.CreateRole)
    assert (PROVIDER, URL, ("sts.amazonaws.com",)) == (provider.target, provider.url, provider.audiences)
    assert ("/pull/", "fleet", wanted.trust_policy) == (role.path, role.name, role.trust_policy)
    assert MANAGED_BY in provider.tags.items()
    assert MANAGED_BY in role.tags.items()


def test_nothing_is_to_be_done_where_all_is_there(wanted: Wanted) -> None:
    assert steps.Plan() == plan(wanted, there(wanted))


def test_an_audience_is_added_and_others_stay(wanted: Wanted) -> None:
    state = there(wanted)
    state = replace(state, providers={URL: ProviderState(PROVIDER, URL, ("other",))})
    assert (steps.AddAudience(PROVIDER, "sts.amazonaws.com"),) == plan(wanted, state).steps


def test_a_provider_for_an_issuer_that_aws_cannot_reach_is_not_made(
    wanted: Wanted, demo: TrustedCluster
) -> None:
    private = replace(demo.workload, issuer="https://kubernetes.default.svc.cluster.local")
    found = plan(replace(wanted, trusted=(replace(demo, workload=private),)), EMPTY)
    assert ["IssuerNotUsable"] == [obstacle.code for obstacle in found.obstacles]


def test_a_role_without_us_is_taught_to_trust_us_and_keeps_the_others(wanted: Wanted) -> None:
    ec2 = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    (step,) = plan(wanted, there(wanted, trust_policy={"Version": "2012-10-17", "Statement": [ec2]})).steps
    assert isinstance(step, steps.UpdateTrustPolicy)
    assert [ec2, *wanted.statements] == step.document["Statement"]
    assert "trust demo" in step.summary
    assert "keep 1 of others" in step.summary


def test_a_trust_policy_over_the_accounts_quota_says_what_to_ask_for(wanted: Wanted) -> None:
    many = {"Effect": "Allow", "Principal": {"AWS": ["1" * 12] * 120}, "Action": "sts:AssumeRole"}
    state = there(wanted, trust_policy={"Version": "2012-10-17", "Statement": [many]})
    (obstacle,) = plan(wanted, state).obstacles
    assert "TrustPolicyTooLong" == obstacle.code
    assert (
        "aws service-quotas request-service-quota-increase --region us-east-1 --service-code iam"
        " --quota-code L-C07B4B0D --desired-value 3072" in obstacle.remedy
    )
    assert () == plan(wanted, replace(state, quotas=Quotas(trust_policy=4096))).obstacles


def test_white_space_does_not_count(wanted: Wanted) -> None:
    exact = Quotas(trust_policy=counted_size(wanted.trust_policy))
    assert () == plan(wanted, replace(EMPTY, quotas=exact)).obstacles
    (obstacle,) = plan(wanted, replace(EMPTY, quotas=Quotas(trust_policy=exact.trust_policy - 1))).obstacles
    assert "TrustPolicyTooLong" == obstacle.code


def test_over_what_aws_ever_grants_only_another_role_helps(wanted: Wanted) -> None:
    many = {"Effect": "Allow", "Principal": {"AWS": ["1" * 12] * 600}, "Action": "sts:AssumeRole"}
    state = there(wanted, trust_policy={"Version": "2012-10-17", "Statement": [many]})
    (obstacle,) = plan(wanted, replace(state, quotas=Quotas(trust_policy=8192))).obstacles
    assert "another role" in obstacle.remedy
    assert "request-service-quota-increase" not in obstacle.remedy


def test_a_full_account_is_said_before_anything_is_done(wanted: Wanted) -> None:
    (obstacle,) = plan(wanted, replace(EMPTY, provider_count=100)).obstacles
    assert ("TooManyProviders", True) == (obstacle.code, "L-858F3967" in obstacle.remedy)


def test_a_deleted_principal_is_said_because_iam_would_refuse_it(wanted: Wanted) -> None:
    gone = {"Effect": "Allow", "Principal": {"AWS": "AROAQ3EGRDNMX6YJ5ABCD"}, "Action": "sts:AssumeRole"}
    state = there(wanted, trust_policy={"Version": "2012-10-17", "Statement": [gone]})
    assert ["PrincipalGone"] == [obstacle.code for obstacle in plan(wanted, state).obstacles]


def test_sessions_are_made_longer_and_never_shorter(wanted: Wanted) -> None:
    longer = replace(wanted, max_session_seconds=7200)
    assert ["SetMaxSession"] == kinds(plan(longer, there(wanted)))
    assert [] == kinds(plan(wanted, there(wanted, max_session_seconds=43_200)))


def test_permissions_that_others_gave_are_enough(wanted: Wanted) -> None:
    everything = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    found = plan(
        wanted, there(wanted, inline={}, attached={"arn:aws:iam::aws:policy/AdministratorAccess": everything})
    )
    assert () == found.steps
    assert "allow pulls already" in found.notes[0]


def test_a_managed_policy_that_cannot_be_read_counts_for_nothing(wanted: Wanted) -> None:
    found = plan(wanted, there(wanted, inline={}, attached={"arn:aws:iam::123456789012:policy/own": None}))
    assert ["PutInlinePolicy"] == kinds(found)


def test_a_policy_that_was_narrowed_stays_until_somebody_says_otherwise(wanted: Wanted) -> None:
    narrow = replace(wanted, permissions=replace(wanted.permissions, repositories=("team/*",), exact=True))
    assert () == plan(wanted, there(narrow)).steps
    exact = replace(wanted, permissions=replace(wanted.permissions, exact=True))
    assert ["PutInlinePolicy"] == kinds(plan(exact, there(narrow)))


def test_a_narrowed_policy_without_a_registry_that_is_wanted_is_mended(wanted: Wanted) -> None:
    elsewhere = registry_hosts.parse(f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com")
    assert elsewhere is not None
    moved = replace(wanted, permissions=replace(wanted.permissions, registries=(elsewhere,)))
    assert ["PutInlinePolicy"] == kinds(plan(moved, there(wanted)))


def test_our_policy_is_mended_and_others_stay(wanted: Wanted) -> None:
    stale = {"Statement": {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}}
    (step,) = plan(wanted, there(wanted, inline={INLINE_POLICY_NAME: stale, "own": stale})).steps
    assert isinstance(step, steps.PutInlinePolicy)
    assert (INLINE_POLICY_NAME, "change") == (step.policy_name, step.verb)


def test_a_policy_that_denies_is_told(wanted: Wanted) -> None:
    deny = {"Statement": {"Effect": "Deny", "Action": "ecr:*", "Resource": "*"}}
    policy = wanted.inline_policy
    assert policy is not None
    found = plan(wanted, there(wanted, inline={INLINE_POLICY_NAME: policy, "own": deny}))
    assert (1, True) == (len(found.notes), "may deny ecr:" in found.notes[0])


def test_a_boundary_is_told(wanted: Wanted) -> None:
    found = plan(wanted, there(wanted, boundary="arn:aws:iam::123456789012:policy/b"))
    assert "permissions boundary" in found.notes[0]


def test_changing_from_our_policy_to_the_managed_one_and_back(wanted: Wanted) -> None:
    managed = replace(wanted, permissions=Permissions(kind=PermissionsKind.PULL_ONLY))
    forth = plan(managed, there(wanted))
    assert ["TagRole", "AttachPolicy", "DeleteInlinePolicy"] == kinds(forth)
    held = there(managed, attached={PULL_ONLY: None}, tags={ATTACHED_TAG: PULL_ONLY.rpartition("/")[2]})
    assert [] == kinds(plan(managed, held))
    assert ["PutInlinePolicy", "DetachPolicy", "UntagRole"] == kinds(plan(wanted, held))


def test_a_managed_policy_that_somebody_else_attached_stays(wanted: Wanted) -> None:
    assert ["PutInlinePolicy"] == kinds(plan(wanted, there(wanted, inline={}, attached={PULL_ONLY: None})))


def test_a_role_under_another_path_is_not_taken_for_ours(wanted: Wanted) -> None:
    found = plan(wanted, there(wanted, arn=f"arn:aws:iam::{ACCOUNT}:role/fleet"))
    assert ["RoleElsewhere"] == [obstacle.code for obstacle in found.obstacles]


@pytest.mark.parametrize("quotas", [Quotas(inline_policies=100)])
def test_policies_that_do_not_fit_are_said(wanted: Wanted, quotas: Quotas) -> None:
    (obstacle,) = plan(wanted, replace(EMPTY, quotas=quotas)).obstacles
    assert "PolicyTooLong" == obstacle.code
