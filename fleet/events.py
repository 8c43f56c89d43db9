"""The event log of a cluster: newest first, kept to the last 1,000 per cluster.

Written by the commands of `fleet` and with statuses, read by `addon_api`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection as Session
from sqlalchemy import bindparam, delete, insert, select

from fleet import tables
from fleet.database import Database
from fleet.records import ClusterKey, Event, Page
from schemas.errors import Invalid, NotFound
from schemas.status import Json

KEPT = 1000
"""How many events of one cluster are kept."""

_ID_DIGITS = 19  # of the largest 64-bit number: as text, ids sort as they were made
_events = tables.events.c
_clusters = tables.clusters.c
_NEWEST_FIRST = (
    select(_events.id, _events.created, _events.type, _events.reason, _events.body)
    .where(_events.cluster_uid == bindparam("uid"), _events.id < bindparam("before"))
    .order_by(_events.id.desc())
    .limit(bindparam("rows"))
)
_UID = select(_clusters.uid).where(
    _clusters.org == bindparam("key_org"), _clusters.name == bindparam("key_name")
)
_ADD = insert(tables.events)
_TRIM = delete(tables.events).where(
    _events.cluster_uid == bindparam("uid"),
    _events.id
    <= select(_events.id)
    .where(_events.cluster_uid == bindparam("uid"))
    .order_by(_events.id.desc())
    .offset(KEPT)
    .limit(1)
    .scalar_subquery(),
)


@dataclass(frozen=True)
class NewEvent:
    """An event to write; the id and time are given when it is stored. `type` is Normal or Warning."""

    type: str
    reason: str
    message: str
    context: Json = field(default_factory=dict)


def page(database: Database, key: ClusterKey, *, after: str | None = None, limit: int = 50) -> Page[Event]:
    """Raises `schemas.errors.NotFound`, and `schemas.errors.Invalid` for an `after` that is no event's id."""
    before = 2**63 - 1 if after is None else _number(after)
    with database.read() as session:
        uid = session.execute(_UID, {"key_org": key.org, "key_name": key.name}).scalar_one_or_none()
        if uid is None:
            raise NotFound(f"cluster {key} does not exist")
        rows = session.execute(_NEWEST_FIRST, {"uid": uid, "before": before, "rows": limit + 1}).all()
    items = []
    for number, created, kind, reason, body in rows[:limit]:
        document = json.loads(body)
        items.append(
            Event(f"{number:0{_ID_DIGITS}}", created, kind, reason, document["message"], document["context"])
        )
    return Page(tuple(items), items[-1].id if len(rows) > limit else None)


def add(session: Session, uid: str, events: Sequence[NewEvent], *, now: datetime) -> None:
    """Writes `events` in the transaction of what they tell of, the oldest of the cluster making room."""
    if not events:
        return
    rows = [
        {
            "cluster_uid": uid,
            "created": now,
            "type": event.type,
            "reason": event.reason,
            "body": tables.to_text({"message": event.message, "context": event.context}),
        }
        for event in events
    ]
    session.execute(_ADD, rows)
    session.execute(_TRIM, {"uid": uid})


def _number(event_id: str) -> int:
    if len(event_id) != _ID_DIGITS or not (event_id.isascii() and event_id.isdigit()):
        raise Invalid("`after` is not an event's id")
    return int(event_id)
