"""STS AssumeRoleWithWebIdentity and AssumeRole with the real one's rules and words.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html and
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.aws import policy, tokens
from sandbox.aws.iam import Iam, Role, account_of, provider_arn
from sandbox.aws.protocol import AwsError, Xml
from sandbox.aws.tokens import KeyRing, WebIdentity

if TYPE_CHECKING:
    from sandbox.aws.callers import Caller

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
SHORTEST_SESSION = 900  # seconds
LONGEST_CHAINED_SESSION = 3600  # seconds

_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}")
_DENIED = "Not authorized to perform sts:AssumeRoleWithWebIdentity"


@dataclass(frozen=True)
class Session:
    """Temporary credentials that STS gave out."""

    access_key_id: str
    secret_access_key: str
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

    def open_session(self, role_arn: str, name: str, expires_at: datetime) -> Session:
        """Credentials of a role for whoever may have them."""
        session = Session(
            access_key_id=f"ASIA{secrets.token_hex(8).upper()}",
            secret_access_key=secrets.token_urlsafe(30),
            session_token=secrets.token_urlsafe(128),
            role_arn=role_arn,
            name=name,
            expires_at=expires_at,
        )
        self._sessions[session.access_key_id] = session
        return session

    def call(
        self, action: str, form: Mapping[str, str], now: datetime, *, caller: Callable[[], Caller]
    ) -> Mapping[str, Xml]:
        """The result of one action of the Query API; raises `AwsError`.

        `caller` tells who signed the request, and is asked only where somebody has to have.
        """
        if action == "AssumeRoleWithWebIdentity":
            return self._with_web_identity(form, now)
        if action == "AssumeRole":
            return self._assume_role(form, now, caller())
        raise AwsError("InvalidAction", f"The action {action} is not served by this sandbox")

    def _with_web_identity(self, form: Mapping[str, str], now: datetime) -> Mapping[str, Xml]:
        role_arn, account, name = _asked(form)
        identity = tokens.read(form.get("WebIdentityToken", ""))
        self._check(identity, account, now)
        role = self._trusting_role(role_arn, identity)
        session = self.open_session(role_arn, name, now + timedelta(seconds=_seconds(form, role)))
        return {
            "SubjectFromWebIdentityToken": identity.subject,
            "Audience": identity.audience,
            "Provider": provider_arn(role_arn, identity.issuer),
            **_given(session),
        }

    def _assume_role(self, form: Mapping[str, str], now: datetime, caller: Caller) -> Mapping[str, Xml]:
        role_arn, account, name = _asked(form)
        role = self._iam.role(role_arn)
        if role is None or not self._may_assume(role, account, caller, form.get("ExternalId")):
            raise AwsError(
                "AccessDenied",
                f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
                status=403,
            )
        seconds = _seconds(form, role)
        if caller.is_session and seconds > LONGEST_CHAINED_SESSION:
            raise AwsError(
                "ValidationError",
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
            )
        return _given(self.open_session(role_arn, name, now + timedelta(seconds=seconds)))

    def _may_assume(self, role: Role, account: str, caller: Caller, external_id: str | None) -> bool:
        """Both sides count: the role's trust, and the caller's policies unless the trust names it in one account.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
        """
        context = {"aws:PrincipalArn": caller.principal_arn}
        if external_id is not None:
            context["sts:ExternalId"] = external_id
        allowed, denied = policy.trusted_principals(role.trust_policy, context)
        itself = {caller.arn, caller.principal_arn}
        account_names = {caller.account, f"arn:{caller.partition}:iam::{caller.account}:root", "*"}
        if denied & (itself | account_names):
            return False
        if allowed & itself and caller.account == account:
            return True
        by_policy = self._iam.allows(caller.principal_arn, "sts:AssumeRole", role.arn)
        return bool(allowed & (itself | account_names)) and by_policy

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
            if "secret_access_key" in session  # kept by an older sandbox: it lasted an hour at most
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


def _asked(form: Mapping[str, str]) -> tuple[str, str, str]:
    """The role's ARN and account, and the session's name."""
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
    return role_arn, account, name


def _given(session: Session) -> Mapping[str, Xml]:
    return {
        "AssumedRoleUser": {"Arn": session.arn, "AssumedRoleId": f"AROASANDBOX:{session.name}"},
        "Credentials": {
            "AccessKeyId": session.access_key_id,
            "SecretAccessKey": session.secret_access_key,
            "SessionToken": session.session_token,
            "Expiration": session.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    }


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
