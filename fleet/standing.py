"""How a cluster stands, in one word, and what else is asked of many clusters at once.

Kept in columns beside the documents, because a list of ten thousand cannot read all of them. Pure; used where a
cluster or its status is written, and by `addon_api` for the one that is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from fleet.records import Cluster
from schemas.addons import ADD_ONS
from schemas.status import AddOnStatus, ClusterStatus, State
from schemas.times import parse_time


class Standing(StrEnum):
    """The state of the worst add-on; before that, whether anything can be done with the cluster at all.

    In the order in which a person wants to see them.
    """

    FAILED = "Failed"
    BLOCKED = "Blocked"
    DEGRADED = "Degraded"
    NOT_CONNECTED = "NotConnected"
    REMOVING = "Removing"
    INSTALLING = "Installing"
    READY = "Ready"
    DISABLED = "Disabled"


MOST_SEARCHED = 500  # an index holds it, whose rows PostgreSQL keeps under 2,704 bytes
_WORST_FIRST = (
    State.FAILED,
    State.BLOCKED,
    State.DEGRADED,
    State.REMOVING,
    State.INSTALLING,
    State.READY,
)


def of_cluster(cluster: Cluster) -> Standing:
    """How `cluster` stands; an add-on that was enabled a moment ago is being installed."""
    if cluster.removal is not None:
        return Standing.REMOVING
    if not cluster.connected:
        return Standing.NOT_CONNECTED
    states = {add_on.state for add_on in cluster.status.add_ons.values()}
    enabled = cluster.manifest["spec"].get("addOns") or {}
    if any(key in ADD_ONS and key not in cluster.status.add_ons for key in enabled):
        states.add(State.INSTALLING)
    return _worst(states)


def issue_codes(status: ClusterStatus) -> frozenset[str]:
    """The codes of everything that needs a person."""
    found = [*status.issues, *(issue for add_on in status.add_ons.values() for issue in add_on.issues)]
    return frozenset(issue.code for issue in found)


def credentials_expire_at(status: ClusterStatus) -> datetime | None:
    """When pulls end unless something is renewed: the earlier of the pull secrets' and the nodes' credentials."""
    registries = status.add_ons.get("awsECR")
    if registries is None:
        return None
    moments = (
        _moment(registries, "credentials", "expiresAt"),
        _moment(registries, "nodes", "tokenExpiresAt"),
    )
    return min((moment for moment in moments if moment is not None), default=None)


def search_text(cluster: Cluster) -> str:
    """What a person may look for, in lower case: name, provider, role, tags, description; the first 500 characters.

    What PostgreSQL's text refuses (NUL) or no text can hold (half a surrogate pair) is left out: the manifest may
    hold it, as JSON.
    """
    manifest = cluster.manifest
    spec: Mapping[str, Any] = manifest["spec"]
    role = ((spec.get("addOns") or {}).get("awsECR") or {}).get("roleArn")
    tags = (f"{key}={value}" for key, value in (manifest.get("tags") or {}).items())
    parts = (cluster.key.name, *(spec.get("provider") or {}), role, *tags, manifest.get("description"))
    text = "\n".join(str(part) for part in parts if part).lower().replace("\x00", "")
    return text.encode(errors="ignore").decode()[:MOST_SEARCHED]


def _worst(states: set[State]) -> Standing:
    return next((Standing(state.value) for state in _WORST_FIRST if state in states), Standing.DISABLED)


def _moment(add_on: AddOnStatus, member: str, name: str) -> datetime | None:
    found: Any = add_on.details.get(member)
    text = found.get(name) if isinstance(found, Mapping) else None
    return parse_time(text) if isinstance(text, str) else None
