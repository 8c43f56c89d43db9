"""The sandbox's IAM and ECR, driven by boto3 as `aws` drives the real ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.aws.server import SandboxAws
from sandbox.aws.tokens import PublishedIssuer
from tests.support.aws import ACCOUNT, AUDIENCE, ISSUER, REGION, ROLE, START, AwsUnderTest, served

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

World = AwsUnderTest
OTHER = "210987654321"


@pytest.fixture
def world() -> Iterator[World]:
    under_test = AwsUnderTest()
    with served(under_test.aws.wsgi_app) as url:
        under_test.url = url
        yield under_test


@pytest.fixture
def iam(world: World) -> Iterator[Any]:
    """A client for account OTHER, untyped: IAM's types are not installed."""
    client = boto3.session.Session().client(
        "iam",
        region_name="us-east-1",
        endpoint_url=f"{world.url}/iam",
        aws_access_key_id=OTHER,
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


@pytest.fixture
def session(world: World) -> Iterator[dict[str, str]]:
    client = boto3.session.Session().client(
        "sts",
        region_name=REGION,
        endpoint_url=f"{world.url}/sts",
        aws_access_key_id="none",
        aws_secret_access_key="none",
    )
    answer = client.assume_role_with_web_identity(
        RoleArn=ROLE, RoleSessionName="acme-demo", WebIdentityToken=world.issuer.token()
    )["Credentials"]
    yield {
        "aws_access_key_id": answer["AccessKeyId"],
        "aws_secret_access_key": answer["SecretAccessKey"],
        "aws_session_token": answer["SessionToken"],
    }
    client.close()


def ecr(world: World, session: dict[str, str]) -> ECRClient:
    client: ECRClient = boto3.session.Session().client(
        "ecr",
        region_name=REGION,
        endpoint_url=f"{world.url}/ecr",
        config=Config(retries={"total_max_attempts": 1}),
        aws_access_key_id=session["aws_access_key_id"],
        aws_secret_access_key=session["aws_secret_access_key"],
        aws_session_token=session["aws_session_token"],
    )
    return client


def test_a_role_made_as_the_documentation_says_can_fetch_tokens(world: World, iam: Any) -> None:
    provider = iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=[AUDIENCE])
    assert (
        f"arn:aws:iam::{OTHER}:oidc-provider/pullpass.acme.com/oidc/1" == provider["OpenIDConnectProviderArn"]
    )
    policy = json.loads(json.dumps(world.trust_policy()).replace(ACCOUNT, OTHER))
    role = iam.create_role(RoleName="fleet", Path="/pull/", AssumeRolePolicyDocument=json.dumps(policy))[
        "Role"
    ]
    iam.attach_role_policy(
        RoleName="fleet", PolicyArn="arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"
    )
    assert f"arn:aws:iam::{OTHER}:role/pull/fleet" == role["Arn"]
    assert world.aws.allows(role["Arn"], "ecr:GetAuthorizationToken", "*")
    assert policy == iam.get_role(RoleName="fleet")["Role"]["AssumeRolePolicyDocument"]


def test_an_issuer_that_is_not_public_needs_a_thumbprint(world: World, iam: Any) -> None:
    world.issuer.published = None
    with pytest.raises(ClientError, match="OpenIdIdpCommunicationError"):
        iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=[AUDIENCE])
    iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=[AUDIENCE], ThumbprintList=["a" * 40])


@pytest.mark.parametrize("url", ["http://pullpass.acme.com", "https://a.com/?x", "https://" + "a" * 250])
def test_a_provider_has_a_plain_https_url(iam: Any, url: str) -> None:
    with pytest.raises(ClientError, match="InvalidInput"):
        iam.create_open_id_connect_provider(Url=url)


def test_a_provider_exists_once(iam: Any) -> None:
    iam.create_open_id_connect_provider(Url=ISSUER)
    with pytest.raises(ClientError, match="EntityAlreadyExists"):
        iam.create_open_id_connect_provider(Url=ISSUER)


def test_an_account_has_at_most_a_hundred_providers(world: World, iam: Any) -> None:
    for number in range(100):
        world.aws.create_oidc_provider(OTHER, f"https://pullpass.acme.com/{number}", [])
    with pytest.raises(ClientError, match="OpenIdConnectProvidersPerAccount: 100"):
        iam.create_open_id_connect_provider(Url=ISSUER)


def test_an_audience_can_be_added(iam: Any) -> None:
    arn = iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["one"])["OpenIDConnectProviderArn"]
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="two")
    provider = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert ("pullpass.acme.com/oidc/1", ["one", "two"]) == (provider["Url"], provider["ClientIDList"])


def test_a_provider_has_at_most_a_hundred_audiences(world: World, iam: Any) -> None:
    world.aws.create_oidc_provider(OTHER, ISSUER, [str(number) for number in range(100)])
    arn = f"arn:aws:iam::{OTHER}:oidc-provider/pullpass.acme.com/oidc/1"
    with pytest.raises(ClientError, match="ClientIdsPerOpenIdConnectProvider: 100"):
        iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="more")


def test_another_accounts_provider_is_not_there(iam: Any) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/pullpass.acme.com/oidc/1"
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)


def test_a_trust_policy_can_be_replaced(world: World, iam: Any) -> None:
    iam.create_role(RoleName="fleet", AssumeRolePolicyDocument=json.dumps(world.trust_policy()))
    policy = world.trust_policy(subject="other")
    iam.update_assume_role_policy(RoleName="fleet", PolicyDocument=json.dumps(policy))
    assert policy == iam.get_role(RoleName="fleet")["Role"]["AssumeRolePolicyDocument"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("nonsense", "invalid Json"),
        ("{}", "Syntax errors"),
        ('{"Statement": [{"Effect": "Allow"}]}', "Missing required field Principal"),
        (json.dumps({"Statement": [{"Principal": "x" * 2048}]}), "ACLSizePerRole: 2048"),
    ],
)
def test_a_trust_policy_that_iam_would_refuse_is_refused(iam: Any, document: str, words: str) -> None:
    with pytest.raises(ClientError, match=words):
        iam.create_role(RoleName="fleet", AssumeRolePolicyDocument=document)


def test_a_role_exists_once_and_only_in_its_account(world: World, iam: Any) -> None:
    policy = json.dumps(world.trust_policy())
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_role(RoleName="pull")
    iam.create_role(RoleName="pull", AssumeRolePolicyDocument=policy)
    with pytest.raises(ClientError, match="EntityAlreadyExists"):
        iam.create_role(RoleName="pull", AssumeRolePolicyDocument=policy)


def test_a_policy_of_ones_own_gives_its_rights(world: World, iam: Any) -> None:
    iam.create_role(RoleName="fleet", AssumeRolePolicyDocument=json.dumps(world.trust_policy()))
    policy = {"Statement": {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}}
    iam.put_role_policy(RoleName="fleet", PolicyName="own", PolicyDocument=json.dumps(policy))
    arn = f"arn:aws:iam::{OTHER}:role/fleet"
    assert world.aws.allows(arn, "ecr:GetAuthorizationToken", "*")
    assert not world.aws.allows(arn, "ecr:BatchGetImage", "*")


def test_a_policy_nobody_knows_cannot_be_attached(world: World, iam: Any) -> None:
    iam.create_role(RoleName="fleet", AssumeRolePolicyDocument=json.dumps(world.trust_policy()))
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.attach_role_policy(RoleName="fleet", PolicyArn="arn:aws:iam::aws:policy/Other")


def test_other_actions_are_not_served(iam: Any) -> None:
    with pytest.raises(ClientError, match="InvalidAction"):
        iam.list_users()


def test_a_role_in_process_has_an_arn_of_a_role(world: World) -> None:
    with pytest.raises(ValueError, match="is no ARN"):
        world.aws.create_role("pull", {})


def test_a_session_gets_a_password_for_twelve_hours(world: World, session: dict[str, str]) -> None:
    client = ecr(world, session)
    data = client.get_authorization_token()["authorizationData"][0]
    client.close()
    username, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    issued = world.aws.password_is_valid(password)
    assert issued is not None
    assert ("AWS", START + timedelta(hours=12), REGION, ACCOUNT) == (
        username,
        data["expiresAt"],
        issued.region,
        issued.account,
    )
    assert f"https://{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com" == data["proxyEndpoint"]


def test_a_password_expires(world: World, session: dict[str, str]) -> None:
    client = ecr(world, session)
    data = client.get_authorization_token()["authorizationData"][0]
    client.close()
    password = base64.b64decode(data["authorizationToken"]).decode().partition(":")[2]
    world.time = START + timedelta(hours=12)
    assert world.aws.password_is_valid(password) is None
    assert world.aws.issued_password(password) is not None


def test_a_password_that_was_not_issued_is_none(world: World) -> None:
    assert world.aws.password_is_valid("guess") is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aws_access_key_id": "ASIAOTHER"}, "UnrecognizedClientException"),
        ({"aws_session_token": "other"}, "UnrecognizedClientException"),
    ],
)
def test_other_credentials_are_not_taken(
    world: World, session: dict[str, str], changes: dict[str, str], code: str
) -> None:
    client = ecr(world, session | changes)
    with pytest.raises(ClientError, match=code):
        client.get_authorization_token()
    client.close()


def test_an_old_session_is_not_taken(world: World, session: dict[str, str]) -> None:
    world.time = START + timedelta(hours=1)
    client = ecr(world, session)
    with pytest.raises(ClientError, match="ExpiredTokenException"):
        client.get_authorization_token()
    client.close()


def test_a_role_without_the_right_is_denied_in_aws_words(world: World, session: dict[str, str]) -> None:
    world.aws.create_role(ROLE, world.trust_policy(), allow=[])
    client = ecr(world, session)
    words = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/pull/acme-demo is not authorized"
    with pytest.raises(ClientError, match=words):
        client.get_authorization_token()
    client.close()


def test_everything_outlives_a_restart(world: World, session: dict[str, str]) -> None:
    client = ecr(world, session)
    data = client.get_authorization_token()["authorizationData"][0]
    client.close()
    password = base64.b64decode(data["authorizationToken"]).decode().partition(":")[2]
    kept = json.loads(json.dumps(world.aws.snapshot()))

    def resolve(_: str) -> PublishedIssuer | None:
        return None

    restarted = SandboxAws(resolver=resolve, now=lambda: START)
    restarted.restore(kept)
    assert kept == restarted.snapshot()
    assert world.aws.password_is_valid(password) == restarted.password_is_valid(password)


def test_what_has_expired_is_not_kept_over_a_restart(world: World, session: dict[str, str]) -> None:
    client = ecr(world, session)
    client.get_authorization_token()
    client.close()
    world.time = START + timedelta(hours=12)
    kept = world.aws.snapshot()
    assert ([], {}) == (kept["sessions"], kept["passwords"])
