"""ECR GetAuthorizationToken (JSON 1.1), and the passwords it gave out, which the sandbox's registry takes.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.aws.iam import Iam
from sandbox.aws.protocol import AwsError, Signature
from sandbox.aws.sts import Session, Sts

USERNAME = "AWS"

_SUFFIX_OF_PARTITION = {
    "aws": "amazonaws.com",
    "aws-us-gov": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
}


@dataclass(frozen=True)
class IssuedPassword:
    """For whom and where a password opens registries, and until when; `session_arn` stands in refusals."""

    role_arn: str
    session_arn: str
    account: str
    region: str
    expires_at: datetime


class Ecr:
    """The passwords given out. Not thread-safe: `SandboxAws` holds the lock."""

    def __init__(self, iam: Iam, sts: Sts, lifetime: timedelta) -> None:
        self.lifetime = lifetime
        self._iam = iam
        self._sts = sts
        self._passwords: dict[str, IssuedPassword] = {}

    def password(self, password: str) -> IssuedPassword | None:
        """What it opens, expired or not; None when it was never given out."""
        return self._passwords.get(password)

    def call(self, operation: str, signed: Signature | None, now: datetime) -> Mapping[str, Any]:
        """The answer of one operation; raises `AwsError`."""
        if operation != "GetAuthorizationToken":
            raise AwsError("UnknownOperationException", f"{operation} is not served by this sandbox")
        session, region = self._caller(signed, now)
        role = self._iam.role(session.role_arn)
        if role is None or not role.allows("ecr:GetAuthorizationToken", "*"):
            raise AwsError(
                "AccessDeniedException",
                f"User: {session.arn} is not authorized to perform: ecr:GetAuthorizationToken on resource: * "
                "because no identity-based policy allows the ecr:GetAuthorizationToken action",
            )
        partition, account = session.role_arn.split(":")[1], session.role_arn.split(":")[4]
        password = secrets.token_urlsafe(96)
        expires_at = now + self.lifetime
        self._passwords[password] = IssuedPassword(session.role_arn, session.arn, account, region, expires_at)
        return {
            "authorizationData": [
                {
                    "authorizationToken": base64.b64encode(f"{USERNAME}:{password}".encode()).decode(),
                    "expiresAt": expires_at.timestamp(),
                    "proxyEndpoint": f"https://{account}.dkr.ecr.{region}.{_SUFFIX_OF_PARTITION[partition]}",
                }
            ]
        }

    def snapshot(self, now: datetime) -> dict[str, Any]:
        """JSON-able; what has expired is left out."""
        return {
            password: asdict(issued) | {"expires_at": issued.expires_at.isoformat()}
            for password, issued in self._passwords.items()
            if issued.expires_at > now
        }

    def restore(self, document: Mapping[str, Any]) -> None:
        """The inverse."""
        self._passwords = {
            password: IssuedPassword(
                **(issued | {"expires_at": datetime.fromisoformat(issued["expires_at"])})
            )
            for password, issued in document.items()
        }

    def _caller(self, signed: Signature | None, now: datetime) -> tuple[Session, str]:
        if signed is None:
            raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
        if signed.service != "ecr":
            raise AwsError(
                "InvalidSignatureException",
                f"Credential should be scoped to correct service: 'ecr', not '{signed.service}'.",
            )
        session = self._sts.session(signed.access_key_id)
        if session is None or session.session_token != signed.session_token:
            raise AwsError(
                "UnrecognizedClientException", "The security token included in the request is invalid."
            )
        if session.expires_at <= now:
            raise AwsError("ExpiredTokenException", "The security token included in the request is expired")
        return session, signed.region
