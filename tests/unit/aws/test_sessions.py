"""Sessions over real HTTP: from a token, a key pair or the instance, with roles on top, and what may go wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.wrappers import Request, Response

from aws import ecr, sessions
from aws.credentials import AwsEndpoints, RegistryCredential, SessionCredentials
from aws.hops import AwsFailure, HopName
from aws.identities import AccessKeys, InstanceMetadata, RoleLink, WebIdentity
from aws.registry_hosts import PUBLIC
from aws.sessions import Source
from tests.support.aws import ACCOUNT, AUDIENCE, REGION, ROLE, START, AwsUnderTest, served

World = AwsUnderTest

OTHER = "210987654321"
USER = f"arn:aws:iam::{ACCOUNT}:user/old-tool"
HOP, TARGET = f"arn:aws:iam::{ACCOUNT}:role/hop", f"arn:aws:iam::{ACCOUNT}:role/target"
FOREIGN = f"arn:aws:iam::{OTHER}:role/shared/foreign"
INSTANCE = f"arn:aws:iam::{ACCOUNT}:role/node"
WEB_IDENTITY = WebIdentity(ROLE, AUDIENCE)
EC2_TRUST = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def open_session(
    world: World,
    source: Source,
    *roles: RoleLink,
    endpoints: AwsEndpoints | None = None,
    region: str = REGION,
) -> SessionCredentials:
    return sessions.session(
        source,
        roles,
        read_token=world.issuer.token,
        session_name="acme-demo",
        region=region,
        endpoints=endpoints or world.endpoints,
        attempts=1,
    )


def fetch(
    world: World, source: Source, *roles: RoleLink, region: str = REGION, attempts: int = 1
) -> RegistryCredential:
    return ecr.authorization_token(
        credentials=open_session(world, source, *roles, region=region),
        region=region,
        endpoints=world.endpoints,
        now=START,
        attempts=attempts,
    )


def refused(world: World, source: Source, *roles: RoleLink, region: str = REGION) -> AwsFailure:
    with pytest.raises(AwsFailure) as failed:
        fetch(world, source, *roles, region=region)
    return failed.value


def principal(world: World, credential: RegistryCredential) -> str:
    issued = world.aws.password_is_valid(credential.password)
    assert issued is not None
    return issued.role_arn


def keys_of(world: World, *, allow: list[str] | None = None) -> AccessKeys:
    world.aws.create_user(USER, allow=allow)
    pair = world.aws.create_access_key(USER)
    return AccessKeys(pair.access_key_id, pair.secret_access_key)


def trust(principal_arn: str, *, external_id: str | None = None) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"AWS": principal_arn},
        "Action": "sts:AssumeRole",
    }
    if external_id is not None:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_a_web_identity_is_its_role(world: World) -> None:
    assert ROLE == principal(world, fetch(world, WEB_IDENTITY))


def test_keys_are_their_user_and_sts_is_not_asked(world: World) -> None:
    assert USER == principal(world, fetch(world, keys_of(world)))
    assert world.aws.calls_by == {("GetAuthorizationToken", USER): 1}


def test_keys_with_a_session_token_are_taken(world: World) -> None:
    given_by_somebody = open_session(world, WEB_IDENTITY)
    keys = AccessKeys(
        given_by_somebody.access_key_id, given_by_somebody.secret_access_key, given_by_somebody.session_token
    )
    assert ROLE == principal(world, fetch(world, keys))


def test_the_instance_is_its_role(world: World) -> None:
    world.aws.create_role(INSTANCE, {"Statement": [EC2_TRUST]})
    world.aws.set_instance_role(INSTANCE)
    found = open_session(world, InstanceMetadata())
    assert START + timedelta(hours=6) == found.expires_at
    assert INSTANCE == principal(world, fetch(world, InstanceMetadata()))


@pytest.mark.parametrize("kind", ["token", "keys", "instance"])
def test_roles_are_assumed_one_after_the_other(world: World, kind: str) -> None:
    world.aws.create_role(INSTANCE, {"Statement": [EC2_TRUST]})
    world.aws.set_instance_role(INSTANCE)
    sources: dict[str, tuple[Source, str]] = {
        "token": (WEB_IDENTITY, ROLE),
        "keys": (keys_of(world), USER),
        "instance": (InstanceMetadata(), INSTANCE),
    }
    source, first = sources[kind]
    world.aws.create_role(HOP, trust(first))
    world.aws.create_role(TARGET, trust(HOP))
    assert TARGET == principal(world, fetch(world, source, RoleLink(HOP), RoleLink(TARGET)))
    assert {key: count for key, count in world.aws.calls_by.items() if key[0] == "AssumeRole"} == {
        ("AssumeRole", first): 1,
        ("AssumeRole", HOP): 1,
    }


def test_a_role_of_another_account_is_assumed_with_its_external_id(world: World) -> None:
    keys = keys_of(world, allow=["sts:AssumeRole"])
    world.aws.create_role(FOREIGN, trust(f"arn:aws:iam::{ACCOUNT}:root", external_id="acme/42"))
    assert FOREIGN == principal(world, fetch(world, keys, RoleLink(FOREIGN, "acme/42")))


@pytest.mark.parametrize("external_id", [None, "other"])
def test_without_its_external_id_it_is_refused_in_aws_words(world: World, external_id: str | None) -> None:
    keys = keys_of(world, allow=["sts:AssumeRole"])
    world.aws.create_role(FOREIGN, trust(USER, external_id="acme/42"))
    failure = refused(world, keys, RoleLink(FOREIGN, external_id))
    assert (HopName.STS, "AssumeRoleRefused", True) == (failure.hop, failure.code, failure.eventual)
    assert f"User: {USER} is not authorized to perform: sts:AssumeRole on resource: {FOREIGN}" in (
        failure.message
    )


def test_the_link_that_failed_is_named(world: World) -> None:
    world.aws.create_role(HOP, trust(ROLE))
    failure = refused(world, WEB_IDENTITY, RoleLink(HOP), RoleLink(TARGET))
    assert failure.code == "AssumeRoleRefused"
    assert failure.message.startswith(f"role 2 of 2, {TARGET}: AccessDenied: User: arn:aws:sts::")


@pytest.mark.parametrize(
    ("change", "aws_code"),
    [
        ({"access_key_id": "AKIANOBODY"}, "InvalidClientTokenId"),
        ({"secret_access_key": "wrong-secret"}, "SignatureDoesNotMatch"),
        ({"session_token": "made-up-token"}, "InvalidClientTokenId"),
    ],
)
@pytest.mark.parametrize("roles", [(), (RoleLink(HOP),)])
def test_keys_that_aws_does_not_take_are_refused_and_never_repeated(
    world: World, change: dict[str, str], aws_code: str, roles: Sequence[RoleLink]
) -> None:
    keys = replace(keys_of(world), **change)
    world.aws.create_role(HOP, trust(USER))
    failure = refused(world, keys, *roles)
    assert failure.code == "KeysRefused"
    assert (HopName.STS if roles else HopName.ECR) is failure.hop
    if roles:
        assert aws_code in failure.message
    for secret in (keys.access_key_id, keys.secret_access_key, keys.session_token):
        assert secret is None or secret not in f"{failure!r} {failure} {keys!r}"


def test_a_session_token_that_has_run_out_is_refused(world: World) -> None:
    old = open_session(world, WEB_IDENTITY)
    world.time = START + timedelta(hours=2)
    keys = AccessKeys(old.access_key_id, old.secret_access_key, old.session_token)
    assert refused(world, keys).code == "KeysRefused"


def test_keys_that_were_deleted_are_refused(world: World) -> None:
    keys = keys_of(world)
    world.aws.delete_access_key(keys.access_key_id)
    assert refused(world, keys).code == "KeysRefused"


@pytest.mark.parametrize("ahead", [timedelta(minutes=10), timedelta(minutes=-10)])
@pytest.mark.parametrize("roles", [(), (RoleLink(HOP),)])
def test_a_clock_that_is_off_is_not_the_keys_fault(
    world: World, ahead: timedelta, roles: Sequence[RoleLink]
) -> None:
    keys = keys_of(world)
    world.aws.set_skew(ahead)
    failure = refused(world, keys, *roles)
    assert failure.code == "TokenExpired"
    assert "Signature" in failure.message


def test_a_user_without_the_right_is_denied_not_its_keys(world: World) -> None:
    failure = refused(world, keys_of(world, allow=[]))
    assert failure.code == "EcrAccessDenied"
    assert f"User: {USER} is not authorized" in failure.message


@pytest.mark.parametrize(
    ("breaks", "code", "transient"),
    [
        (lambda world: world.aws.fail_next("AssumeRole", "Throttling", "Rate exceeded"), "StsRefused", True),
        (
            lambda world: world.aws.fail_next("AssumeRole", "InternalFailure", "oops", status=500),
            "StsUnreachable",
            True,
        ),
        (lambda world: world.aws.hang_up_next("AssumeRole"), "StsUnreachable", True),
        (lambda world: world.aws.set_down("sts"), "StsUnreachable", True),
        (
            lambda world: world.aws.fail_next("AssumeRole", "RegionDisabledException", "off", status=403),
            "StsRegionDisabled",
            False,
        ),
        (
            lambda world: world.aws.fail_next("AssumeRole", "PackedPolicyTooLarge", "too large"),
            "AssumeRoleRefused",
            False,
        ),
    ],
)
def test_what_goes_wrong_at_a_link_is_told_apart(
    world: World, breaks: Callable[[World], None], code: str, *, transient: bool
) -> None:
    keys = keys_of(world)
    world.aws.create_role(HOP, trust(USER))
    breaks(world)
    failure = refused(world, keys, RoleLink(HOP))
    assert (HopName.STS, code, transient) == (failure.hop, failure.code, failure.transient)


def test_a_cut_connection_is_tried_again(world: World) -> None:
    keys = keys_of(world)
    world.aws.hang_up_next("GetAuthorizationToken")
    assert USER == principal(world, fetch(world, keys, attempts=2))


def test_a_session_that_ran_out_before_its_link_is_opened_anew(world: World) -> None:
    world.aws.create_role(HOP, trust(ROLE))
    world.aws.fail_next("AssumeRole", "ExpiredToken", "the token is expired", status=403)
    failure = refused(world, WEB_IDENTITY, RoleLink(HOP))
    assert ("AssumeRoleRefused", True) == (failure.code, failure.transient)


def _no_instance_role(world: World) -> None:
    world.aws.set_instance_role(None)


def _role_without_trust(world: World) -> None:
    world.aws.create_role(INSTANCE, trust(ROLE))


@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        (_no_instance_role, "the instance has no role"),
        (_role_without_trust, "AssumeRoleUnauthorizedAccess: EC2 cannot assume the role node"),
        (lambda world: world.aws.set_down("metadata"), "answered 503"),
        (lambda world: world.aws.fail_next("MetadataToken", "", "Forbidden", status=403), "answered 403"),
        (lambda world: world.aws.hang_up_next("MetadataRole"), "Connection aborted"),
    ],
)
def test_metadata_that_gives_no_credentials_says_why(
    world: World, breaks: Callable[[World], None], words: str
) -> None:
    world.aws.create_role(INSTANCE, {"Statement": [EC2_TRUST]})
    world.aws.set_instance_role(INSTANCE)
    breaks(world)
    failure = refused(world, InstanceMetadata())
    assert (HopName.STS, "MetadataUnavailable", True) == (failure.hop, failure.code, failure.transient)
    assert words in failure.message


def test_nobody_at_the_metadata_address_speaks_of_the_hop_limit(world: World) -> None:
    endpoints = replace(world.endpoints, metadata="http://127.0.0.1:1")
    with pytest.raises(AwsFailure, match=r"MetadataUnavailable: .*hop limit of 2"):
        open_session(world, InstanceMetadata(), endpoints=endpoints)


@pytest.mark.parametrize("document", ["no json", "[]", '{"Code": "Success", "SecretAccessKey": "hunter2"}'])
def test_an_answer_of_metadata_without_credentials_is_never_repeated(world: World, document: str) -> None:
    @Request.application
    def instance(request: Request) -> Response:
        return Response(document if request.path.endswith("/node") else "node")

    with served(instance) as url, pytest.raises(AwsFailure, match="holds no credentials") as failed:
        open_session(world, InstanceMetadata(), endpoints=AwsEndpoints(metadata=url))
    assert "hunter2" not in str(failed.value)


def test_the_environment_has_no_say_in_where_metadata_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.aws.create_role(INSTANCE, {"Statement": [EC2_TRUST]})
    world.aws.set_instance_role(INSTANCE)
    for name in ("http_proxy", "HTTP_PROXY", "AWS_EC2_METADATA_SERVICE_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert open_session(world, InstanceMetadata()).session_token


@pytest.mark.parametrize("kind", ["token", "keys"])
def test_ecr_public_gives_a_login_from_us_east_1(world: World, kind: str) -> None:
    allow = ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"]
    world.aws.create_role(ROLE, world.trust_policy(), allow=allow)
    source: Source = WEB_IDENTITY if kind == "token" else keys_of(world, allow=allow)
    credential = fetch(world, source, region=PUBLIC)
    issued = world.aws.password_is_valid(credential.password)
    assert issued is not None
    assert (PUBLIC, PUBLIC) == (credential.region, issued.region)
    assert START + timedelta(hours=12) == credential.expires_at


@pytest.mark.parametrize("missing", ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"])
def test_ecr_public_needs_both_of_its_permissions(world: World, missing: str) -> None:
    allow = {"ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken", "ecr:*"} - {missing}
    world.aws.create_role(ROLE, world.trust_policy(), allow=sorted(allow))
    failure = refused(world, WEB_IDENTITY, region=PUBLIC)
    assert (HopName.ECR, "PublicRefused", True) == (failure.hop, failure.code, failure.eventual)
    assert f"is not authorized to perform: {missing}" in failure.message


@pytest.mark.parametrize(
    ("breaks", "code"),
    [
        (lambda world: world.aws.set_down("ecr-public"), "EcrUnreachable"),
        (
            lambda world: world.aws.fail_next(
                "ecr-public:GetAuthorizationToken", "ThrottlingException", "Rate exceeded"
            ),
            "EcrRefused",
        ),
    ],
)
def test_ecr_public_fails_like_ecr(world: World, breaks: Callable[[World], None], code: str) -> None:
    breaks(world)
    failure = refused(world, WEB_IDENTITY, region=PUBLIC)
    assert (code, True) == (failure.code, failure.transient)


def test_wrong_keys_are_wrong_at_ecr_public_too(world: World) -> None:
    keys = replace(keys_of(world), secret_access_key="wrong-secret")
    assert refused(world, keys, region=PUBLIC).code == "KeysRefused"


@given(
    source=st.sampled_from([WEB_IDENTITY, AccessKeys("a", "b"), InstanceMetadata()]),
    roles=st.lists(st.builds(RoleLink, st.sampled_from([HOP, TARGET])), max_size=3),
)
def test_the_first_hops_are_those_that_are_walked(source: Source, roles: list[RoleLink]) -> None:
    hops = sessions.hops(source, roles)
    assert isinstance(source, WebIdentity) == (HopName.TOKEN in hops)
    assert (not isinstance(source, AccessKeys) or bool(roles)) == (HopName.STS in hops)
    assert sorted(hops, key=list(HopName).index) == list(hops)


def test_a_web_identity_without_a_token_to_read_is_a_mistake(world: World) -> None:
    with pytest.raises(ValueError, match="needs a token"):
        sessions.session(WEB_IDENTITY, session_name="acme-demo", region=REGION, endpoints=world.endpoints)


def test_boto_is_not_loaded_before_aws_is_asked() -> None:
    program = "import sys, json, aws.sessions, aws.ecr, aws.chain; print(json.dumps(sorted(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"boto3", "botocore"}.isdisjoint(json.loads(said.stdout))


def test_keys_have_no_end_and_are_known_as_given(world: World) -> None:
    found = open_session(world, keys_of(world))
    assert found.expires_at is None
    assert found.are_given


def test_a_role_on_top_of_keys_is_not_given(world: World) -> None:
    keys = keys_of(world)
    world.aws.create_role(HOP, trust(USER))
    found = open_session(world, keys, RoleLink(HOP))
    assert START + timedelta(hours=1) == found.expires_at
    assert not found.are_given
