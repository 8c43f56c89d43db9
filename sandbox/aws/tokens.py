"""Web identity tokens as STS checks them: shape, key, signature, times, audience.

The rules are those of https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html and of
reports from the field. Where AWS's own words are not known, the text here says what is wrong under AWS's code.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt

from sandbox.aws.protocol import AwsError

SKEW = timedelta(minutes=5)
LONGEST_TOKEN = 20_000  # characters
MOST_KEYS = 100  # of one type in a JWKS: one more breaks all of that type
ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")

_NO_KEY = (
    "Couldn't retrieve verification key from your identity provider,  "
    "please reference AssumeRoleWithWebIdentity documentation for requirements"
)
_NO_JWT = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
_MAX_AGE = re.compile(r"max-age=([0-9]+)")
_DEFAULT_AGE = timedelta(hours=1)


@dataclass(frozen=True)
class PublishedIssuer:
    """What the internet serves under an issuer's URL; `cache_control` is the header on the JWKS."""

    discovery: Mapping[str, Any]
    jwks: Mapping[str, Any]
    cache_control: str = "public, max-age=3600"


Resolver = Callable[[str], PublishedIssuer | None]


@dataclass(frozen=True)
class WebIdentity:
    """What a token claims, its signature not yet checked; `audience` is what `:aud` matches (`azp` beats `aud`)."""

    token: str
    key_id: str
    algorithm: str
    issuer: str
    subject: str
    audience: str
    claims: Mapping[str, Any]


def read(token: str) -> WebIdentity:
    """The claims of a token that has all it needs.

    Raises:
        AwsError: InvalidIdentityToken or ValidationError.
    """
    if len(token) > LONGEST_TOKEN:
        raise AwsError(
            "ValidationError",
            "1 validation error detected: Value at 'webIdentityToken' failed to satisfy constraint: "
            f"Member must have length less than or equal to {LONGEST_TOKEN}",
        )
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise _invalid(_NO_JWT) from error
    for name in ("iss", "sub", "aud", "iat", "exp"):
        if not claims.get(name):
            raise _invalid(f"Missing a required claim: {name}")
    for name in ("iat", "exp", "nbf"):
        if not isinstance(claims.get(name, 0), int):
            raise _invalid(f"Claim {name} must be an integer")
    return WebIdentity(
        token=token,
        key_id=str(header.get("kid", "")),
        algorithm=str(header.get("alg", "")),
        issuer=str(claims["iss"]),
        subject=str(claims["sub"]),
        audience=_audience(claims),
        claims=claims,
    )


def check_times(identity: WebIdentity, now: datetime) -> None:
    """Raises `AwsError`: ExpiredTokenException for a clock behind, InvalidIdentityToken for one ahead."""
    current, skew = int(now.timestamp()), int(SKEW.total_seconds())
    expiry = identity.claims["exp"]
    if expiry <= current - skew:
        raise AwsError(
            "ExpiredTokenException",
            f"Token expired: current date/time {current} must be before the expiration date/time {expiry}",
        )
    begin = max(identity.claims["iat"], identity.claims.get("nbf", 0))
    if begin > current + skew:
        raise _invalid(f"Token is not yet valid: current date/time {current} must be after {begin}")


class KeyRing:
    """The keys of issuers, fetched through `resolver` and kept for as long as the issuer lets them be kept."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._kept: dict[str, tuple[datetime, Mapping[str, Any]]] = {}

    def verify(self, identity: WebIdentity, now: datetime) -> None:
        """Raises `AwsError` InvalidIdentityToken: no key by that id can be had, or the signature is not its own."""
        if identity.algorithm not in ALGORITHMS:
            raise _invalid(f"Unsupported signature algorithm {identity.algorithm}")
        key = self._key(identity, now)
        try:
            jwt.decode(
                identity.token,
                key,
                algorithms=[identity.algorithm],
                options={"verify_aud": False, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.InvalidTokenError as error:
            raise _invalid("The signature of the ID Token is not valid") from error

    def forget(self) -> None:
        """As when AWS's cache has run out."""
        self._kept.clear()

    def _key(self, identity: WebIdentity, now: datetime) -> jwt.PyJWK:
        keys = self._jwks(identity.issuer, now).get("keys", [])
        types = Counter(key.get("kty") for key in keys)
        wanted = [
            key
            for key in keys
            if identity.key_id and key.get("kid") == identity.key_id and types[key.get("kty")] <= MOST_KEYS
        ]
        # Any key_ops make STS reject a key (seen in the field), and a key for encryption signs nothing.
        if not wanted or "key_ops" in wanted[0] or wanted[0].get("use", "sig") != "sig":
            raise _invalid(_NO_KEY)
        try:
            return jwt.PyJWK(wanted[0], algorithm=identity.algorithm)
        except jwt.exceptions.PyJWTError as error:
            raise _invalid(_NO_KEY) from error

    def _jwks(self, issuer: str, now: datetime) -> Mapping[str, Any]:
        kept_until, jwks = self._kept.get(issuer, (now, {}))
        if now < kept_until:
            return jwks
        published = self._resolver(issuer)
        if published is None or published.discovery.get("issuer") != issuer:
            raise _invalid(_NO_KEY)
        self._kept[issuer] = (now + _age(published.cache_control), published.jwks)
        return published.jwks


def _age(cache_control: str) -> timedelta:
    if "no-cache" in cache_control or "no-store" in cache_control:
        return timedelta()
    match = _MAX_AGE.search(cache_control)
    return _DEFAULT_AGE if match is None else timedelta(seconds=int(match[1]))


def _audience(claims: Mapping[str, Any]) -> str:
    if claims.get("azp"):
        return str(claims["azp"])
    audience = claims["aud"]
    if isinstance(audience, list):
        if len(audience) != 1:
            raise _invalid(
                "Token audience contains more than one audience. Please request exactly one audience"
            )
        audience = audience[0]
    return str(audience)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidIdentityToken", message)
