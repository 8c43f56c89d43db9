"""The fleet at once: how many clusters stand how, which issues hit the most, and what expires first.

Counted from columns, never from documents: it stays fast with ten thousand clusters. Called by `addon_api`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Session
from sqlalchemy import Row, bindparam, exists, func, select

from fleet import tables
from fleet.database import Database
from fleet.filters import Filter, narrowed
from fleet.standing import Standing

_MOST_ISSUES = 20
_NAMED = 3

_clusters = tables.clusters.c
_issues = tables.cluster_issues.c
_connections = tables.connections.c
_IN_ORG = _clusters.org == bindparam("key_org")
_STANDINGS = select(_clusters.standing, func.count()).where(_IN_ORG).group_by(_clusters.standing)
_ISSUES = (
    select(_issues.code, func.count().label("hits"))
    .where(_issues.org == bindparam("key_org"))
    .group_by(_issues.code)
    .order_by(func.count().desc(), _issues.code)
    .limit(_MOST_ISSUES)
)
_FIRST_TO_EXPIRE = (
    select(_clusters.name, _clusters.credentials_expire_at)
    .where(_IN_ORG, _clusters.credentials_expire_at.is_not(None))
    .order_by(_clusters.credentials_expire_at, _clusters.name)
    .limit(1)
)


# Correlated, so that it walks the index of expiries and ends with the first that is the organisation's.
_FIRST_OF_ORG = (
    select(_connections.cluster_uid, _connections.expires_at)
    .where(
        _connections.expires_at.is_not(None),
        exists().where(_clusters.uid == _connections.cluster_uid, _IN_ORG),
    )
    .order_by(_connections.expires_at)
    .limit(1)
    .subquery()
)
_FIRST_CONNECTION = select(_clusters.name, _FIRST_OF_ORG.c.expires_at).join(
    _FIRST_OF_ORG, _clusters.uid == _FIRST_OF_ORG.c.cluster_uid
)
_NAMES = select(_clusters.name).where(_IN_ORG).order_by(_clusters.name).limit(_NAMED)


@dataclass(frozen=True)
class Hit:
    """An issue: how many clusters it hits, and the first three of them by name."""

    code: str
    clusters: int
    first: tuple[str, ...]


@dataclass(frozen=True)
class Expiry:
    """What runs out first, and on which cluster."""

    cluster: str
    expires_at: datetime


@dataclass(frozen=True)
class Overview:
    """`issues` are the most common ones, the worst first (at most 20).

    `first_to_expire`: where pulls end first unless something is renewed; `first_connection_to_expire`: where the hub
    is locked out first. None: nothing is there that could run out.
    """

    standings: Mapping[Standing, int]
    issues: Sequence[Hit]
    first_to_expire: Expiry | None
    first_connection_to_expire: Expiry | None


def counts(database: Database, org: str, only: Filter) -> Mapping[Standing, int]:
    """How many of the clusters that `only` lets through stand how."""
    wanted, values = narrowed(_STANDINGS, {"key_org": org}, only)
    with database.read() as session:
        return _by_standing(session.execute(wanted, values))


def read(database: Database, org: str) -> Overview:
    """The overview of `org`."""
    values = {"key_org": org}
    with database.read() as session:
        standings = _by_standing(session.execute(_STANDINGS, values))
        hits = session.execute(_ISSUES, values).all()
        first = {code: _names(session, org, code) for code, _ in hits}
        credentials = session.execute(_FIRST_TO_EXPIRE, values).one_or_none()
        connection = session.execute(_FIRST_CONNECTION, values).one_or_none()
    return Overview(
        standings,
        [Hit(code, clusters, first[code]) for code, clusters in hits],
        None if credentials is None else Expiry(*credentials),
        None if connection is None else Expiry(*connection),
    )


def _names(session: Session, org: str, code: str) -> tuple[str, ...]:
    wanted, values = narrowed(_NAMES, {"key_org": org}, Filter(issue=code))
    return tuple(row[0] for row in session.execute(wanted, values))


def _by_standing(rows: Iterable[Row[*tuple[Any, ...]]]) -> dict[Standing, int]:
    return {Standing(standing): number for standing, number in rows if standing is not None}
