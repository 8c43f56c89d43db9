"""The walk over real HTTP: what it gives, and the issue code of everything that may go wrong on its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from aws import chain, ecr, registry, sessions
from aws.chain import Walk
from aws.credentials import AwsEndpoints
from aws.hops import Hop, HopName
from aws.identities import AccessKeys, InstanceMetadata, RoleLink, WebIdentity
from aws.registry_hosts import PUBLIC, PUBLIC_HOSTS
from aws.sessions import Source
from tests.support.aws import ACCOUNT, AUDIENCE, ISSUER, REGION, REGISTRY, ROLE, START, AwsUnderTest

IMAGE = f"{REGISTRY}/team/app:1.0"
WEB_IDENTITY = WebIdentity(ROLE, AUDIENCE)
NOWHERE = "http://127.0.0.1:1"

World = AwsUnderTest


def walk(
    world: World,
    *,
    source: Source = WEB_IDENTITY,
    roles: tuple[RoleLink, ...] = (),
    token: str | None = None,
    read_token: Callable[[], str] | None = None,
    registries: tuple[str, ...] = (REGISTRY,),
    image: str | None = IMAGE,
    endpoints: AwsEndpoints | None = None,
    attempts: int = 1,
) -> Walk:
    where = endpoints or world.endpoints
    return chain.walk(
        first_hops=sessions.hops(source, roles),
        open_session=partial(
            sessions.session,
            source,
            roles,
            read_token=read_token or (lambda: world.issuer.token() if token is None else token),
            session_name="acme-demo",
            region=REGION,
            endpoints=where,
            attempts=attempts,
        ),
        registries=registries,
        image=image,
        authorize=partial(ecr.authorization_token, endpoints=where, now=world.time, attempts=attempts),
        check=partial(registry.check, endpoints=where),
    )


def test_a_walk_that_succeeds_passes_every_hop(world: World) -> None:
    expected = tuple(Hop(name, succeeded=True) for name in HopName)
    result = walk(world)
    assert expected == result.hops
    assert result.succeeded


def test_a_walk_gives_the_credential_of_the_region(world: World) -> None:
    credential = walk(world).credentials[REGION]
    assert ("AWS", REGION, START, START + timedelta(hours=12)) == (
        credential.username,
        credential.region,
        credential.issued_at,
        credential.expires_at,
    )
    assert world.aws.password_is_valid(credential.password) is not None


def test_one_call_serves_all_registries_of_a_region(world: World) -> None:
    walk(world, registries=(REGISTRY, REGISTRY.replace(ACCOUNT, "210987654321")), image=None)
    assert world.aws.calls == {"AssumeRoleWithWebIdentity": 1, "GetAuthorizationToken": 1}


def test_each_region_has_its_own_call(world: World) -> None:
    result = walk(world, registries=(REGISTRY, REGISTRY.replace(REGION, "us-east-1")))
    assert {REGION, "us-east-1"} == set(result.credentials)
    assert world.aws.calls == {"AssumeRoleWithWebIdentity": 1, "GetAuthorizationToken": 2}
    assert result.succeeded


def test_the_image_adds_its_registry(world: World) -> None:
    result = walk(world, registries=(REGISTRY.replace(REGION, "us-east-1"),), image=IMAGE)
    assert {REGION, "us-east-1"} == set(result.credentials)


def test_without_an_image_only_the_base_is_asked_for(world: World) -> None:
    walk(world, image=None)
    assert world.registry.calls == {"GET base": 1}


def test_an_image_is_asked_for_without_its_body(world: World) -> None:
    walk(world)
    assert world.registry.calls == {"HEAD manifests": 1}


def _no_provider(world: World) -> None:
    world.aws.restore({"iam": {"providers": {}, "roles": []}, "sessions": [], "passwords": {}})


def _provider_in_another_account(world: World) -> None:
    _no_provider(world)
    world.aws.create_oidc_provider("210987654321", ISSUER, [AUDIENCE])


def _provider_with_a_slash_more(world: World) -> None:
    _no_provider(world)
    world.aws.create_oidc_provider(ACCOUNT, f"{ISSUER}/", [AUDIENCE])


def _provider_without_the_audience(world: World) -> None:
    world.aws.create_oidc_provider(ACCOUNT, ISSUER, ["other"])


def _issuer_not_public(world: World) -> None:
    world.issuer.published = None


def _key_not_published(world: World) -> None:
    assert world.issuer.published is not None
    world.issuer.published = replace(
        world.issuer.published, jwks={"keys": [world.issuer.public_key(kid="two")]}
    )


def _policy_of_another_subject(world: World) -> None:
    world.aws.create_role(ROLE, world.trust_policy(subject="system:serviceaccount:default:other"))


def _policy_of_another_audience(world: World) -> None:
    world.aws.create_role(ROLE, world.trust_policy(audience="other"))


def _no_role(world: World) -> None:
    _no_provider(world)
    world.aws.create_oidc_provider(ACCOUNT, ISSUER, [AUDIENCE])


def _clock_of_aws_ahead(world: World) -> None:
    world.time = START + timedelta(hours=2)


def _clock_of_aws_behind(world: World) -> None:
    world.time = START - timedelta(minutes=6)


def _sts_says(code: str, message: str, status: int) -> Callable[[World], None]:
    return lambda world: world.aws.fail_next("AssumeRoleWithWebIdentity", code, message, status=status)


STS_FAILURES = [
    (_no_provider, "OidcProviderMissing", "No OpenIDConnect provider found in your account", False, True),
    (_provider_in_another_account, "OidcProviderMissing", ISSUER, False, True),
    (_provider_with_a_slash_more, "OidcProviderMissing", ISSUER, False, True),
    (_provider_without_the_audience, "AudienceNotAllowed", "Incorrect token audience", False, True),
    (_issuer_not_public, "VerificationKeyUnavailable", "Couldn't retrieve verification key", True, False),
    (_key_not_published, "VerificationKeyUnavailable", "Couldn't retrieve verification key", True, False),
    (_policy_of_another_subject, "TrustPolicyMismatch", "Not authorized to perform", False, True),
    (_policy_of_another_audience, "TrustPolicyMismatch", "Not authorized to perform", False, True),
    (_no_role, "TrustPolicyMismatch", "sts:AssumeRoleWithWebIdentity", False, True),
    (_clock_of_aws_ahead, "TokenExpired", "Token expired", False, False),
    (_clock_of_aws_behind, "TokenExpired", "not yet valid", False, False),
    (
        _sts_says("IDPCommunicationError", "identity provider didn't respond", 400),
        "IdentityProviderUnreachable",
        "identity provider didn't respond",
        True,
        False,
    ),
    (
        _sts_says("IDPRejectedClaim", "the claim was revoked", 403),
        "ClaimRejected",
        "the claim was revoked",
        False,
        False,
    ),
    (
        _sts_says("AccessDenied", "an explicit deny in a policy", 403),
        "StsRefused",
        "explicit deny",
        False,
        False,
    ),
    (_sts_says("Throttling", "Rate exceeded", 400), "StsRefused", "Rate exceeded", True, False),
    (_sts_says("ServiceUnavailable", "try again", 503), "StsUnreachable", "try again", True, False),
    (lambda world: world.aws.set_down("sts"), "StsUnreachable", "Service Unavailable", True, False),
]


@pytest.mark.parametrize(
    ("breaks", "code", "words", "transient", "eventual"),
    STS_FAILURES,
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_sts_refuses_is_named_in_its_words(
    *, world: World, breaks: Callable[[World], None], code: str, words: str, transient: bool, eventual: bool
) -> None:
    breaks(world)
    (failure,) = walk(world).failures
    assert (HopName.STS, code, transient, eventual) == (
        failure.hop,
        failure.code,
        failure.transient,
        failure.eventual,
    )
    assert words in failure.message


def test_several_audiences_are_ambiguous(world: World) -> None:
    (failure,) = walk(world, token=world.issuer.token(aud=[AUDIENCE, "other"])).failures
    assert failure.code == "AudienceAmbiguous"


def test_a_region_where_sts_is_off_is_named(world: World) -> None:
    world.aws.disable_region("ap-east-1")
    endpoints = replace(world.endpoints, sts=f"{world.url}/sts/ap-east-1")
    (failure,) = walk(world, endpoints=endpoints).failures
    assert failure.code == "StsRegionDisabled"


def test_a_failure_of_sts_ends_the_walk_there(world: World) -> None:
    _no_provider(world)
    result = walk(world)
    assert [(hop.name, hop.succeeded) for hop in result.hops] == [(HopName.TOKEN, True), (HopName.STS, False)]
    assert not result.credentials


def test_a_token_that_aws_cannot_read_is_never_repeated(world: World) -> None:
    token = "eyJhbGciOiJub25lIn0.c2VjcmV0LXNlY3JldA.x"
    world.aws.fail_next("AssumeRoleWithWebIdentity", "InvalidIdentityToken", f"cannot read {token}")
    (failure,) = walk(world, token=token).failures
    assert failure.message == "InvalidIdentityToken: cannot read ***"


def test_an_idp_that_stays_silent_is_asked_again_before_it_is_reported(world: World) -> None:
    world.aws.fail_next("AssumeRoleWithWebIdentity", "IDPCommunicationError", "no answer", times=1)
    assert walk(world, attempts=2).succeeded


def _may_not_fetch_tokens(world: World) -> None:
    world.aws.create_role(ROLE, world.trust_policy(), allow=["ecr:BatchGetImage"])


def _ecr_says(code: str, message: str, status: int = 400) -> Callable[[World], None]:
    return lambda world: world.aws.fail_next("GetAuthorizationToken", code, message, status=status)


@pytest.mark.parametrize(
    ("breaks", "code", "words", "transient"),
    [
        (
            _may_not_fetch_tokens,
            "EcrAccessDenied",
            "not authorized to perform: ecr:GetAuthorizationToken",
            False,
        ),
        (_ecr_says("ExpiredTokenException", "expired"), "EcrRefused", "expired", True),
        (_ecr_says("UnrecognizedClientException", "token is invalid"), "EcrRefused", "is invalid", False),
        (_ecr_says("ThrottlingException", "Rate exceeded"), "EcrRefused", "Rate exceeded", True),
        (_ecr_says("ServerException", "oops", 500), "EcrUnreachable", "oops", True),
        (lambda world: world.aws.set_down("ecr"), "EcrUnreachable", "503", True),
    ],
)
def test_what_ecr_refuses_is_named_in_its_words(
    *, world: World, breaks: Callable[[World], None], code: str, words: str, transient: bool
) -> None:
    breaks(world)
    result = walk(world)
    (failure,) = result.failures
    assert (HopName.ECR, code, transient) == (failure.hop, failure.code, failure.transient)
    assert words in failure.message
    assert HopName.ECR is result.hops[-1].name


def test_a_region_that_fails_keeps_no_other_from_its_credential(world: World) -> None:
    _ecr_says("ServerException", "oops", 500)(world)
    result = walk(world, registries=(REGISTRY.replace(REGION, "us-east-1"), REGISTRY))
    assert {REGION} == set(result.credentials)
    assert [(hop.name, hop.succeeded) for hop in result.hops[2:]] == [
        (HopName.ECR, False),
        (HopName.REGISTRY, True),
    ]


def _may_not_pull(world: World) -> None:
    world.aws.create_role(ROLE, world.trust_policy(), allow=["ecr:GetAuthorizationToken"])


@pytest.mark.parametrize(
    ("breaks", "image", "code", "words"),
    [
        (_may_not_pull, IMAGE, "RegistryAccessDenied", "not authorized to perform: ecr:BatchGetImage"),
        (
            None,
            IMAGE.replace(ACCOUNT, "210987654321"),
            "RegistryAccessDenied",
            "no resource-based policy allows the ecr:BatchGetImage action",
        ),
        (None, f"{REGISTRY}/team/app:2.0", "ImageNotFound", "Requested image not found"),
        (
            None,
            f"{REGISTRY}/team/other:1.0",
            "ImageNotFound",
            "repository with name 'team/other' does not exist",
        ),
        (lambda world: world.registry.set_down(), IMAGE, "RegistryUnreachable", "503"),
    ],
)
def test_what_the_registry_refuses_is_named_in_its_words(
    world: World, breaks: Callable[[World], None] | None, image: str, code: str, words: str
) -> None:
    if breaks is not None:
        breaks(world)
    result = walk(world, image=image)
    (failure,) = result.failures
    assert (HopName.REGISTRY, code) == (failure.hop, failure.code)
    assert words in failure.message
    assert {REGION} == set(result.credentials)


@pytest.mark.parametrize(
    ("service", "code"),
    [("sts", "StsUnreachable"), ("ecr", "EcrUnreachable"), ("registry", "RegistryUnreachable")],
)
def test_nobody_listening_is_unreachable(world: World, service: str, code: str) -> None:
    (failure,) = walk(world, endpoints=replace(world.endpoints, **{service: NOWHERE})).failures
    assert (code, True) == (failure.code, failure.transient)


def _unreadable() -> str:
    raise FileNotFoundError(2, "No such file or directory", "/var/run/token")


@pytest.mark.parametrize(
    ("read_token", "words"), [(_unreadable, "/var/run/token"), (lambda: " \n", "the token file is empty")]
)
def test_a_token_that_cannot_be_read_is_the_first_hop(
    world: World, read_token: Callable[[], str], words: str
) -> None:
    (hop,) = walk(world, read_token=read_token).hops
    assert (hop.name, hop.succeeded, hop.code) == (HopName.TOKEN, False, "TokenUnreadable")
    assert words in hop.message
    assert not world.aws.calls


@pytest.mark.parametrize(
    ("registries", "image"), [((), None), (("docker.io",), None), ((REGISTRY,), "docker.io/nginx")]
)
def test_a_walk_to_no_ecr_registry_is_a_mistake(
    world: World, registries: tuple[str, ...], image: str | None
) -> None:
    with pytest.raises(ValueError, match="registry"):
        walk(world, registries=registries, image=image)


USER = f"arn:aws:iam::{ACCOUNT}:user/old-tool"
HOP = f"arn:aws:iam::{ACCOUNT}:role/hop"
PUBLIC_IMAGE = "public.ecr.aws/acme/app:1.0"
PUBLIC_ALLOWED = ["ecr:*", "ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"]


def keys_of(world: World) -> AccessKeys:
    world.aws.create_user(USER)
    pair = world.aws.create_access_key(USER)
    return AccessKeys(pair.access_key_id, pair.secret_access_key)


def names(result: Walk) -> list[tuple[HopName, bool]]:
    return [(hop.name, hop.succeeded) for hop in result.hops]


def test_bare_keys_begin_with_ecr(world: World) -> None:
    result = walk(world, source=keys_of(world))
    assert [(HopName.ECR, True), (HopName.REGISTRY, True)] == names(result)


def test_keys_with_a_role_on_top_begin_with_sts(world: World) -> None:
    statement = {"Effect": "Allow", "Principal": {"AWS": USER}, "Action": "sts:AssumeRole"}
    world.aws.create_role(HOP, {"Statement": [statement]})
    result = walk(world, source=keys_of(world), roles=(RoleLink(HOP),))
    assert [(HopName.STS, True), (HopName.ECR, True), (HopName.REGISTRY, True)] == names(result)


def test_an_instance_without_a_role_ends_at_sts(world: World) -> None:
    result = walk(world, source=InstanceMetadata())
    assert [(HopName.STS, False)] == names(result)
    assert ["MetadataUnavailable"] == [failure.code for failure in result.failures]


def test_a_link_that_fails_has_passed_the_token(world: World) -> None:
    result = walk(world, roles=(RoleLink(HOP),))
    assert [(HopName.TOKEN, True), (HopName.STS, False)] == names(result)


def test_private_registries_and_ecr_public_share_one_session(world: World) -> None:
    world.aws.create_role(ROLE, world.trust_policy(), allow=PUBLIC_ALLOWED)
    result = walk(world, registries=(REGISTRY, *PUBLIC_HOSTS))
    assert result.succeeded
    assert {REGION, PUBLIC} == set(result.credentials)
    assert world.aws.calls == {
        "AssumeRoleWithWebIdentity": 1,
        "GetAuthorizationToken": 1,
        "ecr-public:GetAuthorizationToken": 1,
    }


def test_without_the_permissions_for_ecr_public_private_registries_still_open(world: World) -> None:
    result = walk(world, registries=(REGISTRY, "public.ecr.aws"))
    assert {REGION} == set(result.credentials)
    assert ["PublicRefused"] == [failure.code for failure in result.failures]


def test_an_image_of_ecr_public_is_asked_for_with_a_token(world: World) -> None:
    world.aws.create_role(ROLE, world.trust_policy(), allow=PUBLIC_ALLOWED)
    world.registry.add_image(PUBLIC_IMAGE)
    assert walk(world, registries=("public.ecr.aws",), image=PUBLIC_IMAGE).succeeded
    assert world.registry.calls == {"GET base": 1, "GET token": 1, "HEAD manifests": 1}


def test_an_image_that_ecr_public_does_not_have_is_missing(world: World) -> None:
    world.aws.create_role(ROLE, world.trust_policy(), allow=PUBLIC_ALLOWED)
    result = walk(world, registries=("public.ecr.aws",), image=PUBLIC_IMAGE)
    assert ["ImageNotFound"] == [failure.code for failure in result.failures]
