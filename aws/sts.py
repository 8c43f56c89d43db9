"""STS AssumeRoleWithWebIdentity: unsigned, regional.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

from __future__ import annotations

from datetime import UTC

from aws import transport
from aws.credentials import AwsEndpoints, SessionCredentials
from aws.hops import HopName


def assume_role_with_web_identity(
    *,
    role_arn: str,
    token: str,
    session_name: str,
    region: str,
    endpoints: AwsEndpoints,
    attempts: int = transport.ATTEMPTS,
) -> SessionCredentials:
    """Credentials of the role for an hour, for `token` (a JSON web token).

    `session_name` is 2 to 64 letters, digits and `_=,.@-`; it stands in CloudTrail. `attempts` counts the first.

    Raises:
        aws.hops.AwsFailure: hop sts.
    """
    from aws import clients  # noqa: PLC0415 - boto3 is slow to import

    with (
        clients.failures_of(HopName.STS, secrets=(token,)),
        clients.sts_client(region=region, endpoints=endpoints, attempts=attempts) as client,
    ):
        credentials = client.assume_role_with_web_identity(
            RoleArn=role_arn, RoleSessionName=session_name, WebIdentityToken=token
        )["Credentials"]
    return SessionCredentials(
        access_key_id=credentials["AccessKeyId"],
        secret_access_key=credentials["SecretAccessKey"],
        session_token=credentials["SessionToken"],
        expires_at=credentials["Expiration"].astimezone(UTC),
    )
