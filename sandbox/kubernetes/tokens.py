"""Service account tokens: RS256, with the claims of a real API server's TokenRequest (KEP-1205, KEP-4193)."""

from __future__ import annotations

import base64
import hashlib
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


class TokenRefused(Exception):
    """Not a token of this cluster, or no longer."""


class SigningKey:
    """An RSA key with the key id a real API server gives it; made when first used, for making one takes long."""

    def __init__(self, pem: str | None = None) -> None:
        self._lock = threading.Lock()
        self._pem = pem
        self._key: rsa.RSAPrivateKey | None = None
        self._id = ""

    def private(self) -> rsa.RSAPrivateKey:
        """The key itself."""
        with self._lock:
            if self._key is None:
                if self._pem is None:
                    self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
                else:
                    # A key of our own making: to check its primes would take as long as to make another.
                    loaded = serialization.load_pem_private_key(
                        self._pem.encode(), None, unsafe_skip_rsa_key_validation=True
                    )
                    if not isinstance(loaded, rsa.RSAPrivateKey):
                        raise TypeError("a cluster signs with an RSA key")
                    self._key = loaded
            return self._key

    @property
    def key_id(self) -> str:
        """SHA-256 of the public key, base64url, as kube-apiserver derives it."""
        if not self._id:
            public = self.private().public_key()
            encoded = public.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            self._id = base64.urlsafe_b64encode(hashlib.sha256(encoded).digest()).rstrip(b"=").decode()
        return self._id

    def pem(self) -> str | None:
        """For keeping; None while the key was never used."""
        if self._key is None:
            return self._pem
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def jwk(self) -> dict[str, str]:
        """The public half (RFC 7517)."""
        numbers = self.private().public_key().public_numbers()
        return {
            "use": "sig",
            "kty": "RSA",
            "kid": self.key_id,
            "alg": "RS256",
            "n": _base64url(numbers.n),
            "e": _base64url(numbers.e),
        }


def _base64url(number: int) -> str:
    octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


@dataclass(frozen=True)
class Bearer:
    """Who a verified token speaks for."""

    namespace: str
    name: str
    uid: str
    expires_at: float  # epoch seconds
    bound: tuple[str, str, str] | None  # (kind, name, uid) of the object it lives as long as


@dataclass
class TokenAuthority:
    """Signs and verifies. `issuers`: the first signs, all are believed; `audiences` are the API server's own."""

    key: SigningKey
    issuers: list[str]
    _verified: dict[str, Bearer] = field(default_factory=dict, repr=False)

    @property
    def audiences(self) -> list[str]:
        """`--api-audiences`, which is all issuers unless it is set."""
        return self.issuers

    def set_issuers(self, issuers: list[str]) -> None:
        """As a restart with other flags: tokens of an issuer left out are refused from now on."""
        self.issuers = issuers
        self._verified.clear()

    def issue(
        self,
        *,
        namespace: str,
        account: Mapping[str, str],
        audiences: Sequence[str],
        seconds: int,
        now: datetime,
        bound: Mapping[str, Mapping[str, str]] | None = None,
    ) -> str:
        """A token of `account` (name, uid), with `bound` among its private claims: `{"pod": {name, uid}, …}`."""
        issued = int(now.timestamp())
        claims: dict[str, Any] = {
            "aud": list(audiences) or list(self.audiences),
            "exp": issued + seconds,
            "iat": issued,
            "iss": self.issuers[0],
            "jti": str(uuid.uuid4()),
            "kubernetes.io": {"namespace": namespace, **(bound or {}), "serviceaccount": dict(account)},
            "nbf": issued,
            "sub": f"system:serviceaccount:{namespace}:{account['name']}",
        }
        headers = {"kid": self.key.key_id, "typ": None}
        return jwt.encode(claims, self.key.private(), algorithm="RS256", headers=headers)

    def verify(self, token: str, now: datetime) -> Bearer:
        """Who it is.

        Raises:
            TokenRefused: signature, issuer, audience, time or claims are not good.
        """
        seconds = now.timestamp()
        known = self._verified.get(token)
        if known is None:
            known = self._checked(token, seconds)
            if len(self._verified) > 1000:  # noqa: PLR2004 - a bound, so that rotated tokens do not pile up
                self._verified.clear()
            self._verified[token] = known
        if known.expires_at <= seconds:
            raise TokenRefused("expired")
        return known

    def _checked(self, token: str, seconds: float) -> Bearer:
        try:
            claims = jwt.decode(
                token,
                self.key.private().public_key(),
                algorithms=["RS256"],
                audience=self.audiences,
                options={
                    "require": ["exp", "iat", "iss", "aud", "sub"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            private = claims["kubernetes.io"]
            account = private["serviceaccount"]
            bound = next(
                (
                    (kind, private[kind]["name"], private[kind]["uid"])
                    for kind in ("pod", "secret")
                    if kind in private
                ),
                None,
            )
            bearer = Bearer(
                private["namespace"], account["name"], account["uid"], float(claims["exp"]), bound
            )
        except (jwt.InvalidTokenError, KeyError, TypeError) as error:
            raise TokenRefused("not a token of this cluster") from error
        if claims["iss"] not in self.issuers or claims.get("nbf", 0) > seconds:
            raise TokenRefused("another issuer, or not yet valid")
        return bearer
