"""ECR GetAuthorizationToken: one call opens every registry of a region, or ECR Public.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html and
https://docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_GetAuthorizationToken.html
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aws import errors, registry_hosts, transport
from aws.credentials import AwsEndpoints, RegistryCredential, SessionCredentials
from aws.errors import Kind
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

    For `region` `aws.registry_hosts.PUBLIC` it is the one for ECR Public, from us-east-1.

    Raises:
        aws.hops.AwsFailure: hop ecr; `KeysRefused` where given keys are not taken, `PublicRefused` where a
            permission for ECR Public is missing.
    """
    public = region == registry_hosts.PUBLIC
    granted = _ask(credentials, region, endpoints, attempts, public=public)
    if not granted or "authorizationToken" not in granted or "expiresAt" not in granted:
        raise errors.refused(HopName.ECR, "EmptyAnswer", "GetAuthorizationToken gave no authorization token")
    username, password = _pair(granted["authorizationToken"])
    return RegistryCredential(
        region=region,
        username=username,
        password=password,
        issued_at=now,
        expires_at=granted["expiresAt"].astimezone(UTC),
    )


def _ask(
    credentials: SessionCredentials, region: str, endpoints: AwsEndpoints, attempts: int, *, public: bool
) -> Mapping[str, Any] | None:
    """The answer's one `authorizationData`."""
    from aws import clients  # noqa: PLC0415 - boto3 is slow to import

    kinds = {
        kind for kind, is_so in ((Kind.GIVEN_KEYS, credentials.are_given), (Kind.ECR_PUBLIC, public)) if is_so
    }
    with clients.failures_of(HopName.ECR, secrets=credentials.secrets, kinds=kinds):
        if public:
            with clients.ecr_public_client(
                credentials=credentials, endpoints=endpoints, attempts=attempts
            ) as public_client:
                return public_client.get_authorization_token().get("authorizationData")
        with clients.ecr_client(
            credentials=credentials, region=region, endpoints=endpoints, attempts=attempts
        ) as client:
            return next(iter(client.get_authorization_token().get("authorizationData", [])), None)


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
