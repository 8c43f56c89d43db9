"""AWS's errors named: from what a hop answered to an issue code, as one table.

`aws.clients` and `aws.registry` ask it; the codes are those of the issues reference. What AWS says is handed
on word for word, because for some failures (the verification key) CloudTrail keeps no other trace of it. Codes of
AWS: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html and
https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html; of a registry: the HTTP status.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto

from aws.hops import AwsFailure, HopName

LONGEST_MESSAGE = 600  # characters: what fits a status and a terminal

_THROTTLED = r"Throttl.*|TooManyRequests.*|RequestLimitExceeded|RequestThrottled.*|SlowDown|429"
_BROKEN = r"Internal.*|ServiceUnavailable.*|ServerException|RequestTimeout.*|408|5\d\d"
# STS has one word for each, services with a JSON protocol have the others.
_KEYS = (
    r"InvalidClientTokenId|UnrecognizedClient(Exception)?|InvalidAccessKeyId|SignatureDoesNotMatch"
    r"|InvalidSignature(Exception)?|ExpiredToken(Exception)?|IncompleteSignature(Exception)?|MissingAuthenticationToken.*"
)
_SIGNATURE = "SignatureDoesNotMatch|InvalidSignature(Exception)?|RequestExpired"
_CLOCK = "Signature expired|Signature not yet current|Request has expired"
_JSON_WEB_TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?")
_USER_INFO = re.compile(r"//[^/@\s]+@")  # of a proxy's URL


class Kind(Enum):
    """What sets a call apart from others of its hop; a call may be of several kinds."""

    GIVEN_KEYS = auto()  # signed with keys that a person gave
    ASSUME_ROLE = auto()  # a link of a chain, not the exchange of a token
    ECR_PUBLIC = auto()


@dataclass(frozen=True)
class Rule:
    """`aws_code` matches in full, `words` anywhere in the message, both without regard to case.

    `kind` narrows a rule to calls of that kind; one without is for all.
    """

    hop: HopName
    aws_code: str
    words: str
    code: str
    transient: bool = False
    eventual: bool = False
    kind: Kind | None = None


# The first that matches counts; each hop ends with a rule that always does.
RULES = (
    # The signer's clock is more than five minutes off: the same cure as for a token's times.
    Rule(HopName.STS, _SIGNATURE, _CLOCK, "TokenExpired"),
    Rule(HopName.STS, _KEYS, "", "KeysRefused", eventual=True, kind=Kind.GIVEN_KEYS),
    Rule(HopName.STS, "RegionDisabled(Exception)?", "", "StsRegionDisabled"),
    Rule(HopName.STS, _THROTTLED, "", "StsRefused", transient=True),
    Rule(HopName.STS, _BROKEN, "", "StsUnreachable", transient=True),
    # The session before this link ran out between the two calls: the next walk begins with a new one.
    Rule(
        HopName.STS,
        "ExpiredToken(Exception)?",
        "",
        "AssumeRoleRefused",
        transient=True,
        kind=Kind.ASSUME_ROLE,
    ),
    Rule(HopName.STS, ".*", "", "AssumeRoleRefused", eventual=True, kind=Kind.ASSUME_ROLE),
    Rule(
        HopName.STS,
        "InvalidIdentityToken",
        "No OpenIDConnect provider found",
        "OidcProviderMissing",
        eventual=True,
    ),
    Rule(HopName.STS, "InvalidIdentityToken", "more than one audience", "AudienceAmbiguous"),
    Rule(
        HopName.STS, "InvalidIdentityToken", "Incorrect token audience", "AudienceNotAllowed", eventual=True
    ),
    Rule(
        HopName.STS,
        "InvalidIdentityToken",
        "retrieve verification key",
        "VerificationKeyUnavailable",
        transient=True,
    ),
    # A clock that is ahead: the same cure as for one that is behind.
    Rule(HopName.STS, "InvalidIdentityToken", r"not yet|in the future|accepted before", "TokenExpired"),
    Rule(HopName.STS, "ExpiredToken(Exception)?", "", "TokenExpired"),
    Rule(
        HopName.STS,
        "AccessDenied(Exception)?",
        "Not authorized to perform sts:AssumeRoleWithWebIdentity",
        "TrustPolicyMismatch",
        eventual=True,
    ),
    Rule(HopName.STS, "IDPCommunicationError(Exception)?", "", "IdentityProviderUnreachable", transient=True),
    Rule(HopName.STS, "IDPRejectedClaim(Exception)?", "", "ClaimRejected"),
    Rule(HopName.STS, ".*", "", "StsRefused"),
    Rule(HopName.ECR, _SIGNATURE, _CLOCK, "TokenExpired"),
    Rule(HopName.ECR, _KEYS, "", "KeysRefused", eventual=True, kind=Kind.GIVEN_KEYS),
    Rule(
        HopName.ECR,
        "AccessDenied(Exception)?",
        "",
        "PublicRefused",
        eventual=True,
        kind=Kind.ECR_PUBLIC,
    ),
    Rule(HopName.ECR, "AccessDenied(Exception)?", "", "EcrAccessDenied", eventual=True),
    # The session ran out between the two calls: the next walk begins with a new one.
    Rule(HopName.ECR, "ExpiredToken(Exception)?", "", "EcrRefused", transient=True),
    Rule(HopName.ECR, _THROTTLED, "", "EcrRefused", transient=True),
    Rule(HopName.ECR, _BROKEN, "", "EcrUnreachable", transient=True),
    Rule(HopName.ECR, ".*", "", "EcrRefused"),
    Rule(HopName.REGISTRY, "401|403", "", "RegistryAccessDenied", eventual=True),
    Rule(HopName.REGISTRY, "400", "DENIED|UNAUTHORIZED|authorization token", "RegistryAccessDenied"),
    Rule(HopName.REGISTRY, "404", "", "ImageNotFound"),
    Rule(HopName.REGISTRY, ".*", "", "RegistryUnreachable", transient=True),
)

_UNREACHABLE = {
    HopName.STS: "StsUnreachable",
    HopName.ECR: "EcrUnreachable",
    HopName.REGISTRY: "RegistryUnreachable",
}


def refused(
    hop: HopName,
    aws_code: str,
    message: str,
    *,
    secrets: Collection[str] = (),
    kinds: Collection[Kind] = (),
    about: str = "",
) -> AwsFailure:
    """The failure for an answer of AWS.

    `secrets` are taken out of its words, should it repeat one; `about` comes before them and tells calls of one hop
    apart.
    """
    rule = next(
        rule
        for rule in RULES
        if rule.hop is hop
        and (rule.kind is None or rule.kind in kinds)
        and re.fullmatch(rule.aws_code, aws_code, re.IGNORECASE)
        and re.search(rule.words, message, re.IGNORECASE)
    )
    said = f"{aws_code}: {message}" if message else aws_code
    words = without_secrets(f"{about}: {said}" if about else said, secrets)
    return AwsFailure(hop, rule.code, words, transient=rule.transient, eventual=rule.eventual)


def unreachable(
    hop: HopName, words: str, *, secrets: Collection[str] = (), transient: bool = True
) -> AwsFailure:
    """The failure for no answer at all: DNS, connection, proxy, TLS, time; or settings that allow no call."""
    return AwsFailure(hop, _UNREACHABLE[hop], without_secrets(words, secrets), transient=transient)


def without_secrets(text: str, secrets: Collection[str] = ()) -> str:
    """`text` on one line, cut to a readable length, without `secrets`, web tokens and the user of a URL."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = _USER_INFO.sub("//***@", _JSON_WEB_TOKEN.sub("***", text))
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 1]}…"
