"""The status of a cluster and of its add-ons: the words the controller writes and every face reads.

Written by `controller`, stored by `fleet` as JSON, shown by `addon_api`. The agent's report is another
document (`schemas.agent_documents`), from which the controller computes this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

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
    """`status` as the JSON object that is stored and shown (camelCase; times RFC 3339 in UTC)."""
    raise NotImplementedError


def from_json(document: Mapping[str, Any]) -> ClusterStatus:
    """The inverse of `to_json`; unknown members are ignored (a newer hub wrote them)."""
    raise NotImplementedError


def with_transition_times(new: ClusterStatus, old: ClusterStatus | None) -> ClusterStatus:
    """`new`, where each condition whose `status` equals the old one's keeps the old transition time."""
    raise NotImplementedError
