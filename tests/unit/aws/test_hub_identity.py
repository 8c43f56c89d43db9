"""The hub's own identity and EKS, against moto where it is faithful: how answers and refusals are read."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws
from moto.eks.models import eks_backends

from aws import eks, hub_identity, transport
from aws.credentials import SessionCredentials
from aws.hub_failures import HubAwsFailure
from aws.hub_identity import HubIdentity
from aws.identities import HubRole
from tests.support.aws import START

REGION = "eu-central-1"
ROLE = HubRole("arn:aws:iam::210987654321:role/deploy", "pullpass-abc")
SESSION = SessionCredentials("ASIAEXAMPLE", "s3cret", "t0ken", START + timedelta(hours=1))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_EKS", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAHUB",
        "AWS_SECRET_ACCESS_KEY": "hub-s3cret",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def moto() -> Iterator[None]:
    with mock_aws():
        yield


def failure(code: str, message: str = "words of AWS", *, chained: bool = False) -> HubAwsFailure:
    """What becomes of a refusal of AssumeRole."""
    error = ClientError({"Error": {"Code": code, "Message": message}}, "AssumeRole")
    before = "arn:aws:iam::1:role/before" if chained else None
    with (
        pytest.raises(HubAwsFailure) as caught,
        hub_identity._failures(ROLE, before=before, hidden=("s3cret",)),
    ):
        raise error
    return caught.value


def describe_failure(code: str) -> HubAwsFailure:
    error = ClientError({"Error": {"Code": code, "Message": "no s3cret here"}}, "DescribeCluster")
    with pytest.raises(HubAwsFailure) as caught, eks._failures(SESSION):
        raise error
    assert "s3cret" not in str(caught.value)
    return caught.value


@pytest.mark.usefixtures("moto")
def test_a_role_is_assumed_for_an_hour() -> None:
    found = HubIdentity().assume([ROLE], region=REGION, name="pullpass-acme")
    assert found.access_key_id.startswith("ASIA")
    assert found.expires_at is not None
    assert found.expires_at.tzinfo is not None


@pytest.mark.usefixtures("moto")
def test_eks_says_where_a_cluster_is_and_who_signs_its_tokens() -> None:
    client = boto3.client("eks", region_name=REGION)
    client.create_cluster(
        name="prod",
        roleArn="arn:aws:iam::123456789012:role/eks",
        resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]},
    )
    # moto's own is no text of any kind.
    authority = {"data": base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()}
    eks_backends["123456789012"][REGION].clusters["prod"].certificate_authority = authority
    made = client.describe_cluster(name="prod")["cluster"]
    found = eks.describe_cluster("prod", region=REGION, credentials=SESSION)
    assert (made["endpoint"], made["identity"]["oidc"]["issuer"]) == (found.endpoint, found.issuer)
    assert found.certificate_authority == "-----BEGIN CERTIFICATE-----"


@pytest.mark.usefixtures("moto")
def test_a_cluster_that_is_not_there_is_not_found() -> None:
    with pytest.raises(HubAwsFailure) as caught:
        eks.describe_cluster("prod", region=REGION, credentials=SESSION)
    assert (caught.value.code, caught.value.transient) == ("EksClusterNotFound", False)


def test_without_credentials_the_hub_has_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(HubAwsFailure) as caught:
        HubIdentity().assume([ROLE], region=REGION, name="pullpass-acme")
    assert caught.value.code == "HubIdentityMissing"


def test_half_a_set_of_credentials_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(HubAwsFailure) as caught:
        HubIdentity().assume([ROLE], region=REGION, name="pullpass-acme")
    assert caught.value.code == "HubIdentityMissing"


def test_an_sts_that_nobody_reaches_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    monkeypatch.setattr(transport, "ATTEMPTS", 1)
    with pytest.raises(HubAwsFailure) as caught:
        HubIdentity().assume([ROLE], region=REGION, name="pullpass-acme")
    assert (caught.value.code, caught.value.transient) == ("HubAwsUnreachable", True)
    assert "hub-s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("aws_code", "chained", "code", "transient"),
    [
        ("AccessDenied", False, "DeployRoleRefused", False),
        ("AccessDenied", True, "DeployRoleRefused", False),
        ("ValidationError", False, "DeployRoleRefused", False),
        ("RegionDisabledException", False, "StsRegionDisabled", False),
        ("Throttling", False, "HubAwsUnreachable", True),
        ("ServiceUnavailable", False, "HubAwsUnreachable", True),
        ("503", False, "HubAwsUnreachable", True),
        ("ExpiredToken", False, "HubIdentityMissing", False),
        ("InvalidClientTokenId", False, "HubIdentityMissing", False),
        ("SignatureDoesNotMatch", False, "HubIdentityMissing", False),
        ("ExpiredToken", True, "HubAwsUnreachable", True),
    ],
)
def test_each_refusal_of_sts_has_its_code(aws_code: str, chained: bool, code: str, transient: bool) -> None:
    found = failure(aws_code, chained=chained)
    assert (code, transient) == (found.code, found.transient)
    assert "words of AWS" in found.message


def test_a_refusal_names_the_role_the_external_id_that_was_sent_and_who_asked() -> None:
    assert failure("AccessDenied", chained=True).values == {
        "DEPLOY_ROLE": ROLE.role_arn,
        "EXTERNAL_ID": "pullpass-abc",
        "HUB_PRINCIPAL": "arn:aws:iam::1:role/before",
    }


def test_no_secret_of_a_session_is_repeated() -> None:
    assert "s3cret" not in failure("AccessDenied", "said s3cret").message


@pytest.mark.parametrize(
    ("aws_code", "code", "transient"),
    [
        ("ResourceNotFoundException", "EksClusterNotFound", False),
        ("AccessDeniedException", "EksAccessDenied", False),
        ("UnrecognizedClientException", "EksAccessDenied", False),
        ("ExpiredTokenException", "HubAwsUnreachable", True),
        ("ThrottlingException", "HubAwsUnreachable", True),
        ("ServerException", "HubAwsUnreachable", True),
    ],
)
def test_each_refusal_of_eks_has_its_code(aws_code: str, code: str, transient: bool) -> None:
    found = describe_failure(aws_code)
    assert (code, transient) == (found.code, found.transient)


def test_a_cluster_that_is_being_made_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("eks", region_name=REGION)
    monkeypatch.setattr(boto3.session.Session, "client", lambda *_, **__: client)
    with Stubber(client) as stubbed:
        stubbed.add_response("describe_cluster", {"cluster": {"name": "prod", "status": "CREATING"}})
        with pytest.raises(HubAwsFailure, match="CREATING") as caught:
            eks.describe_cluster("prod", region=REGION, credentials=SESSION)
    assert (caught.value.code, caught.value.transient) == ("EksClusterNotFound", True)


def test_the_name_of_a_session_is_one_that_sts_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("sts", region_name=REGION)
    identity = HubIdentity()
    monkeypatch.setattr(identity, "_sts", lambda *_: client)
    expiry = START + timedelta(hours=1)
    given = {
        "AccessKeyId": "ASIA" + "X" * 12,
        "SecretAccessKey": "s",
        "SessionToken": "t",
        "Expiration": expiry,
    }
    role = HubRole(ROLE.role_arn, ROLE.external_id, "x-")
    with Stubber(client) as stubbed:
        stubbed.add_response(
            "assume_role",
            {"Credentials": given},
            {
                "RoleArn": role.role_arn,
                "RoleSessionName": f"x-pullpass-{'a' * 20}-{'b' * 32}",
                "ExternalId": "pullpass-abc",
                "DurationSeconds": 3600,
            },
        )
        identity.assume([role], region=REGION, name=f"pullpass-{'a' * 20} {'b' * 40}")
