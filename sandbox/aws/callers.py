"""Who calls a service: an IAM user by a key pair, or a session of a role; and in which words nobody is told so.

STS, IAM's Query API and the services with a JSON protocol have each their own code for one refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.aws.iam import Iam
from sandbox.aws.protocol import AwsError
from sandbox.aws.signing import Signature
from sandbox.aws.sts import Session

TIME_ALLOWED = timedelta(minutes=5)  # between the signer's clock and ours

_UNFIT = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True)
class Dialect:
    """The codes of one protocol, each refusal with its HTTP status."""

    nobody: str
    unknown: str
    unfit: str
    expired: str
    status: int


QUERY = Dialect(
    "MissingAuthenticationToken", "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", 403
)
JSON = Dialect(
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "ExpiredTokenException",
    400,
)


@dataclass(frozen=True)
class Caller:
    """`principal_arn` is the user's or the role's; `arn` is what stands in refusals: of a role, its session's."""

    arn: str
    principal_arn: str
    region: str

    @property
    def account(self) -> str:
        """12 digits."""
        return self.principal_arn.split(":")[4]

    @property
    def partition(self) -> str:
        """`aws`, `aws-cn` and so on."""
        return self.principal_arn.split(":")[1]

    @property
    def is_session(self) -> bool:
        """Whether it is of a role, so that a role on top of it is chained."""
        return self.arn != self.principal_arn


def identify(
    signed: Signature | None,
    *,
    service: str,
    dialect: Dialect,
    iam: Iam,
    session_of: Callable[[str], Session | None],
    now: datetime,
    clock: datetime,
) -> Caller:
    """Who signed.

    Args:
        signed: As it came.
        service: What it has to be signed for.
        dialect: Of the answer.
        iam: Knows users and their keys.
        session_of: An access key's session.
        now: The time by which sessions expire.
        clock: The time that signatures are held against.

    Raises:
        AwsError: nobody we know, or not with their secret, or not now.
    """
    if signed is None:
        raise AwsError(dialect.nobody, "Request is missing Authentication Token", status=dialect.status)
    if signed.service != service:
        words = f"Credential should be scoped to correct service: '{service}', not '{signed.service}'."
        raise AwsError(dialect.unfit, words, status=dialect.status)
    unknown = AwsError(
        dialect.unknown, "The security token included in the request is invalid.", status=dialect.status
    )
    session = session_of(signed.access_key_id)
    key = iam.access_key(signed.access_key_id)
    if session is not None and session.session_token == signed.session_token:
        caller = Caller(session.arn, session.role_arn, signed.region)
        secret = session.secret_access_key
    elif key is not None and signed.session_token is None:
        caller = Caller(key.user_arn, key.user_arn, signed.region)
        secret = key.secret_access_key
    else:
        raise unknown
    _check_time(signed, clock, dialect)
    if not signed.fits(secret):
        raise AwsError(dialect.unfit, _UNFIT, status=dialect.status)
    if session is not None and session.expires_at <= now:
        words = "The security token included in the request is expired"
        raise AwsError(dialect.expired, words, status=dialect.status)
    return caller


def _check_time(signed: Signature, clock: datetime, dialect: Dialect) -> None:
    def text(moment: datetime) -> str:
        return f"{moment:%Y%m%dT%H%M%SZ}"

    at, earliest, latest = signed.signed_at, clock - TIME_ALLOWED, clock + TIME_ALLOWED
    if at < earliest:
        words = f"Signature expired: {text(at)} is now earlier than {text(earliest)} ({text(clock)} - 5 min.)"
        raise AwsError(dialect.unfit, words, status=dialect.status)
    if at > latest:
        words = f"Signature not yet current: {text(at)} is still later than {text(latest)} ({text(clock)} + 5 min.)"
        raise AwsError(dialect.unfit, words, status=dialect.status)
