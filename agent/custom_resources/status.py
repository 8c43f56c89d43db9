"""The status of an ECRPullSecret: what a claim's fate comes to in conditions, and what of it is worth an event. Pure.

Called by `agent.custom_resources.claimant`. A status is written whole, by server-side apply, and only when it differs
from the one that stands there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.custom_resources.resource import Resource
from agent.secrets.duties import ClaimStatus
from kube.objects import Object
from schemas.times import format_time, parse_time

REFUSED = "CustomResourceRefused"
NAMESPACE_ERROR_LIMIT = 20
_MESSAGE_LIMIT = 1000

_READY, _CREDENTIALS, _NAMESPACES, _SUSPENDED = "Ready", "CredentialsValid", "NamespacesReady", "Suspended"
_TYPES = frozenset({_READY, _CREDENTIALS, _NAMESPACES, _SUSPENDED})
# Every other reason is the code of an issue, or Expired.
_NO_FAILURES = frozenset(
    {"Ready", "Valid", "Pending", "Filled", "Filling", "NoNamespaceSelected", "NotServed"}
)


@dataclass(frozen=True)
class Verdict:
    """A condition without its times. `status` is True, False or Unknown."""

    status: str
    reason: str
    message: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is True."""
        return self.status == "True"


@dataclass(frozen=True)
class Happening:
    """An event worth telling."""

    reason: str
    message: str
    warning: bool = False


def expiry(told: ClaimStatus) -> datetime | None:
    """Until when every registry of the claim can be pulled from; None where some has never had a credential."""
    regions = {registry.region for registry in told.claim.registries}
    if not regions or not regions <= told.expires_at.keys():
        return None
    return min(told.expires_at[region] for region in regions)


def is_well(told: ClaimStatus, now: datetime) -> bool:
    """Whether all that is claimed stands."""
    return _credentials(told, expiry(told), now).holds and _namespaces(told).holds


def served(resource: Resource, told: ClaimStatus, problems: tuple[str, ...], now: datetime) -> Object:
    """The status of an object whose claim is served."""
    until = expiry(told) or _ran_out(resource, told, now)
    credentials, namespaces = _credentials(told, until, now), _namespaces(told)
    if problems:
        ready = Verdict("False", REFUSED, "; ".join(problems))
    else:
        ready = next((each for each in (credentials, namespaces) if not each.holds), Verdict("True", "Ready"))
    status: Object = {
        "observedGeneration": resource.generation,
        "identity": told.claim.identity.named,
        "namespaces": {
            "selected": told.selected,
            "ready": told.ready,
            "summary": f"{told.ready}/{told.selected}",
        },
        "conditions": _conditions(
            resource,
            {
                _READY: ready,
                _CREDENTIALS: credentials,
                _NAMESPACES: namespaces,
                _SUSPENDED: _suspended(told.claim.suspended),
            },
            now,
        ),
    }
    if told.refreshed_at:
        status["lastRefreshTime"] = format_time(max(told.refreshed_at.values()))
    if until is not None:
        status["expirationTime"] = format_time(until)
    if told.errors:
        status["namespaceErrors"] = [
            {"namespace": error.namespace, "code": error.code, "message": _short(error.message)}
            for error in sorted(told.errors, key=lambda error: error.namespace)[:NAMESPACE_ERROR_LIMIT]
        ]
    return status


def refused(resource: Resource, problems: tuple[str, ...], now: datetime) -> Object:
    """The status of an object that makes no claim."""
    return _only_ready(resource, Verdict("False", REFUSED, "; ".join(problems)), now)


def not_served(resource: Resource, now: datetime) -> Object:
    """The status of an object that is left alone from now on: its secrets were taken back, it is not being deleted."""
    message = "custom resources are no longer served: pullSecret.customResources of the add-on awsECR is off"
    return _only_ready(resource, Verdict("False", "NotServed", message), now)


def differs(stored: Mapping[str, Any], status: Object) -> bool:
    """Whether `status` has to be written where `stored` stands; conditions of other types are not ours."""
    ours = {key: value for key, value in stored.items() if key != "conditions"}
    wanted = {key: value for key, value in status.items() if key != "conditions"}
    return ours != wanted or _by_type(stored) != _by_type(status)


def happenings(before: Mapping[str, Any], after: Object) -> list[Happening]:
    """What happened between two statuses of an object."""
    told: list[Happening] = []
    old, new = _by_type(before), _by_type(after)
    was, now = old.get(_SUSPENDED, {}).get("status", "False"), new.get(_SUSPENDED, {}).get("status", "False")
    if was != now:
        told.append(
            Happening("Suspended", "nothing is refreshed until spec.suspend is false")
            if now == "True"
            else Happening("Resumed", "refreshed again")
        )
    refreshed = after.get("lastRefreshTime")
    if refreshed is not None and refreshed != before.get("lastRefreshTime"):
        until = after.get("expirationTime")
        told.append(
            Happening(
                "Refreshed", f"credentials of {after['identity']}" + (f" until {until}" if until else "")
            )
        )
    for kind in (_CREDENTIALS, _NAMESPACES, _READY):
        failure = _failure(new.get(kind))
        if failure is not None and failure != _failure(old.get(kind)):
            told.append(Happening("Failed", f"{failure}: {new[kind]['message']}", warning=True))
            break
    return told


def _failure(condition: Mapping[str, Any] | None) -> str | None:
    """The issue code in a condition that fails, or is True in spite of a refresh that fails."""
    if condition is None or condition["reason"] in _NO_FAILURES:
        return None
    return str(condition["reason"])


def _ran_out(resource: Resource, told: ClaimStatus, now: datetime) -> datetime | None:
    """When the credential ended that the status still speaks of; the loop says nothing of one that is good no more."""
    if told.failure is not None or told.expires_at:
        return None
    try:
        stored = parse_time(str(resource.status.get("expirationTime")))
    except ValueError:
        return None
    return stored if stored <= now else None


def _credentials(told: ClaimStatus, until: datetime | None, now: datetime) -> Verdict:
    good = until is not None and until > now
    if told.failure is not None:
        code, words = told.failure
        if until is not None and good:
            return Verdict("True", code, f"good until {format_time(until)}; the refresh fails: {words}")
        return Verdict("False", code, words)
    if until is None:
        return Verdict("Unknown", "Pending", "AWS has not been asked yet")
    if not good:
        return Verdict("False", "Expired", f"they ran out at {format_time(until)}")
    return Verdict("True", "Valid", f"good until {format_time(until)}")


def _namespaces(told: ClaimStatus) -> Verdict:
    if told.errors:
        first = min(told.errors, key=lambda error: error.namespace)
        more = len(told.errors) - 1
        others = f" (and {more} more)" if more else ""
        return Verdict("False", first.code, f"{first.namespace}: {first.message}{others}")
    if not told.selected:
        return Verdict("True", "NoNamespaceSelected", "there is no namespace that the spec selects")
    counted = f"{told.ready} of {told.selected} namespaces have the secret"
    return (
        Verdict("True", "Filled", counted)
        if told.ready >= told.selected
        else Verdict("False", "Filling", counted)
    )


def _suspended(suspended: bool) -> Verdict:
    if suspended:
        return Verdict(
            "True", "Suspended", "nothing is refreshed, written or taken back until spec.suspend is false"
        )
    return Verdict("False", "Active")


def _only_ready(resource: Resource, ready: Verdict, now: datetime) -> Object:
    return {
        "observedGeneration": resource.generation,
        "conditions": _conditions(resource, {_READY: ready}, now),
    }


def _conditions(resource: Resource, verdicts: Mapping[str, Verdict], now: datetime) -> list[Object]:
    """The conditions; one whose status stays keeps its time."""
    stored = _by_type(resource.status)
    return [
        {
            "type": kind,
            "status": verdict.status,
            "reason": verdict.reason,
            "message": _short(verdict.message),
            "lastTransitionTime": stored[kind]["lastTransitionTime"]
            if stored.get(kind, {}).get("status") == verdict.status
            else format_time(now),
            "observedGeneration": resource.generation,
        }
        for kind, verdict in verdicts.items()
    ]


def _by_type(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {each["type"]: each for each in status.get("conditions") or () if each["type"] in _TYPES}


def _short(message: str) -> str:
    return message if len(message) <= _MESSAGE_LIMIT else f"{message[: _MESSAGE_LIMIT - 1]}…"
