"""Reading an account and carrying a plan out: against the sandbox's strict IAM, and against moto's as a second opinion."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from aws import iam, registry_hosts
from aws.arns import parse_role
from aws.setup.failures import SetupFailure
from aws.setup.iam_state import IamState
from aws.setup.plan import plan
from aws.setup.steps import Plan, UpdateTrustPolicy
from aws.setup.teardown import teardown
from aws.setup.wanted import INLINE_POLICY_NAME, Permissions, PermissionsKind, TrustedCluster, Wanted
from aws.trust_policy import TrustedWorkload
from tests.support.aws import AUDIENCE, ISSUER, REGISTRY, SUBJECT, AwsUnderTest, served

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient
    from types_boto3_service_quotas import ServiceQuotasClient

World = AwsUnderTest
ROOT = Path(__file__).parents[3]
ACCOUNT = "210987654321"
SECOND = "https://pullpass.acme.com/oidc/2"
PULL_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"
EC2 = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def wish(account: str = ACCOUNT, *issuers: str, **changes: Any) -> Wanted:
    registry = registry_hosts.parse(REGISTRY)
    assert registry is not None
    trusted = tuple(
        TrustedCluster(
            f"uid-{issuer}", issuer.rpartition("/")[2], TrustedWorkload(issuer, AUDIENCE, (SUBJECT,))
        )
        for issuer in issuers or (ISSUER,)
    )
    wanted = Wanted(
        parse_role(f"arn:aws:iam::{account}:role/pull/fleet"),
        "acme",
        trusted,
        Permissions(registries=(registry,)),
    )
    return replace(wanted, **changes)


@pytest.fixture
def world() -> Iterator[World]:
    under_test = AwsUnderTest()
    published = under_test.issuer.published
    under_test.aws = type(under_test.aws)(
        resolver=lambda url: published if url in {ISSUER, SECOND} else None, now=lambda: under_test.time
    )
    with served(under_test.aws.wsgi_app) as url:
        under_test.url = url
        yield under_test


def client_of(world: World, service: str, key: str = ACCOUNT, given: str = "any") -> Any:
    return boto3.session.Session().client(
        service,  # type: ignore[call-overload]
        region_name="us-east-1",
        endpoint_url=f"{world.url}/{service}",
        aws_access_key_id=key,
        aws_secret_access_key=given,
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def sandbox(world: World) -> Iterator[IAMClient]:
    client = client_of(world, "iam")
    yield client
    client.close()


@pytest.fixture
def quotas(world: World) -> Iterator[ServiceQuotasClient]:
    client = client_of(world, "service-quotas")
    yield client
    client.close()


@pytest.fixture
def moto() -> Iterator[IAMClient]:
    with mock_aws():
        client = boto3.session.Session().client(
            "iam", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
        )
        yield client
        client.close()


@pytest.fixture(params=["sandbox", "moto"])
def account(request: pytest.FixtureRequest) -> tuple[Any, str]:
    """A client, and the account that it is for."""
    return request.getfixturevalue(request.param), ACCOUNT if request.param == "sandbox" else "123456789012"


def no_wait(_: float) -> None:
    """Time passes at once."""


def planned(client: Any, wanted: Wanted) -> Plan:
    return plan(wanted, iam.read_state(client, wanted))


def set_up(client: Any, wanted: Wanted, wait: Callable[[float], None] = no_wait) -> list[str]:
    found = planned(client, wanted)
    assert () == found.obstacles
    return [type(step).__name__ for step in iam.execute(client, found.steps, wait=wait)]


def take_down(client: Any, wanted: Wanted, *uids: str) -> list[str]:
    found = teardown(wanted, iam.read_state(client, wanted, for_teardown=True), uids)
    return [type(step).__name__ for step in iam.execute(client, found.steps, wait=no_wait)]


def test_of_an_empty_account_nothing_is_read(account: tuple[Any, str]) -> None:
    state = iam.read_state(account[0], wish(account[1]))
    assert (None, {}, 0) == (state.role, state.providers, state.provider_count)


def test_an_empty_account_is_set_up_and_then_there_is_nothing_to_do(account: tuple[Any, str]) -> None:
    client, number = account
    assert ["CreateProvider", "CreateRole", "PutInlinePolicy"] == set_up(client, wish(number))
    assert Plan() == planned(client, wish(number))


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        ({"max_session_seconds": 7200}, ["SetMaxSession"]),
        (
            {"permissions": Permissions(kind=PermissionsKind.PULL_ONLY)},
            ["TagRole", "AttachPolicy", "DeleteInlinePolicy"],
        ),
    ],
)
def test_a_change_of_mind_is_carried_out_and_undone(
    account: tuple[Any, str], change: dict[str, Any], steps: list[str]
) -> None:
    client, number = account
    set_up(client, wish(number))
    changed = wish(number, **change)
    if (
        account[1] == ACCOUNT or "max_session_seconds" in change
    ):  # moto knows no such managed policy by default
        assert steps == set_up(client, changed)
        assert () == planned(client, changed).steps
        set_up(client, wish(number))
        assert () == planned(client, wish(number)).steps


def test_a_second_cluster_joins_and_the_first_one_leaves(account: tuple[Any, str]) -> None:
    client, number = account
    both = wish(number, ISSUER, SECOND)
    set_up(client, wish(number))
    assert ["CreateProvider", "UpdateTrustPolicy"] == set_up(client, both)
    assert ["UpdateTrustPolicy", "DeleteProvider"] == take_down(client, both, f"uid-{ISSUER}")
    assert () == planned(client, wish(number, SECOND)).steps


def test_the_last_one_leaves_nothing_behind(account: tuple[Any, str]) -> None:
    client, number = account
    set_up(client, wish(number))
    assert ["DeleteInlinePolicy", "DeleteRole", "DeleteProvider"] == take_down(
        client, wish(number), f"uid-{ISSUER}"
    )
    empty = iam.read_state(client, wish(number), for_teardown=True)
    assert (None, {}, {}) == (empty.role, empty.providers, empty.named_by)


def test_foreign_statements_audiences_and_policies_stay(account: tuple[Any, str]) -> None:
    client, number = account
    wanted = wish(number)
    audiences = ["other"] if number == ACCOUNT else ["other", AUDIENCE]  # moto cannot add any
    client.create_open_id_connect_provider(Url=ISSUER, ClientIDList=audiences, ThumbprintList=["a" * 40])
    trust = json.dumps({"Version": "2012-10-17", "Statement": [EC2]})
    own = {
        "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"},
        "Version": "2012-10-17",
    }
    client.create_role(RoleName="fleet", Path="/pull/", AssumeRolePolicyDocument=trust)
    client.put_role_policy(RoleName="fleet", PolicyName="own", PolicyDocument=json.dumps(own))
    added = ["AddAudience"] if number == ACCOUNT else []
    assert [*added, "UpdateTrustPolicy", "PutInlinePolicy"] == set_up(client, wanted)
    state = iam.read_state(client, wanted)
    assert state.role is not None
    assert [EC2, *wanted.statements] == state.role.trust_policy["Statement"]
    assert {"own", INLINE_POLICY_NAME} == set(state.role.inline)
    assert ("other", AUDIENCE) == state.providers[ISSUER].audiences
    take_down(client, wanted, f"uid-{ISSUER}")
    left = iam.read_state(client, wanted)
    assert left.role is not None
    assert ([EC2], {"own"}) == (left.role.trust_policy["Statement"], set(left.role.inline))
    assert ISSUER in left.providers


def test_more_than_a_page_of_roles_is_looked_through(account: tuple[Any, str]) -> None:
    client, number = account
    wanted = wish(number)
    set_up(client, wanted)
    for count in range(110):
        trust = wanted.trust_policy if count == 109 else {"Version": "2012-10-17", "Statement": [EC2]}
        client.create_role(RoleName=f"r{count:03}", AssumeRolePolicyDocument=json.dumps(trust))
    assert "DeleteProvider" not in take_down(client, wanted, f"uid-{ISSUER}")


def test_what_was_just_made_is_waited_for(world: World, sandbox: IAMClient) -> None:
    world.aws.fail_next(
        "PutRolePolicy", "NoSuchEntity", "The role with name fleet cannot be found.", status=404, times=3
    )
    waited: list[float] = []
    set_up(sandbox, wish(), waited.append)
    assert [1.0, 2.0, 4.0] == waited


def test_two_at_once_are_told_apart_by_trying_again(world: World, sandbox: IAMClient) -> None:
    world.aws.fail_next("CreateOpenIDConnectProvider", "ConcurrentModification", "try again", status=409)
    assert "CreateProvider" in set_up(sandbox, wish())


def test_what_stays_refused_is_said_in_awss_words(world: World, sandbox: IAMClient) -> None:
    world.aws.fail_next("CreateRole", "ServiceFailure", "Not today", status=400)
    with pytest.raises(SetupFailure, match="ServiceFailure: Not today") as caught:
        set_up(sandbox, wish())
    assert ("iam:CreateRole", False) == (caught.value.action, caught.value.denied)
    assert ["CreateRole", "PutInlinePolicy"] == set_up(sandbox, wish())


def test_an_issuer_that_aws_does_not_reach_is_said(sandbox: IAMClient) -> None:
    with pytest.raises(SetupFailure, match="OpenIdIdpCommunicationError"):
        set_up(sandbox, wish(ACCOUNT, "https://private.acme.com"))


def test_a_right_that_is_missing_is_named(world: World) -> None:
    user = f"arn:aws:iam::{ACCOUNT}:user/ann"
    world.aws.create_user(user, allow=["iam:Get*", "iam:List*"])
    key = world.aws.create_access_key(user)
    client = client_of(world, "iam", key.access_key_id, key.secret_access_key)
    with pytest.raises(SetupFailure, match="need the permission iam:CreateOpenIDConnectProvider") as caught:
        set_up(client, wish())
    client.close()
    assert caught.value.denied


def test_who_may_not_even_read_is_told(world: World) -> None:
    user = f"arn:aws:iam::{ACCOUNT}:user/ann"
    world.aws.create_user(user, allow=[])
    key = world.aws.create_access_key(user)
    client = client_of(world, "iam", key.access_key_id, key.secret_access_key)
    with pytest.raises(SetupFailure, match="iam:GetOpenIDConnectProvider") as caught:
        iam.read_state(client, wish())
    client.close()
    assert caught.value.denied


def test_a_trust_policy_that_changed_meanwhile_is_not_overwritten(sandbox: IAMClient) -> None:
    sandbox.create_role(
        RoleName="fleet", Path="/pull/", AssumeRolePolicyDocument=json.dumps({"Statement": [EC2]})
    )
    step = next(step for step in planned(sandbox, wish()).steps if isinstance(step, UpdateTrustPolicy))
    newer = [EC2, EC2 | {"Sid": "New"}]
    sandbox.update_assume_role_policy(RoleName="fleet", PolicyDocument=json.dumps({"Statement": newer}))
    with pytest.raises(SetupFailure, match="somebody else changed"):
        list(iam.execute(sandbox, [step], wait=no_wait))
    trust: Any = sandbox.get_role(RoleName="fleet")["Role"]["AssumeRolePolicyDocument"]
    assert newer == trust["Statement"]


def test_quotas_are_those_of_the_account(
    world: World, sandbox: IAMClient, quotas: ServiceQuotasClient
) -> None:
    world.aws.set_quota(ACCOUNT, "AssumeRolePolicySizeQuota", 4096)
    world.aws.set_quota(ACCOUNT, "OpenIDConnectProvidersQuota", 700)
    for number in range(100):
        world.aws.create_oidc_provider(ACCOUNT, f"https://pullpass.acme.com/full/{number}", [])
    found = iam.read_state(sandbox, wish(), quotas=quotas)
    assert (4096, 700, 100) == (found.quotas.trust_policy, found.quotas.providers, found.provider_count)
    assert () == plan(wish(), found).obstacles


def test_without_the_right_to_read_quotas_the_defaults_count(world: World, sandbox: IAMClient) -> None:
    world.aws.fail_next("GetAccountSummary", "AccessDenied", "no", status=403)
    assert IamState(ACCOUNT).quotas == iam.read_state(sandbox, wish()).quotas


def test_a_full_account_is_an_obstacle_before_anything_is_made(
    world: World, sandbox: IAMClient, quotas: ServiceQuotasClient
) -> None:
    for number in range(100):
        world.aws.create_oidc_provider(ACCOUNT, f"https://pullpass.acme.com/full/{number}", [])
    found = plan(wish(), iam.read_state(sandbox, wish(), quotas=quotas))
    assert ["TooManyProviders"] == [obstacle.code for obstacle in found.obstacles]


def documented_rights() -> list[str]:
    page = (ROOT / "docs/how-to/aws-setup.md").read_text()
    return sorted(
        set(re.findall(r"\b(?:iam|servicequotas):[A-Z]\w+", page.partition("## When you may not")[0]))
    )


def test_the_rights_that_the_documentation_names_are_enough(world: World) -> None:
    user = f"arn:aws:iam::{ACCOUNT}:user/ann"
    world.aws.create_user(user, allow=documented_rights())
    key = world.aws.create_access_key(user)
    client = client_of(world, "iam", key.access_key_id, key.secret_access_key)
    managed = wish(permissions=Permissions(kind=PermissionsKind.PULL_ONLY))
    set_up(client, wish())
    set_up(client, replace(managed, max_session_seconds=7200))
    set_up(client, wish(ACCOUNT, ISSUER, SECOND))
    assert "DeleteRole" in take_down(client, wish(ACCOUNT, ISSUER, SECOND), f"uid-{ISSUER}", f"uid-{SECOND}")
    client.close()
