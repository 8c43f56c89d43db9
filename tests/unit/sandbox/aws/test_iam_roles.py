"""The sandbox's IAM as people's tools use it: lists, tags, deletions, quotas, and who may do what."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.aws import AUDIENCE, ISSUER, AwsUnderTest, served

World = AwsUnderTest
ACCOUNT = "210987654321"
TRUST = json.dumps(
    {
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    }
)
PULL = {"Statement": {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}}
PULL_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"


@pytest.fixture
def world() -> Iterator[World]:
    under_test = AwsUnderTest()
    with served(under_test.aws.wsgi_app) as url:
        under_test.url = url
        yield under_test


@pytest.fixture
def client(world: World) -> Iterator[Callable[..., Any]]:
    made = []

    def make(service: str = "iam", key: str = ACCOUNT, given: str = "any") -> Any:
        client = boto3.session.Session().client(
            service,  # type: ignore[call-overload]
            region_name="us-east-1",
            endpoint_url=f"{world.url}/{service}",
            aws_access_key_id=key,
            aws_secret_access_key=given,
            config=Config(retries={"total_max_attempts": 1}),
        )
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def iam(client: Callable[..., Any]) -> Any:
    return client()


def test_a_long_list_of_roles_comes_in_pages(iam: Any) -> None:
    for number in range(120):
        iam.create_role(RoleName=f"r{number:03}", AssumeRolePolicyDocument=TRUST)
    first = iam.list_roles()
    assert (100, True) == (len(first["Roles"]), first["IsTruncated"])
    every = [role for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]]
    assert [f"r{number:03}" for number in range(120)] == [role["RoleName"] for role in every]


def test_a_roles_name_is_taken_whatever_its_path_and_case(iam: Any) -> None:
    iam.create_role(RoleName="Pull", Path="/a/", AssumeRolePolicyDocument=TRUST)
    with pytest.raises(ClientError, match="EntityAlreadyExists"):
        iam.create_role(RoleName="pull", AssumeRolePolicyDocument=TRUST)


def test_a_roles_description_is_kept_and_changed(iam: Any) -> None:
    iam.create_role(RoleName="pull", AssumeRolePolicyDocument=TRUST, Description="first")
    assert "first" == iam.get_role(RoleName="pull")["Role"]["Description"]
    iam.update_role_description(RoleName="pull", Description="second")
    assert "second" == iam.get_role(RoleName="pull")["Role"]["Description"]


def test_a_role_with_policies_cannot_be_deleted(iam: Any) -> None:
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(RoleName="r", PolicyName="own", PolicyDocument=json.dumps(PULL))
    iam.attach_role_policy(RoleName="r", PolicyArn=PULL_ONLY)
    with pytest.raises(ClientError, match="must detach all policies first"):
        iam.delete_role(RoleName="r")
    iam.detach_role_policy(RoleName="r", PolicyArn=PULL_ONLY)
    with pytest.raises(ClientError, match="must delete policies first"):
        iam.delete_role(RoleName="r")
    iam.delete_role_policy(RoleName="r", PolicyName="own")
    iam.delete_role(RoleName="r")
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_role(RoleName="r")


def test_tags_are_kept_and_taken_off(iam: Any) -> None:
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, Tags=[{"Key": "a", "Value": "1"}])
    iam.tag_role(RoleName="r", Tags=[{"Key": "b", "Value": "2"}])
    iam.untag_role(RoleName="r", TagKeys=["a"])
    assert [{"Key": "b", "Value": "2"}] == iam.get_role(RoleName="r")["Role"]["Tags"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"Statement": PULL["Statement"] | {"Principal": "*"}}, "should not specify a principal"),
        ({"Statement": {"Effect": "Allow", "Action": "ecr:*"}}, "must contain resources"),
        ({"Statement": PULL["Statement"] | {"Resource": "shop/web"}}, "must be in ARN format"),
        ({"Version": "2020-01-01", **PULL}, "valid version string"),
    ],
)
def test_a_policy_that_iam_would_refuse_is_refused(iam: Any, document: Any, words: str) -> None:
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    with pytest.raises(ClientError, match=words):
        iam.put_role_policy(RoleName="r", PolicyName="own", PolicyDocument=json.dumps(document))


def test_a_roles_own_policies_fit_ten_kilobytes_together(iam: Any) -> None:
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    long = {"Statement": PULL["Statement"] | {"Resource": ["arn:aws:ecr:::" + "x" * 6000]}}
    iam.put_role_policy(RoleName="r", PolicyName="one", PolicyDocument=json.dumps(long))
    with pytest.raises(ClientError, match="Maximum policy size of 10240 bytes"):
        iam.put_role_policy(RoleName="r", PolicyName="two", PolicyDocument=json.dumps(long))


def test_no_session_is_longer_than_twelve_hours(iam: Any) -> None:
    with pytest.raises(ClientError, match="maxSessionDuration"):
        iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, MaxSessionDuration=43_201)


def test_a_deleted_provider_is_gone_and_deleting_it_again_is_no_error(iam: Any) -> None:
    arn = iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=[AUDIENCE])["OpenIDConnectProviderArn"]
    assert [{"Arn": arn}] == iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)


def test_quotas_are_said_and_can_be_raised(world: World, iam: Any, client: Callable[..., Any]) -> None:
    assert 2048 == iam.get_account_summary()["SummaryMap"]["AssumeRolePolicySizeQuota"]
    world.aws.set_quota(ACCOUNT, "AssumeRolePolicySizeQuota", 4096)
    assert 4096 == iam.get_account_summary()["SummaryMap"]["AssumeRolePolicySizeQuota"]
    quota = client("service-quotas").get_service_quota(ServiceCode="iam", QuotaCode="L-858F3967")
    assert 100.0 == quota["Quota"]["Value"]


def test_an_administrator_is_known_by_the_account(client: Callable[..., Any]) -> None:
    identity = client("sts").get_caller_identity()
    assert (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/administrator") == (identity["Account"], identity["Arn"])


def test_a_user_may_do_what_its_policies_allow(world: World, client: Callable[..., Any]) -> None:
    user = f"arn:aws:iam::{ACCOUNT}:user/ann"
    world.aws.create_user(user, allow=["iam:Get*"])
    key = world.aws.create_access_key(user)
    iam = client(key=key.access_key_id, given=key.secret_access_key)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_role(RoleName="r")
    words = f"User: {user} is not authorized to perform: iam:CreateRole on resource: arn:aws:iam::{ACCOUNT}:role/r"
    with pytest.raises(ClientError, match=words):
        iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    assert user == client("sts", key.access_key_id, key.secret_access_key).get_caller_identity()["Arn"]
