"""Service account tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from sandbox.kubernetes.tokens import SigningKey, TokenAuthority, TokenRefused

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
ISSUER = "https://oidc.example.com/a"


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey()


@pytest.fixture
def authority(key: SigningKey) -> TokenAuthority:
    return TokenAuthority(key, [ISSUER])


def issue(authority: TokenAuthority, **changes: Any) -> str:
    asked: dict[str, Any] = {
        "namespace": "apps",
        "account": {"name": "robot", "uid": "u1"},
        "audiences": [],
        "seconds": 3600,
        "now": NOW,
    }
    return authority.issue(**asked | changes)


def test_claims_are_those_of_a_real_token_request(authority: TokenAuthority) -> None:
    claims = jwt.decode(
        issue(authority, audiences=["sts.amazonaws.com"]), options={"verify_signature": False}
    )

    issued = int(NOW.timestamp())
    assert {
        "aud": ["sts.amazonaws.com"],
        "exp": issued + 3600,
        "iat": issued,
        "iss": ISSUER,
        "kubernetes.io": {"namespace": "apps", "serviceaccount": {"name": "robot", "uid": "u1"}},
        "nbf": issued,
        "sub": "system:serviceaccount:apps:robot",
    } == {name: value for name, value in claims.items() if name != "jti"}


def test_the_header_names_the_published_key(authority: TokenAuthority) -> None:
    header = jwt.get_unverified_header(issue(authority))

    assert {"alg": "RS256", "kid": authority.key.jwk()["kid"]} == header


def test_the_published_key_verifies_a_token(authority: TokenAuthority) -> None:
    token = issue(authority, audiences=["sts.amazonaws.com"], now=datetime.now(UTC))

    claims = jwt.decode(token, jwt.PyJWK(authority.key.jwk()), audience="sts.amazonaws.com", issuer=ISSUER)

    assert "system:serviceaccount:apps:robot" == claims["sub"]


def test_a_token_for_the_api_server_speaks_for_its_account(authority: TokenAuthority) -> None:
    bearer = authority.verify(issue(authority), NOW)

    assert ("apps", "robot", "u1") == (bearer.namespace, bearer.name, bearer.uid)


def test_a_token_for_another_audience_is_refused(authority: TokenAuthority) -> None:
    with pytest.raises(TokenRefused):
        authority.verify(issue(authority, audiences=["sts.amazonaws.com"]), NOW)


def test_a_token_ends_with_its_life_even_when_it_was_verified_before(authority: TokenAuthority) -> None:
    token = issue(authority)
    authority.verify(token, NOW)

    with pytest.raises(TokenRefused):
        authority.verify(token, NOW + timedelta(seconds=3600))


def test_a_token_of_another_key_is_refused(authority: TokenAuthority) -> None:
    other = TokenAuthority(SigningKey(), [ISSUER])

    with pytest.raises(TokenRefused):
        authority.verify(issue(other), NOW)


def test_tokens_of_an_issuer_kept_beside_the_new_one_are_believed(authority: TokenAuthority) -> None:
    token = issue(authority)

    authority.set_issuers(["https://oidc.example.com/b", ISSUER])

    assert "robot" == authority.verify(token, NOW).name


def test_tokens_of_an_issuer_left_out_are_refused(authority: TokenAuthority) -> None:
    token = issue(authority)

    authority.set_issuers(["https://oidc.example.com/b"])

    with pytest.raises(TokenRefused):
        authority.verify(token, NOW)


def test_a_key_survives_its_pem(key: SigningKey) -> None:
    assert key.key_id == SigningKey(key.pem()).key_id
