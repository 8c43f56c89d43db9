"""The hub's own AWS identity, and the roles that it assumes with it for an organisation.

The identity is boto3's default chain in the controller's process: the environment, a profile, a pod's or an instance's
role. It needs one right, `sts:AssumeRole` on the roles of the hub's users. Endpoints, proxy and CA of these calls are
the process's own as well (`AWS_ENDPOINT_URL_STS`, `HTTPS_PROXY`, `AWS_CA_BUNDLE`), never those of a connection: what
the hub signs goes nowhere that a user chose. Called by `controller.eks`.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from aws import arns, errors, transport
from aws.clients import service_models
from aws.credentials import SessionCredentials
from aws.hub_failures import HubAwsFailure
from aws.identities import HubRole

if TYPE_CHECKING:
    from types_boto3_sts import STSClient

SESSION_SECONDS = 3600  # the longest that AWS gives a chained session, and the shortest that any role allows

_LONGEST_SESSION_NAME = 64
_NOT_IN_A_SESSION_NAME = re.compile(r"[^\w+=,.@-]", re.ASCII)


class HubIdentity:
    """Assumes roles with the machine's own credentials, which are looked for when they are first needed. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: boto3.session.Session | None = None

    def assume(self, roles: Sequence[HubRole], *, region: str, name: str) -> SessionCredentials:
        """Credentials of the last of `roles` for an hour, each assumed with those of the one before.

        Args:
            roles: One at least; the first is assumed with the hub's own identity.
            region: Whose STS is asked.
            name: Of the sessions, behind each role's prefix; it stands in CloudTrail. What AWS does not take of it is
                replaced, and what is too long is cut.

        Raises:
            HubAwsFailure: `HubIdentityMissing`, `DeployRoleRefused` (whose words name the role), `StsRegionDisabled`,
                `HubAwsUnreachable`.
        """
        found: SessionCredentials | None = None
        for number, role in enumerate(roles):
            before = roles[number - 1].role_arn if number else None
            with _failures(role, before=before, hidden=() if found is None else found.secrets):
                found = self._assume(role, found, region=region, name=name)
        if found is None:
            raise ValueError("a chain has one role at least")
        return found

    def lets_anybody_in(self, role: HubRole, *, region: str, name: str) -> bool:
        """Whether the role is had with an external id that it cannot know: then any organisation of the hub has it.

        Asks for a session that nobody uses; a refusal is what is hoped for, and stands in CloudTrail as one.

        Raises:
            HubAwsFailure: `HubAwsUnreachable` and the like; never `DeployRoleRefused`.
        """
        strange = HubRole(role.role_arn, f"pullpass-nobody-{secrets.token_hex(16)}", role.session_name_prefix)
        try:
            self.assume([strange], region=region, name=name)
        except HubAwsFailure as failure:
            if failure.code == "DeployRoleRefused":
                return False
            raise
        return True

    def _assume(
        self, role: HubRole, credentials: SessionCredentials | None, *, region: str, name: str
    ) -> SessionCredentials:
        session_name = _NOT_IN_A_SESSION_NAME.sub("-", f"{role.session_name_prefix}{name}")
        with closing(self._sts(credentials, region)) as client:
            answer = client.assume_role(
                RoleArn=role.role_arn,
                RoleSessionName=session_name[:_LONGEST_SESSION_NAME],
                ExternalId=role.external_id,
                DurationSeconds=SESSION_SECONDS,
            )["Credentials"]
        return SessionCredentials(
            access_key_id=answer["AccessKeyId"],
            secret_access_key=answer["SecretAccessKey"],
            session_token=answer["SessionToken"],
            expires_at=answer["Expiration"].astimezone(UTC),
        )

    def _sts(self, credentials: SessionCredentials | None, region: str) -> STSClient:
        if credentials is not None:
            return session_of(credentials).client("sts", region_name=region, config=client_config())
        with self._lock:  # boto3's sessions are for one thread
            if self._session is None:
                session = boto3.session.Session()
                if session.get_credentials() is None:
                    raise HubAwsFailure(
                        "HubIdentityMissing", "no AWS credentials were found where the hub runs"
                    )
                self._session = session
            return self._session.client("sts", region_name=region, config=client_config())


def session_of(credentials: SessionCredentials) -> boto3.session.Session:
    """A session that signs with `credentials`, and else has the process's own settings."""
    session = botocore.session.get_session()
    session.register_component("data_loader", service_models())
    return boto3.session.Session(
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        botocore_session=session,
    )


def client_config() -> Config:
    """Of every client of the hub's own."""
    return Config(
        connect_timeout=transport.CONNECT_SECONDS,
        read_timeout=transport.READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": transport.ATTEMPTS},
        max_pool_connections=1,
    )


@contextmanager
def _failures(role: HubRole, *, before: str | None, hidden: Sequence[str]) -> Iterator[None]:
    """What goes wrong inside leaves as `HubAwsFailure` about `role`; `before` is who assumes it, None for the hub."""
    try:
        yield
    except ClientError as error:
        details: dict[str, Any] = dict(error.response.get("Error", {}))
        raise _refused(role, before, str(details.get("Code")), str(details.get("Message")), hidden) from error
    except (BotoConnectionError, HTTPClientError, ResponseParserError) as error:
        words = errors.without_secrets(str(error), hidden)
        raise HubAwsFailure("HubAwsUnreachable", words, transient=True) from error
    except (BotoCoreError, ValueError) as error:  # what the default chain says of half a set of credentials
        words = errors.without_secrets(str(error), hidden)
        raise HubAwsFailure("HubIdentityMissing", words) from error


def _refused(
    role: HubRole, before: str | None, aws_code: str, message: str, hidden: Sequence[str]
) -> HubAwsFailure:
    words = errors.without_secrets(f"{aws_code}: {message}", hidden)
    values = {"DEPLOY_ROLE": role.role_arn, "EXTERNAL_ID": role.external_id}
    if before is not None:
        values["HUB_PRINCIPAL"] = before
    if errors.is_passing(aws_code) or (before is not None and errors.is_about_keys(aws_code)):
        return HubAwsFailure("HubAwsUnreachable", words, transient=True)
    if errors.is_about_keys(aws_code):
        return HubAwsFailure("HubIdentityMissing", words)
    if aws_code.startswith("RegionDisabled"):
        values["ACCOUNT"] = arns.parse_role(role.role_arn).account
        return HubAwsFailure("StsRegionDisabled", words, values=values)
    return HubAwsFailure("DeployRoleRefused", f"{role.role_arn}: {words}", values=values)
