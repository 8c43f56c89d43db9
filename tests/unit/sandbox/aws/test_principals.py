"""Who calls the sandbox's AWS: users, sessions, an instance; with what trust, permissions and signatures."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from werkzeug.test import Client

from sandbox.aws.server import SandboxAws
from tests.support.aws import ACCOUNT, REGION, START, AwsUnderTest, served

World = AwsUnderTest

OTHER = "210987654321"
USER = f"arn:aws:iam::{ACCOUNT}:user/tools/puller"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/shared/target"
FOREIGN = f"arn:aws:iam::{OTHER}:role/target"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
TOKEN_SECONDS = {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
ROLES = "/metadata/latest/meta-data/iam/security-credentials/"


@pytest.fixture
def world() -> Iterator[World]:
    under_test = AwsUnderTest()
    with served(under_test.aws.wsgi_app) as url:
        under_test.url = url
        yield under_test


def keys(aws: SandboxAws, *, allow: list[str] | None = None) -> dict[str, str]:
    aws.create_user(USER, allow=allow)
    pair = aws.create_access_key(USER)
    return {"aws_access_key_id": pair.access_key_id, "aws_secret_access_key": pair.secret_access_key}


def session_keys(credentials: dict[str, Any]) -> dict[str, str]:
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }


@contextmanager
def client(
    world: World, service: str, signer: dict[str, str], region: str = REGION, *, endpoint: str | None = None
) -> Iterator[Any]:
    made: Any = boto3.session.Session().client(  # type: ignore[call-overload]  # not for each service
        service,
        region_name=region,
        endpoint_url=f"{world.url}/{endpoint or service}",
        config=Config(retries={"total_max_attempts": 1}),
        **signer,
    )
    try:
        yield made
    finally:
        made.close()


def assume(world: World, signer: dict[str, str], role: str = ROLE, **more: Any) -> dict[str, Any]:
    with client(world, "sts", signer) as sts:
        answer: dict[str, Any] = sts.assume_role(RoleArn=role, RoleSessionName="acme-demo", **more)
        return answer


def password(world: World, signer: dict[str, str], service: str = "ecr", region: str = REGION) -> str:
    with client(world, service, signer, region) as ecr:
        data = ecr.get_authorization_token()["authorizationData"]
    token = (data if service == "ecr-public" else data[0])["authorizationToken"]
    return base64.b64decode(token).decode().partition(":")[2]


def trust(principal: str, **condition: Any) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": "sts:AssumeRole",
        "Condition": condition,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_a_role_that_names_the_user_is_assumed_within_its_account(world: World) -> None:
    world.aws.create_role(ROLE, trust(USER))
    answer = assume(world, keys(world.aws, allow=[]))
    assert f"arn:aws:sts::{ACCOUNT}:assumed-role/target/acme-demo" == answer["AssumedRoleUser"]["Arn"]
    assert START + timedelta(hours=1) == answer["Credentials"]["Expiration"]


@pytest.mark.parametrize("principal", [ROOT, ACCOUNT, "*"])
def test_a_role_that_trusts_an_account_leaves_it_to_the_users_policies(world: World, principal: str) -> None:
    world.aws.create_role(ROLE, trust(principal))
    assert assume(world, keys(world.aws, allow=["sts:AssumeRole"]))
    with pytest.raises(ClientError, match="AccessDenied"):
        assume(world, keys(world.aws, allow=[]))


def test_across_accounts_both_sides_have_to_allow_it(world: World) -> None:
    world.aws.create_role(FOREIGN, trust(USER))
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole on resource"):
        assume(world, keys(world.aws, allow=[]), FOREIGN)
    assert assume(world, keys(world.aws, allow=["sts:*"]), FOREIGN)


@pytest.mark.parametrize("more", [{}, {"ExternalId": "other"}])
def test_an_external_id_has_to_be_the_one(world: World, more: dict[str, str]) -> None:
    world.aws.create_role(ROLE, trust(USER, StringEquals={"sts:ExternalId": "acme"}))
    with pytest.raises(ClientError, match="AccessDenied"):
        assume(world, keys(world.aws), **more)
    assert assume(world, keys(world.aws), ExternalId="acme")


def test_a_denied_principal_is_denied_though_others_are_allowed(world: World) -> None:
    policy = trust("*")
    policy["Statement"].append(trust(USER)["Statement"][0] | {"Effect": "Deny"})
    world.aws.create_role(ROLE, policy)
    with pytest.raises(ClientError, match="AccessDenied"):
        assume(world, keys(world.aws, allow=["sts:AssumeRole"]))


def test_a_role_that_is_not_there_is_refused_in_the_same_words(world: World) -> None:
    with pytest.raises(ClientError, match=f"not authorized to perform: sts:AssumeRole on resource: {ROLE}"):
        assume(world, keys(world.aws))


def test_chained_sessions_last_an_hour_at_most(world: World) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/second"
    world.aws.create_role(ROLE, trust(USER))
    world.aws.create_role(role, trust(ROLE))
    session = session_keys(assume(world, keys(world.aws))["Credentials"])
    kept = world.aws.snapshot()
    for one in kept["iam"]["roles"]:
        one["max_session_seconds"] = 7200
    world.aws.restore(kept)
    with pytest.raises(ClientError, match="1 hour session limit"):
        assume(world, session, role, DurationSeconds=7200)
    assert assume(world, session, role, DurationSeconds=3600)


def test_a_user_gets_a_password(world: World) -> None:
    issued = world.aws.password_is_valid(password(world, keys(world.aws)))
    assert issued is not None
    assert (USER, USER, ACCOUNT, REGION) == (
        issued.role_arn,
        issued.session_arn,
        issued.account,
        issued.region,
    )


def test_a_session_gets_a_password_for_its_role(world: World) -> None:
    world.aws.create_role(ROLE, trust(USER))
    issued = world.aws.password_is_valid(
        password(world, session_keys(assume(world, keys(world.aws))["Credentials"]))
    )
    assert issued is not None
    assert ROLE == issued.role_arn


@pytest.mark.parametrize(
    ("change", "of_sts", "of_ecr"),
    [
        ({"aws_access_key_id": "AKIAOTHER"}, "InvalidClientTokenId", "UnrecognizedClientException"),
        ({"aws_secret_access_key": "wrong"}, "SignatureDoesNotMatch", "InvalidSignatureException"),
        ({"aws_session_token": "made up"}, "InvalidClientTokenId", "UnrecognizedClientException"),
    ],
)
def test_whose_secret_it_is_not_is_refused(
    world: World, change: dict[str, str], of_sts: str, of_ecr: str
) -> None:
    signer = keys(world.aws) | change
    with pytest.raises(ClientError, match=of_sts):
        assume(world, signer)
    with pytest.raises(ClientError, match=of_ecr):
        password(world, signer)


def test_a_deleted_key_is_not_known(world: World) -> None:
    signer = keys(world.aws)
    world.aws.delete_access_key(signer["aws_access_key_id"])
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        assume(world, signer)


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (timedelta(minutes=6), "Signature expired: .* is now earlier than"),
        (timedelta(minutes=-6), "Signature not yet current: .* is still later than"),
    ],
)
def test_a_clock_that_is_off_shows_in_the_signature(world: World, ahead: timedelta, words: str) -> None:
    world.aws.set_skew(ahead)
    with pytest.raises(ClientError, match=words):
        password(world, keys(world.aws))


def test_a_skew_of_minutes_is_tolerated(world: World) -> None:
    world.aws.set_skew(timedelta(minutes=4))
    assert password(world, keys(world.aws))


def test_a_request_signed_for_another_service_is_refused(world: World) -> None:
    with (
        client(world, "ecr-public", keys(world.aws), "us-east-1", endpoint="ecr") as ecr_public,
        pytest.raises(ClientError, match="scoped to correct service: 'ecr', not 'ecr-public'"),
    ):
        ecr_public.get_authorization_token()


@pytest.mark.parametrize("service", ["ecr", "sts"])
def test_nobody_is_asked_for_a_signature(world: World, service: str) -> None:
    answer = Client(world.aws.wsgi_app).post(f"/{service}", data={"Action": "AssumeRole"})
    assert "MissingAuthenticationToken" in answer.get_data(as_text=True)


def test_ecr_public_gives_one_object_and_no_endpoint(world: World) -> None:
    allow = ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"]
    issued = world.aws.password_is_valid(
        password(world, keys(world.aws, allow=allow), "ecr-public", "us-east-1")
    )
    assert issued is not None
    assert issued.region == "public"


@pytest.mark.parametrize("missing", ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"])
def test_ecr_public_wants_both_of_its_permissions(world: World, missing: str) -> None:
    allow = sorted({"ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"} - {missing})
    words = f"not authorized to perform: {missing} on resource: \\* because no identity-based policy"
    with pytest.raises(ClientError, match=words):
        password(world, keys(world.aws, allow=allow), "ecr-public", "us-east-1")


def test_ecr_public_is_in_few_regions(world: World) -> None:
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        password(world, keys(world.aws, allow=["*"]), "ecr-public", REGION)


def metadata(world: World, path: str, *, token: str | None = None, method: str = "GET") -> Any:
    headers = {} if token is None else {"X-aws-ec2-metadata-token": token}
    return Client(world.aws.wsgi_app).open(path, method=method, headers=headers)


def metadata_token(world: World) -> str:
    answer = Client(world.aws.wsgi_app).put("/metadata/latest/api/token", headers=TOKEN_SECONDS)
    return answer.get_data(as_text=True)


def instance(world: World, **trusted: str) -> None:
    statement = {"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}
    world.aws.create_role(ROLE, {"Statement": statement})
    world.aws.set_instance_role(ROLE)


@pytest.mark.parametrize("slash", ["", "/"])
def test_an_instance_is_told_its_roles_name(world: World, slash: str) -> None:
    instance(world, Service="ec2.amazonaws.com")
    answer = metadata(world, ROLES.rstrip("/") + slash, token=metadata_token(world))
    assert answer.get_data(as_text=True) == "target"


def test_an_instance_is_given_its_roles_credentials(world: World) -> None:
    world.time = datetime.now(UTC)
    instance(world, Service="ec2.amazonaws.com")
    document = metadata(world, f"{ROLES}target", token=metadata_token(world)).get_json()
    signer = session_keys(document | {"SessionToken": document["Token"]})
    issued = world.aws.password_is_valid(password(world, signer))
    assert issued is not None
    assert ("Success", ROLE) == (document["Code"], issued.role_arn)


def test_a_role_that_does_not_trust_ec2_gives_none(world: World) -> None:
    instance(world, AWS=USER)
    document = metadata(world, f"{ROLES}target", token=metadata_token(world)).get_json()
    assert document["Code"] == "AssumeRoleUnauthorizedAccess"
    assert "AccessKeyId" not in document


@pytest.mark.parametrize("token", [None, "guess"])
def test_version_one_is_off(world: World, token: str | None) -> None:
    instance(world, Service="ec2.amazonaws.com")
    assert metadata(world, ROLES, token=token).status_code == 401


def test_a_metadata_token_runs_out(world: World) -> None:
    instance(world, Service="ec2.amazonaws.com")
    token = metadata_token(world)
    world.time = START + timedelta(seconds=300)
    assert metadata(world, ROLES, token=token).status_code == 401


@pytest.mark.parametrize("path", [ROLES, f"{ROLES}other", "/metadata/latest/user-data"])
def test_what_an_instance_does_not_have_is_not_found(world: World, path: str) -> None:
    instance(world, Service="ec2.amazonaws.com")
    if path == ROLES:
        world.aws.set_instance_role(None)
    assert metadata(world, path, token=metadata_token(world)).status_code == 404


def test_a_metadata_token_is_put_with_its_life(world: World) -> None:
    assert metadata(world, "/metadata/latest/api/token").status_code == 405
    assert metadata(world, "/metadata/latest/api/token", method="PUT").status_code == 400


def test_calls_are_counted_by_operation_and_principal(world: World) -> None:
    world.aws.create_role(ROLE, trust(USER))
    signer = keys(world.aws)
    password(world, session_keys(assume(world, signer)["Credentials"]))
    metadata(world, ROLES, token=metadata_token(world))
    assert {"AssumeRole": 1, "GetAuthorizationToken": 1, "MetadataToken": 1, "MetadataRole": 1} == (
        world.aws.calls
    )
    assert {("AssumeRole", USER): 1, ("GetAuthorizationToken", ROLE): 1} == world.aws.calls_by


def test_a_refused_call_is_counted_but_not_as_anybodys(world: World) -> None:
    with pytest.raises(ClientError):
        password(world, keys(world.aws) | {"aws_secret_access_key": "wrong"})
    assert (1, {}) == (world.aws.calls["GetAuthorizationToken"], world.aws.calls_by)


def test_it_can_hang_up_once(world: World) -> None:
    signer = keys(world.aws)
    world.aws.hang_up_next("GetAuthorizationToken")
    with pytest.raises(ConnectionClosedError):
        password(world, signer)
    assert password(world, signer)


@pytest.mark.parametrize("arn", [ROLE, "me", f"arn:aws:iam::{ACCOUNT}:user/"])
def test_a_user_has_an_arn_of_a_user(world: World, arn: str) -> None:
    with pytest.raises(ValueError, match="is no ARN"):
        world.aws.create_user(arn)


def test_keys_are_of_a_user_that_is_there(world: World) -> None:
    with pytest.raises(ValueError, match="there is no user"):
        world.aws.create_access_key(USER)


def test_users_keys_and_sessions_outlive_a_restart(world: World) -> None:
    signer = keys(world.aws)
    kept = json.loads(json.dumps(world.aws.snapshot()))
    restarted = AwsUnderTest()
    restarted.aws.restore(kept)
    with served(restarted.aws.wsgi_app) as url:
        restarted.url = url
        assert password(restarted, signer)
