"""ECR GetAuthorizationToken: one call opens every registry of a region."""

from __future__ import annotations

from datetime import datetime

from aws.credentials import AwsEndpoints, RegistryCredential, SessionCredentials


def authorization_token(
    *, credentials: SessionCredentials, region: str, endpoints: AwsEndpoints, now: datetime
) -> RegistryCredential:
    """Raises `aws.hops.AwsFailure` (hop ecr)."""
    raise NotImplementedError
