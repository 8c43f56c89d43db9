"""STS AssumeRoleWithWebIdentity: unsigned, regional.

(https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html).
"""

from __future__ import annotations

from aws.credentials import AwsEndpoints, SessionCredentials


def assume_role_with_web_identity(
    *, role_arn: str, token: str, session_name: str, region: str, endpoints: AwsEndpoints
) -> SessionCredentials:
    """Raises `aws.hops.AwsFailure` (hop sts)."""
    raise NotImplementedError
