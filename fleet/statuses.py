"""Statuses: what a reconcile learned, written with its events under the shard's epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from fleet import events as event_log
from fleet import standing, tables
from fleet.cluster_rows import BY_UID_LOCKED, from_row
from fleet.database import Database
from fleet.events import NewEvent
from fleet.shards import hold
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
        standing=bindparam("new_standing"),
        search=bindparam("new_search"),
        last_seen=bindparam("new_last_seen"),
    )
)
_STATES = select(_states.add_on, _states.state).where(_states.cluster_uid == bindparam("uid"))
_CLEAR_STATES = delete(tables.add_on_states).where(_states.cluster_uid == bindparam("uid"))
_ADD_STATES = insert(tables.add_on_states)
_ISSUES = select(_issues.code).where(_issues.cluster_uid == bindparam("uid"))
_CLEAR_ISSUES = delete(tables.cluster_issues).where(_issues.cluster_uid == bindparam("uid"))
_ADD_ISSUES = insert(tables.cluster_issues)
_SEEN = (
    update(tables.clusters)
    .where(
        _clusters.uid == bindparam("row_uid"),
        or_(_clusters.last_seen.is_(None), _clusters.last_seen < bindparam("moment")),
    )
    .values(last_seen=bindparam("moment"))
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
    answered: bool = False,
) -> None:
    """Status and events in one transaction. Call it only when something changed.

    `answered` tells that the cluster answered just now. Nothing is written for a cluster that is gone.

    Raises:
        fleet.errors.StaleEpoch: another process holds the shard; nothing was written.
    """
    row: dict[str, Any] = {
        "row_uid": uid,
        "new_status": tables.to_text(status_words.to_json(status)),
        "new_issuer": status.oidc_provider_url,
        "new_audience": _audience(status.add_ons.get("awsWorkloadIdentity")),
        "new_expiry": _node_token_expiry(status.add_ons.get("awsECR")),
        "new_end": standing.credentials_expire_at(status),
    }
    states = {name: str(add_on.state) for name, add_on in status.add_ons.items()}
    codes = standing.issue_codes(status)
    with database.write(durable=False) as session:
        hold(session, shard, epoch)
        found = session.execute(BY_UID_LOCKED, {"uid": uid}).one_or_none()
        if found is None:
            return
        cluster = from_row(found)
        row["new_standing"] = str(standing.of_cluster(replace(cluster, status=status)))
        row["new_search"] = standing.search_text(cluster)  # a release before may have stored it, without
        row["new_last_seen"] = now if answered else cluster.last_seen
        session.execute(_WRITE, row)
        stored = {row.add_on: row.state for row in session.execute(_STATES, {"uid": uid})}
        if stored != states:
            session.execute(_CLEAR_STATES, {"uid": uid})
            if states:
                rows = [
                    {"cluster_uid": uid, "add_on": name, "state": states[name]} for name in sorted(states)
                ]
                session.execute(_ADD_STATES, rows)
        if codes != set(session.execute(_ISSUES, {"uid": uid}).scalars()):
            session.execute(_CLEAR_ISSUES, {"uid": uid})
            if codes:
                of_cluster = {"cluster_uid": uid, "org": cluster.key.org}
                session.execute(_ADD_ISSUES, [{**of_cluster, "code": code} for code in sorted(codes)])
        event_log.add(session, uid, events, now=now)


def seen(database: Database, moments: Mapping[str, datetime]) -> None:
    """Remembers when each of these clusters (by uid) answered last; a power cut may forget it.

    Raises:
        fleet.errors.DatabaseUnavailable: the database does not answer; nothing was written.
    """
    if moments:
        rows = [{"row_uid": uid, "moment": moments[uid]} for uid in sorted(moments)]
        with database.write(durable=False) as session:
            session.execute(_SEEN, rows)


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
