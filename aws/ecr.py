"""ECR GetAuthorizationToken: one call opens every registry of a region.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

from aws import errors, transport
from aws.credentials import AwsEndpoints, RegistryCredential, SessionCredentials
from aws.hops import HopName


def authorization_token(
    *,
    credentials: SessionCredentials,
    region: str,
    endpoints: AwsEndpoints,
    now: datetime,
    attempts: int = transport.ATTEMPTS,
) -> RegistryCredential:
    """The credential for every private registry of `region`, good for 12 hours; `attempts` counts the first.

    Raises:
        aws.hops.AwsFailure: hop ecr.
    """
    from aws import clients  # noqa: PLC0415 - boto3 is slow to import

    secrets = (credentials.secret_access_key, credentials.session_token)
    with (
        clients.failures_of(HopName.ECR, secrets=secrets),
        clients.ecr_client(
            credentials=credentials, region=region, endpoints=endpoints, attempts=attempts
        ) as client,
    ):
        granted = client.get_authorization_token().get("authorizationData", [])
    if not granted or "authorizationToken" not in granted[0] or "expiresAt" not in granted[0]:
        raise errors.refused(HopName.ECR, "EmptyAnswer", "GetAuthorizationToken gave no authorization token")
    username, password = _pair(granted[0]["authorizationToken"])
    return RegistryCredential(
        region=region,
        username=username,
        password=password,
        issued_at=now,
        expires_at=granted[0]["expiresAt"].astimezone(UTC),
    )


def _pair(authorization_token: str) -> tuple[str, str]:
    try:
        username, _, password = base64.b64decode(authorization_token, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        username, password = "", ""
    if not username or not password:
        raise errors.refused(
            HopName.ECR, "MalformedAnswer", "the authorization token is no USER:PASSWORD in base64"
        )
    return username, password
