"""STS: a token exchanged for a role's credentials, and a role assumed with the credentials of another. Regional.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html (unsigned) and
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any

from aws import transport
from aws.credentials import AwsEndpoints, SessionCredentials
from aws.errors import Kind
from aws.hops import HopName
from aws.identities import RoleLink

if TYPE_CHECKING:
    from types_boto3_sts.type_defs import AssumeRoleRequestTypeDef


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
        clients.sts_client(region=region, endpoints=endpoints, attempts=attempts, credentials=None) as client,
    ):
        answer = client.assume_role_with_web_identity(
            RoleArn=role_arn, RoleSessionName=session_name, WebIdentityToken=token
        )
        return _credentials(answer)


def assume_role(
    *,
    link: RoleLink,
    place: str,
    credentials: SessionCredentials,
    session_name: str,
    region: str,
    endpoints: AwsEndpoints,
    attempts: int = transport.ATTEMPTS,
) -> SessionCredentials:
    """Credentials of the role of `link` for an hour, signed for with `credentials`.

    `place` names the link in the words of a failure: `role 2 of 3`.

    Raises:
        aws.hops.AwsFailure: hop sts; `KeysRefused` where given keys are not taken, `AssumeRoleRefused` for a refusal.
    """
    from aws import clients  # noqa: PLC0415 - boto3 is slow to import

    kinds = {Kind.ASSUME_ROLE, *({Kind.GIVEN_KEYS} if credentials.are_given else ())}
    about = f"{place}, {link.role_arn}"
    with (
        clients.failures_of(HopName.STS, secrets=credentials.secrets, kinds=kinds, about=about),
        clients.sts_client(
            region=region, endpoints=endpoints, attempts=attempts, credentials=credentials
        ) as client,
    ):
        request: AssumeRoleRequestTypeDef = {"RoleArn": link.role_arn, "RoleSessionName": session_name}
        if link.external_id is not None:
            request["ExternalId"] = link.external_id
        return _credentials(client.assume_role(**request))


def _credentials(answer: Mapping[str, Any]) -> SessionCredentials:
    credentials = answer["Credentials"]
    return SessionCredentials(
        access_key_id=credentials["AccessKeyId"],
        secret_access_key=credentials["SecretAccessKey"],
        session_token=credentials["SessionToken"],
        expires_at=credentials["Expiration"].astimezone(UTC),
    )
