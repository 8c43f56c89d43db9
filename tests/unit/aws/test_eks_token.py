"""The token of EKS: the URL that botocore would presign, and what the sandbox's authenticator makes of it."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from aws import eks_token
from aws.credentials import SessionCredentials
from aws.eks_token import EksToken
from sandbox.aws.eks import EksCluster
from sandbox.aws.server import SandboxAws

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
ACCOUNT, REGION, CLUSTER = "210987654321", "eu-central-1", "prod"
USER = f"arn:aws:iam::{ACCOUNT}:user/alice"
SESSION = SessionCredentials("ASIAEXAMPLE", "s3cret/key+", "session/token+=", NOW + timedelta(hours=1))


def url_of(token: EksToken) -> str:
    encoded = token.text.removeprefix("k8s-aws-v1.")
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()


def signed_by_botocore(credentials: SessionCredentials, *, region: str, host: str) -> dict[str, str]:
    """The parameters of the same call, presigned by botocore at whatever time it is."""
    request = AWSRequest(
        "GET",
        f"https://{host}/?Action=GetCallerIdentity&Version=2011-06-15",
        headers={"x-k8s-aws-id": CLUSTER},
    )
    keys = Credentials(credentials.access_key_id, credentials.secret_access_key, credentials.session_token)
    SigV4QueryAuth(keys, "sts", region, expires=60).add_auth(request)
    return dict(parse_qsl(urlsplit(str(request.url)).query))


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "sts.eu-central-1.amazonaws.com"),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
    ],
)
@pytest.mark.parametrize("session_token", ["session/token+=", None])
def test_it_is_what_botocore_signs(region: str, host: str, session_token: str | None) -> None:
    credentials = replace(SESSION, session_token=session_token)
    expected = signed_by_botocore(credentials, region=region, host=host)
    at = datetime.strptime(expected["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    url = urlsplit(url_of(eks_token.presigned(credentials, cluster=CLUSTER, region=region, now=at)))
    assert (expected, host, "/") == (dict(parse_qsl(url.query)), url.netloc, url.path)


def test_it_lasts_a_quarter_of_an_hour_and_no_longer_than_its_session() -> None:
    def expiry(credentials: SessionCredentials) -> datetime:
        return eks_token.presigned(credentials, cluster=CLUSTER, region=REGION, now=NOW).expires_at

    assert expiry(SESSION) == NOW + timedelta(minutes=15)
    assert expiry(replace(SESSION, expires_at=NOW + timedelta(minutes=7))) == NOW + timedelta(minutes=7)
    assert expiry(replace(SESSION, expires_at=None)) == NOW + timedelta(minutes=15)


def test_it_is_not_shown() -> None:
    token = eks_token.presigned(SESSION, cluster=CLUSTER, region=REGION, now=NOW)
    assert token.text not in repr(token)


@given(
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60),
    session_token=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=300),
)
def test_it_has_no_padding_whatever_is_in_it(secret: str, session_token: str) -> None:
    credentials = replace(SESSION, secret_access_key=secret, session_token=session_token)
    token = eks_token.presigned(credentials, cluster=CLUSTER, region=REGION, now=NOW)
    assert "=" not in token.text
    assert ("X-Amz-Security-Token", session_token) in parse_qsl(urlsplit(url_of(token)).query)


class Authenticator:
    """One EKS cluster of the sandbox, into which alice may go."""

    def __init__(self) -> None:
        self.time = NOW
        self.aws = SandboxAws(resolver=lambda _: None, now=lambda: self.time)
        self.aws.create_user(USER)
        key = self.aws.create_access_key(USER)
        self.credentials = SessionCredentials(key.access_key_id, key.secret_access_key, None, None)
        described = EksCluster(ACCOUNT, REGION, CLUSTER, lambda: "", "", lambda: "")
        self.aws.add_eks_cluster(described)
        self.aws.create_access_entry(ACCOUNT, REGION, CLUSTER, USER, ["admins"])

    def token(self, **changes: Any) -> EksToken:
        wanted = {"cluster": CLUSTER, "region": REGION, "now": NOW, **changes}
        return eks_token.presigned(wanted.pop("credentials", self.credentials), **wanted)

    def user(self, text: str) -> tuple[str, tuple[str, ...]] | None:
        return self.aws.eks_user(text, ACCOUNT, REGION, CLUSTER)

    def user_by(self, url: str) -> tuple[str, tuple[str, ...]] | None:
        return self.user(f"k8s-aws-v1.{base64.urlsafe_b64encode(url.encode()).decode().rstrip('=')}")


@pytest.fixture
def authenticator() -> Authenticator:
    return Authenticator()


def test_the_cluster_knows_who_signed_by_the_access_entry(authenticator: Authenticator) -> None:
    assert authenticator.user(authenticator.token().text) == (USER, ("admins",))


def test_a_token_for_another_cluster_opens_nothing(authenticator: Authenticator) -> None:
    assert authenticator.user(authenticator.token(cluster="other").text) is None


def test_a_token_dies_after_a_quarter_of_an_hour(authenticator: Authenticator) -> None:
    token = authenticator.token()
    authenticator.time = token.expires_at - timedelta(seconds=1)
    assert authenticator.user(token.text) is not None
    authenticator.time = token.expires_at
    assert authenticator.user(token.text) is None


def test_another_secret_opens_nothing(authenticator: Authenticator) -> None:
    forged = replace(authenticator.credentials, secret_access_key="guessed")
    assert authenticator.user(authenticator.token(credentials=forged).text) is None


def test_who_has_no_access_entry_is_nobody(authenticator: Authenticator) -> None:
    bob = f"arn:aws:iam::{ACCOUNT}:user/bob"
    authenticator.aws.create_user(bob)
    key = authenticator.aws.create_access_key(bob)
    credentials = SessionCredentials(key.access_key_id, key.secret_access_key, None, None)
    assert authenticator.user(authenticator.token(credentials=credentials).text) is None


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("https://", "http://"),
        ("sts.eu-central-1.amazonaws.com", "evil.example.com"),
        ("sts.eu-central-1.amazonaws.com", "sts.eu-central-1.amazonaws.com.evil.example.com"),
        ("amazonaws.com/?", "amazonaws.com/elsewhere?"),
        ("Action=GetCallerIdentity", "Action=AssumeRole"),
        ("Version=2011-06-15", "Version=2011-06-15&RoleArn=x"),
        ("Version=2011-06-15", "Version=2011-06-15&Version=2011-06-15"),
        ("host%3Bx-k8s-aws-id", "host"),
        ("X-Amz-Expires=60", "X-Amz-Expires=604800"),
        ("X-Amz-Date=20261122", "X-Amz-Date=20261123"),
        ("eu-central-1%2Fsts", "eu-central-1%2Fiam"),
    ],
)
def test_a_url_that_is_anything_else_is_not_sent_on(
    authenticator: Authenticator, part: str, other: str
) -> None:
    url = url_of(authenticator.token())
    assert part in url
    assert authenticator.user_by(url) is not None
    assert authenticator.user_by(url.replace(part, other)) is None


@pytest.mark.parametrize("text", ["k8s-aws-v1.", "k8s-aws-v1.!!", "k8s-aws-v2.aHR0cHM6", "x" * 5000])
def test_what_is_no_token_is_nobody(authenticator: Authenticator, text: str) -> None:
    assert authenticator.user(text) is None
