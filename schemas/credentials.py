"""Tokens and PEM blocks as text: whether they are whole, and what a token says of itself.

Called by `schemas.connection_bodies` and `schemas.kubeconfig`. Nothing here verifies a signature: the cluster does that.
No message repeats a value.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

CERTIFICATES = frozenset({"CERTIFICATE"})
PRIVATE_KEYS = frozenset({"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "EC PARAMETERS"})

_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----([A-Za-z0-9+/=\s]+)-----END \1-----")  # RFC 7468
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")  # what an Authorization header takes


def pem_refusal(text: str, labels: Collection[str]) -> str | None:
    """What is wrong with `text` as PEM whose blocks all bear one of `labels`; None when nothing is."""
    blocks = _PEM_BLOCK.findall(text)
    if not blocks:
        return f"expected PEM (-----BEGIN {min(labels)}-----)"
    for label, body in blocks:
        if label not in labels:
            return f"expected PEM (-----BEGIN {min(labels)}-----), got a {label}"
        try:
            base64.b64decode("".join(body.split()), validate=True)
        except binascii.Error:
            return "is PEM that was cut or changed on the way"
    return None


def decode_base64(text: str) -> str | None:
    """The text in a kubeconfig's `-data` member; None when it is none."""
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None


def is_token(text: str) -> bool:
    """Whether `text` can stand in an `Authorization: Bearer` header."""
    return _TOKEN.fullmatch(text) is not None


@dataclass(frozen=True)
class TokenClaims:
    """What a JSON Web Token says of itself (RFC 7519, section 4.1); None where it says nothing."""

    subject: str | None = None
    issued_at: datetime | None = None
    expires_at: datetime | None = None


def claims(token: str) -> TokenClaims:
    """The claims of `token`, unverified; empty ones when it is no JSON Web Token."""
    parts = token.split(".")
    if len(parts) != len(("header", "payload", "signature")):
        return TokenClaims()
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return TokenClaims()
    if not isinstance(payload, dict):
        return TokenClaims()
    subject = payload.get("sub")
    return TokenClaims(
        subject=subject if isinstance(subject, str) else None,
        issued_at=_moment(payload.get("iat")),
        expires_at=_moment(payload.get("exp")),
    )


def _moment(seconds: object) -> datetime | None:
    if type(seconds) not in {int, float}:
        return None
    try:
        return datetime.fromtimestamp(int(seconds), UTC)  # type: ignore[call-overload]  # a number, see above
    except (OverflowError, ValueError, OSError):
        return None
