"""Statuses: what a reconcile learned, written with its events under the shard's epoch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, case, delete, func, insert, select, update

from fleet import events as event_log
from fleet import standing, tables
from fleet.database import Database
from fleet.events import NewEvent
from fleet.shards import hold
from fleet.standing import Standing
from schemas import status as status_words
from schemas.status import AddOnStatus, ClusterStatus
from schemas.times import parse_time

_clusters = tables.clusters.c
_states = tables.add_on_states.c
_issues = tables.cluster_issues.c
_WRITE = (
    update(tables.clusters)
    .where(_clusters.uid == bindparam("row_uid"))
    .values(
        status=bindparam("new_status"),
        issuer_url=bindparam("new_issuer"),
        audience=bindparam("new_audience"),
        node_token_expires_at=bindparam("new_expiry"),
        credentials_expire_at=bindparam("new_end"),
        standing=case(
            (_clusters.removal_requested_at.is_not(None), str(Standing.REMOVING)),
            (_clusters.connected.is_(False), str(Standing.NOT_CONNECTED)),
            else_=bindparam("new_standing"),
        ),
    )
)
_STATES = select(_states.add_on, _states.state).where(_states.cluster_uid == bindparam("uid"))
_CLEAR_STATES = delete(tables.add_on_states).where(_states.cluster_uid == bindparam("uid"))
_ADD_STATES = insert(tables.add_on_states)
_ISSUES = select(_issues.code).where(_issues.cluster_uid == bindparam("uid"))
_CLEAR_ISSUES = delete(tables.cluster_issues).where(_issues.cluster_uid == bindparam("uid"))
_ADD_ISSUES = insert(tables.cluster_issues)
_SEEN = (
    update(tables.clusters).where(_clusters.uid == bindparam("row_uid")).values(last_seen=bindparam("moment"))
)
_EARLIEST_NODE_TOKEN = select(func.min(_clusters.node_token_expires_at))
_COUNTS = select(_states.add_on, _states.state, func.count()).group_by(_states.add_on, _states.state)


def write(
    database: Database,
    uid: str,
    status: ClusterStatus,
    events: Sequence[NewEvent],
    *,
    shard: int,
    epoch: int,
    now: datetime,
) -> None:
    """Status and events in one transaction. Call it only when something changed.

    Nothing is written for a cluster that is gone.

    Raises:
        fleet.errors.StaleEpoch: another process holds the shard; nothing was written.
    """
    row = {
        "row_uid": uid,
        "new_status": tables.to_text(status_words.to_json(status)),
        "new_issuer": status.oidc_provider_url,
        "new_audience": _audience(status.add_ons.get("awsWorkloadIdentity")),
        "new_expiry": _node_token_expiry(status.add_ons.get("awsECR")),
        "new_end": standing.credentials_expire_at(status),
        "new_standing": str(standing.of_status(status)),
    }
    states = {name: str(add_on.state) for name, add_on in status.add_ons.items()}
    with database.write(durable=False) as session:
        hold(session, shard, epoch)
        if session.execute(_WRITE, row).rowcount == 0:
            return
        stored = {row.add_on: row.state for row in session.execute(_STATES, {"uid": uid})}
        if stored != states:
            session.execute(_CLEAR_STATES, {"uid": uid})
            if states:
                rows = [
                    {"cluster_uid": uid, "add_on": name, "state": states[name]} for name in sorted(states)
                ]
                session.execute(_ADD_STATES, rows)
        codes = standing.issue_codes(status)
        if codes != set(session.execute(_ISSUES, {"uid": uid}).scalars()):
            session.execute(_CLEAR_ISSUES, {"uid": uid})
            if codes:
                session.execute(_ADD_ISSUES, [{"cluster_uid": uid, "code": code} for code in sorted(codes)])
        event_log.add(session, uid, events, now=now)


def seen(database: Database, uids: Collection[str], *, now: datetime) -> None:
    """Remembers that these clusters answered just now; a power cut may forget it."""
    if uids:
        with database.write(durable=False) as session:
            session.execute(_SEEN, [{"row_uid": uid, "moment": now} for uid in sorted(uids)])


def counts(database: Database) -> dict[tuple[str, str], int]:
    """(add-on, state) to the number of clusters, for `/metrics`."""
    with database.read() as session:
        return {(add_on, state): number for add_on, state, number in session.execute(_COUNTS)}


def earliest_node_token_expiry(database: Database) -> datetime | None:
    """When the first token on a node of the fleet runs out (kept in a plain column), for `/metrics`."""
    with database.read() as session:
        earliest: datetime | None = session.execute(_EARLIEST_NODE_TOKEN).scalar_one()
    return earliest


def _audience(identity: AddOnStatus | None) -> str | None:
    """`oidcProviderConfig.audience` of awsWorkloadIdentity: what a statement of the trust policy pins."""
    provider: Any = identity.details.get("oidcProviderConfig") if identity is not None else None
    audience = provider.get("audience") if isinstance(provider, Mapping) else None
    return audience if isinstance(audience, str) else None


def _node_token_expiry(registries: AddOnStatus | None) -> datetime | None:
    """`nodes.tokenExpiresAt` of awsECR."""
    nodes: Any = registries.details.get("nodes") if registries is not None else None
    moment = nodes.get("tokenExpiresAt") if isinstance(nodes, Mapping) else None
    return parse_time(moment) if isinstance(moment, str) else None


__all__ = ["NewEvent", "counts", "earliest_node_token_expiry", "seen", "write"]
