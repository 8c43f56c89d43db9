"""The status of a cluster and of its add-ons: the words the controller writes and every face reads.

Written by `controller`, stored by `fleet` as JSON, shown by `addon_api`. The agent's report is another
document (`schemas.agent_documents`), from which the controller computes this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from schemas.stored import Members
from schemas.times import format_time

Json = dict[str, Any]


class State(StrEnum):
    """The state of an add-on in one word."""

    DISABLED = "Disabled"
    BLOCKED = "Blocked"  # waits for the user: a role, a connection
    INSTALLING = "Installing"
    READY = "Ready"
    DEGRADED = "Degraded"
    FAILED = "Failed"
    REMOVING = "Removing"


@dataclass(frozen=True)
class Condition:
    """One condition, as in Kubernetes (`metav1.Condition`)."""

    type: str  # Reachable, IssuerUsable, Installed, CredentialsVerified, Ready
    status: str  # True, False, Unknown
    reason: str
    message: str
    last_transition_time: datetime
    observed_generation: int


@dataclass(frozen=True)
class Issue:
    """Something that needs a person: `code` is stable, `remedy` is the exact command or step."""

    code: str
    message: str
    remedy: str
    resources: tuple[str, ...] = ()


@dataclass(frozen=True)
class AddOnStatus:
    """What is known of one add-on on one cluster.

    `details` holds the members of the add-on's own (for awsECR: `delivery`, `credentials`), JSON-ready.
    """

    state: State
    conditions: tuple[Condition, ...] = ()
    issues: tuple[Issue, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ClusterStatus:
    """What is known of one cluster: written by a reconcile, whole, and only when it changed."""

    observed_generation: int = 0
    oidc_provider_url: str | None = None
    server_url: str | None = None
    conditions: tuple[Condition, ...] = ()
    issues: tuple[Issue, ...] = ()
    add_ons: Mapping[str, AddOnStatus] = field(default_factory=dict)


def to_json(status: ClusterStatus) -> Json:
    """`status` as the JSON object that is stored and shown (camelCase; times RFC 3339 in UTC).

    The `details` of an add-on stand beside its `state`, `conditions` and `issues`, where the wire contract
    wants them (`addOns.awsECR.trustPolicy`).

    Raises:
        ValueError: `details` holds one of those three names.
    """
    document: Json = {
        "observedGeneration": status.observed_generation,
        "conditions": [_condition_to_json(condition) for condition in status.conditions],
        "issues": [issue_to_json(issue) for issue in status.issues],
        "addOns": {key: _add_on_to_json(add_on) for key, add_on in status.add_ons.items()},
    }
    if status.oidc_provider_url is not None:
        document["oidcProviderUrl"] = status.oidc_provider_url
    if status.server_url is not None:
        document["serverUrl"] = status.server_url
    return document


def from_json(document: Mapping[str, Any]) -> ClusterStatus:
    """The inverse of `to_json`; unknown members are ignored (a newer hub wrote them).

    Raises:
        ValueError: a member is missing or of another type; the message names it.
    """
    members = Members(document)
    add_ons = members.member("addOns")
    return ClusterStatus(
        observed_generation=members.integer("observedGeneration", 0),
        oidc_provider_url=members.optional_text("oidcProviderUrl"),
        server_url=members.optional_text("serverUrl"),
        conditions=tuple(_condition(item) for item in members.list_of_members("conditions")),
        issues=tuple(_issue(item) for item in members.list_of_members("issues")),
        add_ons={key: _add_on(add_ons.member(key)) for key in add_ons.rest()},
    )


def with_transition_times(new: ClusterStatus, old: ClusterStatus | None) -> ClusterStatus:
    """`new`, where each condition whose `status` equals the old one's keeps the old transition time.

    Conditions are matched by type, the cluster's with the cluster's and an add-on's with the same add-on's.
    """
    if old is None:
        return new
    return replace(
        new,
        conditions=_keep_times(new.conditions, old.conditions),
        add_ons={
            key: replace(add_on, conditions=_keep_times(add_on.conditions, old.add_ons[key].conditions))
            if key in old.add_ons
            else add_on
            for key, add_on in new.add_ons.items()
        },
    )


def issue_to_json(issue: Issue) -> Json:
    """One issue as every face shows it."""
    return {
        "code": issue.code,
        "message": issue.message,
        "remedy": issue.remedy,
        "resources": list(issue.resources),
    }


_OWN_MEMBERS = ("state", "conditions", "issues")


def _keep_times(new: tuple[Condition, ...], old: tuple[Condition, ...]) -> tuple[Condition, ...]:
    before = {(condition.type, condition.status): condition.last_transition_time for condition in old}
    return tuple(
        replace(
            condition,
            last_transition_time=before.get(
                (condition.type, condition.status), condition.last_transition_time
            ),
        )
        for condition in new
    )


def _condition_to_json(condition: Condition) -> Json:
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": format_time(condition.last_transition_time),
        "observedGeneration": condition.observed_generation,
    }


def _add_on_to_json(add_on: AddOnStatus) -> Json:
    taken = sorted(set(_OWN_MEMBERS) & set(add_on.details))
    if taken:
        raise ValueError(f"details of an add-on may not hold {', '.join(taken)}")
    return {
        **add_on.details,
        "state": str(add_on.state),
        "conditions": [_condition_to_json(condition) for condition in add_on.conditions],
        "issues": [issue_to_json(issue) for issue in add_on.issues],
    }


def _condition(members: Members) -> Condition:
    return Condition(
        type=members.text("type"),
        status=members.text("status"),
        reason=members.text("reason", ""),
        message=members.text("message", ""),
        last_transition_time=members.time("lastTransitionTime"),
        observed_generation=members.integer("observedGeneration", 0),
    )


def _issue(members: Members) -> Issue:
    return Issue(
        code=members.text("code"),
        message=members.text("message", ""),
        remedy=members.text("remedy", ""),
        resources=members.texts("resources"),
    )


def _add_on(members: Members) -> AddOnStatus:
    return AddOnStatus(
        state=members.choice("state", State),
        conditions=tuple(_condition(item) for item in members.list_of_members("conditions")),
        issues=tuple(_issue(item) for item in members.list_of_members("issues")),
        details=members.rest(*_OWN_MEMBERS),
    )
