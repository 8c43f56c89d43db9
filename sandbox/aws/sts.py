"""STS AssumeRoleWithWebIdentity with the real one's rules and words.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.aws import policy, tokens
from sandbox.aws.iam import Iam, Role, account_of, provider_arn
from sandbox.aws.protocol import AwsError, Xml
from sandbox.aws.tokens import KeyRing, WebIdentity

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
SHORTEST_SESSION = 900  # seconds

_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}")
_DENIED = "Not authorized to perform sts:AssumeRoleWithWebIdentity"


@dataclass(frozen=True)
class Session:
    """Temporary credentials that STS gave out."""

    access_key_id: str
    session_token: str
    role_arn: str
    name: str
    expires_at: datetime

    @property
    def arn(self) -> str:
        """`arn:PARTITION:sts::ACCOUNT:assumed-role/ROLE/SESSION`, as it stands in refusals."""
        partition, account = self.role_arn.split(":")[1], self.role_arn.split(":")[4]
        role = self.role_arn.rpartition("/")[2]
        return f"arn:{partition}:sts::{account}:assumed-role/{role}/{self.name}"


class Sts:
    """The sessions given out.

    Called without the lock of `SandboxAws`, because a key may have to be fetched first: each touch of the sessions
    is one operation on a dict.
    """

    def __init__(self, iam: Iam, keys: KeyRing) -> None:
        self._iam = iam
        self._keys = keys
        self._sessions: dict[str, Session] = {}

    def session(self, access_key_id: str) -> Session | None:
        """By its access key, expired or not."""
        return self._sessions.get(access_key_id)

    def call(self, action: str, form: Mapping[str, str], now: datetime) -> Mapping[str, Xml]:
        """The result of one action of the Query API; raises `AwsError`."""
        if action != "AssumeRoleWithWebIdentity":
            raise AwsError("InvalidAction", f"The action {action} is not served by this sandbox")
        role_arn = form.get("RoleArn", "")
        account = account_of(role_arn)
        if account is None:
            raise AwsError("ValidationError", "Request ARN is invalid")
        name = form.get("RoleSessionName", "")
        if _SESSION_NAME.fullmatch(name) is None:
            raise AwsError(
                "ValidationError",
                f"1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint",
            )
        identity = tokens.read(form.get("WebIdentityToken", ""))
        self._check(identity, account, now)
        role = self._trusting_role(role_arn, identity)
        session = Session(
            access_key_id=f"ASIA{secrets.token_hex(8).upper()}",
            session_token=secrets.token_urlsafe(128),
            role_arn=role_arn,
            name=name,
            expires_at=now + timedelta(seconds=_seconds(form, role)),
        )
        self._sessions[session.access_key_id] = session
        return {
            "SubjectFromWebIdentityToken": identity.subject,
            "Audience": identity.audience,
            "AssumedRoleUser": {"Arn": session.arn, "AssumedRoleId": f"AROASANDBOX:{name}"},
            "Provider": provider_arn(role_arn, identity.issuer),
            "Credentials": {
                "AccessKeyId": session.access_key_id,
                "SecretAccessKey": secrets.token_urlsafe(30),
                "SessionToken": session.session_token,
                "Expiration": session.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
        }

    def snapshot(self, now: datetime) -> list[dict[str, Any]]:
        """JSON-able; what has expired is left out."""
        return [
            asdict(session) | {"expires_at": session.expires_at.isoformat()}
            for session in list(self._sessions.values())
            if session.expires_at > now
        ]

    def restore(self, document: list[dict[str, Any]]) -> None:
        """The inverse."""
        self._sessions = {
            session["access_key_id"]: Session(
                **(session | {"expires_at": datetime.fromisoformat(session["expires_at"])})
            )
            for session in document
        }

    def _check(self, identity: WebIdentity, account: str, now: datetime) -> None:
        """The token as such: its provider in the role's account, its audience, times and signature."""
        provider = self._iam.provider(account, identity.issuer)
        if provider is None:
            words = f"No OpenIDConnect provider found in your account for {identity.issuer}"
            raise AwsError("InvalidIdentityToken", words)
        if identity.audience not in provider.audiences:
            raise AwsError("InvalidIdentityToken", "Incorrect token audience")
        tokens.check_times(identity, now)
        self._keys.verify(identity, now)

    def _trusting_role(self, role_arn: str, identity: WebIdentity) -> Role:
        """A role that does not exist is refused in the same words as one that does not trust."""
        role = self._iam.role(role_arn)
        issuer = identity.issuer.removeprefix("https://")
        claims = {f"{issuer}:aud": identity.audience, f"{issuer}:sub": identity.subject}
        provider = provider_arn(role_arn, identity.issuer)
        if role is None or not policy.trusts(role.trust_policy, provider, claims):
            raise AwsError("AccessDenied", _DENIED, status=403)
        return role


def _seconds(form: Mapping[str, str], role: Role) -> int:
    seconds = int(form.get("DurationSeconds", "3600"))
    if seconds < SHORTEST_SESSION:
        raise AwsError(
            "ValidationError",
            f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: "
            f"Member must have value greater than or equal to {SHORTEST_SESSION}",
        )
    if seconds > role.max_session_seconds:
        raise AwsError(
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        )
    return seconds
