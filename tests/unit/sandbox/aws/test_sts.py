"""The sandbox's STS: every rule of web identity, over HTTP as AWS speaks it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from werkzeug.test import Client

from sandbox.aws.tokens import PublishedIssuer
from tests.support.aws import ACCOUNT, AUDIENCE, ISSUER, ROLE, START, SUBJECT, AwsUnderTest, Issuer

NAMESPACE = "{https://sts.amazonaws.com/doc/2011-06-15/}"
NO_KEY = "Couldn't retrieve verification key from your identity provider"

World = AwsUnderTest


@pytest.fixture
def world() -> World:
    return AwsUnderTest()


def call(world: World, **form: str) -> dict[str, str]:
    """The leaves of the XML answer by name, and its status under `status`."""
    defaults = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": ROLE,
        "RoleSessionName": "acme-demo",
        "WebIdentityToken": world.issuer.token(),
    }
    answer = Client(world.aws.wsgi_app).post("/sts/", data=defaults | form)
    leaves = {
        element.tag.removeprefix(NAMESPACE): element.text or ""
        for element in ET.fromstring(answer.text).iter()  # noqa: S314 - our own answer
    }
    return leaves | {"status": str(answer.status_code)}


def refusal(world: World, **form: str) -> tuple[str, str]:
    answer = call(world, **form)
    return answer["Code"], answer["Message"]


def with_claims(world: World, **claims: Any) -> tuple[str, str]:
    return refusal(world, WebIdentityToken=world.issuer.token(**claims))


def test_a_good_token_gives_credentials_for_an_hour(world: World) -> None:
    answer = call(world)
    expected = {
        "status": "200",
        "SubjectFromWebIdentityToken": SUBJECT,
        "Audience": AUDIENCE,
        "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/pull/acme-demo",
        "Provider": f"arn:aws:iam::{ACCOUNT}:oidc-provider/pullpass.acme.com/oidc/1",
        "Expiration": "2026-11-22T07:00:00Z",
    }
    assert expected == {name: answer[name] for name in expected}
    assert answer["AccessKeyId"].startswith("ASIA")


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "iat", "exp"])
def test_a_token_needs_every_claim(world: World, claim: str) -> None:
    assert ("InvalidIdentityToken", f"Missing a required claim: {claim}") == with_claims(
        world, **{claim: None}
    )


@pytest.mark.parametrize("claim", ["iat", "exp", "nbf"])
def test_times_are_integers(world: World, claim: str) -> None:
    assert ("InvalidIdentityToken", f"Claim {claim} must be an integer") == with_claims(
        world, **{claim: START.timestamp() + 0.5}
    )


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJhbGciOiJSUzI1NiJ9.x.y"])
def test_what_is_no_token_is_refused_as_such(world: World, token: str) -> None:
    code, message = refusal(world, WebIdentityToken=token)
    assert code == "InvalidIdentityToken"
    assert message.startswith("The ID Token provided is not a valid JWT.")


def test_a_token_may_have_twenty_thousand_characters(world: World) -> None:
    code, message = with_claims(world, padding="x" * 20_000)
    assert code == "ValidationError"
    assert "less than or equal to 20000" in message


@pytest.mark.parametrize(
    ("seconds", "accepted"), [(3600 + 299, True), (3600 + 300, False), (-299, True), (-301, False)]
)
def test_five_minutes_of_skew_are_let_pass(world: World, seconds: int, accepted: bool) -> None:
    world.time = START + timedelta(seconds=seconds)
    assert accepted == (call(world)["status"] == "200")


def test_a_clock_that_is_behind_and_one_that_is_ahead_are_told_apart(world: World) -> None:
    token = world.issuer.token()
    world.time = START + timedelta(hours=2)
    behind = refusal(world, WebIdentityToken=token)[0]
    world.time = START - timedelta(hours=2)
    ahead = refusal(world, WebIdentityToken=token)[0]
    assert ("ExpiredTokenException", "InvalidIdentityToken") == (behind, ahead)


def test_not_before_is_honoured(world: World) -> None:
    code, message = with_claims(world, nbf=int(START.timestamp()) + 301)
    assert code == "InvalidIdentityToken"
    assert message.startswith("Token is not yet valid")


def test_the_provider_is_looked_up_in_the_account_of_the_role(world: World) -> None:
    other = "210987654321"
    world.aws.create_role(f"arn:aws:iam::{other}:role/pull", world.trust_policy())
    assert (
        "InvalidIdentityToken",
        f"No OpenIDConnect provider found in your account for {ISSUER}",
    ) == refusal(world, RoleArn=f"arn:aws:iam::{other}:role/pull")


@pytest.mark.parametrize("issuer", [f"{ISSUER}/", ISSUER.replace("pullpass", "Pullpass")])
def test_the_issuer_is_compared_exactly(world: World, issuer: str) -> None:
    assert (
        f"No OpenIDConnect provider found in your account for {issuer}" == with_claims(world, iss=issuer)[1]
    )


def test_the_audience_is_one_of_the_providers(world: World) -> None:
    assert ("InvalidIdentityToken", "Incorrect token audience") == with_claims(world, aud="other")


def test_one_audience_in_a_list_is_one_audience(world: World) -> None:
    assert call(world, WebIdentityToken=world.issuer.token(aud=[AUDIENCE]))["status"] == "200"


def test_several_audiences_are_refused(world: World) -> None:
    assert with_claims(world, aud=[AUDIENCE, "other"])[1].startswith(
        "Token audience contains more than one audience"
    )


def test_the_authorized_party_is_the_audience_where_there_is_one(world: World) -> None:
    assert call(world, WebIdentityToken=world.issuer.token(aud=["a", "b"], azp=AUDIENCE))["status"] == "200"
    assert with_claims(world, azp="other")[1] == "Incorrect token audience"


@pytest.mark.parametrize(
    "keys",
    [
        lambda _: [],
        lambda issuer: [issuer.public_key(kid="two")],
        lambda issuer: [issuer.public_key(key_ops=["verify"])],
        lambda issuer: [issuer.public_key(use="enc")],
        lambda issuer: [issuer.public_key(n="")],
        lambda issuer: [issuer.public_key()] + [issuer.public_key(kid=str(number)) for number in range(100)],
    ],
    ids=["none", "other-id", "key-ops", "encryption", "broken", "too-many"],
)
def test_a_key_that_cannot_be_used_is_not_retrieved(
    world: World, keys: Callable[[Issuer], list[dict[str, Any]]]
) -> None:
    world.issuer.published = PublishedIssuer({"issuer": ISSUER}, {"keys": keys(world.issuer)})
    code, message = refusal(world)
    assert code == "InvalidIdentityToken"
    assert message.startswith(NO_KEY)


def test_a_hundred_keys_of_a_type_are_not_too_many(world: World) -> None:
    keys = [world.issuer.public_key()] + [world.issuer.public_key(kid=str(number)) for number in range(99)]
    world.issuer.published = PublishedIssuer({"issuer": ISSUER}, {"keys": keys})
    assert call(world)["status"] == "200"


def test_a_token_without_key_id_has_no_key(world: World) -> None:
    token = world.issuer.token(headers={})
    assert refusal(world, WebIdentityToken=token)[1].startswith(NO_KEY)


def test_discovery_has_to_name_the_issuer(world: World) -> None:
    world.issuer.published = PublishedIssuer(
        {"issuer": "https://other"}, {"keys": [world.issuer.public_key()]}
    )
    assert refusal(world)[1].startswith(NO_KEY)


def test_a_token_signed_with_another_key_is_refused(world: World) -> None:
    stranger = Issuer(key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    assert (
        refusal(world, WebIdentityToken=stranger.token())[1] == "The signature of the ID Token is not valid"
    )


def test_an_algorithm_without_a_key_pair_is_refused(world: World) -> None:
    claims = jwt.decode(world.issuer.token(), options={"verify_signature": False})
    token = jwt.encode(claims, "0" * 32, algorithm="HS256", headers={"kid": "one"})
    assert refusal(world, WebIdentityToken=token)[1] == "Unsupported signature algorithm HS256"


@pytest.mark.parametrize(
    ("cache_control", "kept"),
    [
        ("public, max-age=3600", True),
        ("", True),
        ("no-cache", False),
        ("max-age=0", False),
        ("no-store", False),
    ],
)
def test_keys_are_kept_as_the_issuer_says(world: World, cache_control: str, kept: bool) -> None:
    world.issuer.published = PublishedIssuer(
        {"issuer": ISSUER}, {"keys": [world.issuer.public_key()]}, cache_control
    )
    call(world)
    world.issuer.published = None
    world.time = START + timedelta(minutes=30)
    assert kept == (call(world)["status"] == "200")


def test_keys_are_fetched_again_when_they_are_too_old(world: World) -> None:
    call(world)
    world.issuer.published = None
    world.time = START + timedelta(hours=1)
    assert refusal(world)[1].startswith(NO_KEY)


def test_keys_can_be_forgotten(world: World) -> None:
    call(world)
    world.issuer.published = None
    world.aws.forget_keys()
    assert refusal(world)[1].startswith(NO_KEY)


def test_a_role_that_is_missing_is_refused_like_one_that_does_not_trust(world: World) -> None:
    missing = refusal(world, RoleArn=f"arn:aws:iam::{ACCOUNT}:role/missing")
    world.aws.create_role(ROLE, world.trust_policy(subject="other"))
    assert ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity") == missing
    assert missing == refusal(world)


@pytest.mark.parametrize("arn", ["", "pull", f"arn:aws:iam::{ACCOUNT}:user/pull", "arn:aws:iam::1:role/pull"])
def test_a_role_has_an_arn(world: World, arn: str) -> None:
    assert ("ValidationError", "Request ARN is invalid") == refusal(world, RoleArn=arn)


@pytest.mark.parametrize("name", ["", "x", "a b", "x" * 65])
def test_a_session_has_a_name(world: World, name: str) -> None:
    assert refusal(world, RoleSessionName=name)[0] == "ValidationError"


@pytest.mark.parametrize(
    ("seconds", "accepted"), [("899", False), ("900", True), ("3600", True), ("3601", False)]
)
def test_a_session_lasts_as_long_as_the_role_lets_it(world: World, seconds: str, accepted: bool) -> None:
    assert accepted == (call(world, DurationSeconds=seconds)["status"] == "200")


def test_a_region_may_be_shut(world: World) -> None:
    world.aws.disable_region("us-east-1")
    assert ("RegionDisabledException", "403") == (call(world)["Code"], call(world)["status"])


def test_other_actions_are_not_served(world: World) -> None:
    assert refusal(world, Action="GetCallerIdentity")[0] == "InvalidAction"


def test_every_call_counts_the_refused_ones_too(world: World) -> None:
    call(world)
    call(world, RoleArn="")
    assert {"AssumeRoleWithWebIdentity": 2} == world.aws.calls


def test_a_fault_is_given_as_often_as_asked_for(world: World) -> None:
    world.aws.fail_next("AssumeRoleWithWebIdentity", "IDPCommunicationError", "no <answer>", times=2)
    answers = [refusal(world), refusal(world), call(world)["status"]]
    assert [("IDPCommunicationError", "no <answer>")] * 2 + ["200"] == answers


def test_a_service_that_is_down_answers_nothing_else(world: World) -> None:
    world.aws.set_down("sts")
    assert Client(world.aws.wsgi_app).post("/sts/").status_code == 503
    world.aws.set_down("sts", down=False)
    assert call(world)["status"] == "200"
