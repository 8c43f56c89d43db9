"""GetAuthorizationToken of ECR and ECR Public (JSON 1.1), and the passwords given out, which the registry takes.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html and
https://docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_GetAuthorizationToken.html
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.aws.callers import Caller
from sandbox.aws.iam import Iam
from sandbox.aws.protocol import AwsError

USERNAME = "AWS"
PUBLIC = "public"  # stands for a region in what opens ECR Public
PUBLIC_REGIONS = (
    "us-east-1",
    "us-west-2",
)  # that have an API of ECR Public; the documentation names the first

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
    """For whom and where a password opens registries, and until when; `session_arn` stands in refusals.

    `role_arn` is a user's ARN where a key pair asked; `region` is `PUBLIC` for ECR Public.
    """

    role_arn: str
    session_arn: str
    account: str
    region: str
    expires_at: datetime


class Ecr:
    """The passwords given out. Not thread-safe: `SandboxAws` holds the lock."""

    def __init__(self, iam: Iam, lifetime: timedelta) -> None:
        self.lifetime = lifetime
        self._iam = iam
        self._passwords: dict[str, IssuedPassword] = {}

    def password(self, password: str) -> IssuedPassword | None:
        """What it opens, expired or not; None when it was never given out."""
        return self._passwords.get(password)

    def call(self, operation: str, caller: Caller, now: datetime) -> Mapping[str, Any]:
        """The answer of one operation of ECR; raises `AwsError`."""
        _check_operation(operation)
        self._require(caller, "ecr:GetAuthorizationToken")
        host = f"{caller.account}.dkr.ecr.{caller.region}.{_SUFFIX_OF_PARTITION[caller.partition]}"
        granted = self._grant(caller, caller.region, now)
        return {"authorizationData": [granted | {"proxyEndpoint": f"https://{host}"}]}

    def call_public(self, operation: str, caller: Caller, now: datetime) -> Mapping[str, Any]:
        """The answer of one operation of ECR Public; raises `AwsError`."""
        _check_operation(operation)
        if caller.partition != "aws" or caller.region not in PUBLIC_REGIONS:
            raise AwsError(
                "UnrecognizedClientException", "The security token included in the request is invalid."
            )
        self._require(caller, "ecr-public:GetAuthorizationToken")
        self._require(caller, "sts:GetServiceBearerToken")
        return {"authorizationData": self._grant(caller, PUBLIC, now)}

    def _require(self, caller: Caller, action: str) -> None:
        if not self._iam.allows(caller.principal_arn, action, "*"):
            raise AwsError(
                "AccessDeniedException",
                f"User: {caller.arn} is not authorized to perform: {action} on resource: * "
                f"because no identity-based policy allows the {action} action",
            )

    def _grant(self, caller: Caller, region: str, now: datetime) -> dict[str, Any]:
        password = secrets.token_urlsafe(96)
        expires_at = now + self.lifetime
        self._passwords[password] = IssuedPassword(
            caller.principal_arn, caller.arn, caller.account, region, expires_at
        )
        return {
            "authorizationToken": base64.b64encode(f"{USERNAME}:{password}".encode()).decode(),
            "expiresAt": expires_at.timestamp(),
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


def _check_operation(operation: str) -> None:
    if operation != "GetAuthorizationToken":
        raise AwsError("UnknownOperationException", f"{operation} is not served by this sandbox")
