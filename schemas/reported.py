"""Parts of the agent's report (`schemas.agent_documents`) that tell what does not work: identities and webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas.stored import Members
from schemas.times import format_time

_NAME_LIMIT = 253
_MESSAGE_LIMIT = 1000
_SERVED_LIMIT = 10


@dataclass(frozen=True)
class ReportedFailure:
    """An identity that gets no credential in a region now, since `since`; an older credential may still be good.

    `code` as in `schemas.issues`, `message` holds AWS's own words. `claim` is the first of those that need it.
    """

    identity: str
    region: str
    code: str
    message: str
    since: datetime
    claim: str = ""


@dataclass(frozen=True)
class ReportedRefusal:
    """What IAM refuses since a change, and may take back by itself: from `until` on it counts as a failure.

    `code` as in `schemas.issues`, `message` holds AWS's own words.
    """

    code: str
    message: str
    until: datetime


@dataclass(frozen=True)
class ReportedWebhook:
    """How the agent's webhooks fare.

    `certificate_expires_at` is None while there is no certificate. `served` names the MutatingWebhookConfigurations
    that carry the agent's CA by now. `error` says in words what is in the way of the others, else "".
    """

    certificate_expires_at: datetime | None = None
    served: tuple[str, ...] = ()
    error: str = ""


def failure_to_json(failure: ReportedFailure) -> Mapping[str, object]:
    """Every member."""
    return {
        "identity": failure.identity,
        "region": failure.region,
        "code": failure.code,
        "message": failure.message,
        "since": format_time(failure.since),
        "claim": failure.claim,
    }


def failure_from_json(members: Members) -> ReportedFailure:
    """The inverse, cut to sizes that are safe; raises `ValueError`, naming the member."""
    return ReportedFailure(
        identity=members.text("identity")[:_NAME_LIMIT],
        region=members.text("region")[:_NAME_LIMIT],
        code=members.text("code")[:_NAME_LIMIT],
        message=members.text("message", "")[:_MESSAGE_LIMIT],
        since=members.time("since"),
        claim=members.text("claim", "")[:_NAME_LIMIT],
    )


def refusal_to_json(refusal: ReportedRefusal) -> Mapping[str, object]:
    """Every member."""
    return {"code": refusal.code, "message": refusal.message, "until": format_time(refusal.until)}


def refusal_from_json(members: Members) -> ReportedRefusal:
    """The inverse, cut to sizes that are safe; raises `ValueError`, naming the member."""
    return ReportedRefusal(
        code=members.text("code")[:_NAME_LIMIT],
        message=members.text("message", "")[:_MESSAGE_LIMIT],
        until=members.time("until"),
    )


def webhook_to_json(webhook: ReportedWebhook) -> Mapping[str, object]:
    """Every member."""
    expires_at = webhook.certificate_expires_at
    return {
        "certificateExpiresAt": None if expires_at is None else format_time(expires_at),
        "served": list(webhook.served),
        "error": webhook.error,
    }


def webhook_from_json(members: Members) -> ReportedWebhook:
    """The inverse, cut to sizes that are safe; raises `ValueError`, naming the member."""
    return ReportedWebhook(
        certificate_expires_at=members.optional_time("certificateExpiresAt"),
        served=tuple(name[:_NAME_LIMIT] for name in members.texts("served")[:_SERVED_LIMIT]),
        error=members.text("error", "")[:_MESSAGE_LIMIT],
    )
