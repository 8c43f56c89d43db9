"""The fleet at once: how many clusters stand how, which issues hit the most, and what expires first.

Counted from columns, never from documents: it stays fast with ten thousand clusters. Called by `addon_api`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, select

from fleet import tables
from fleet.database import Database
from fleet.standing import Standing

_MOST_ISSUES = 20

_clusters = tables.clusters.c
_issues = tables.cluster_issues.c
_IN_ORG = _clusters.org == bindparam("key_org")
_STANDINGS = select(_clusters.standing, func.count()).where(_IN_ORG).group_by(_clusters.standing)
_ISSUES = (
    select(_issues.code, func.count().label("hits"))
    .join(tables.clusters, _clusters.uid == _issues.cluster_uid)
    .where(_IN_ORG)
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
_EACH = select(_clusters.name, _clusters.standing).where(_IN_ORG).order_by(_clusters.name)


@dataclass(frozen=True)
class Overview:
    """`issues` maps codes to the number of clusters hit, the most common first (at most 20).

    `first_to_expire` is the cluster whose pulls end first unless something is renewed, and when.
    """

    standings: Mapping[Standing, int]
    issues: Mapping[str, int]
    first_to_expire: tuple[str, datetime] | None


def read(database: Database, org: str) -> Overview:
    """The overview of `org`."""
    with database.read() as session:
        standings = {
            Standing(standing): number
            for standing, number in session.execute(_STANDINGS, {"key_org": org})
            if standing is not None
        }
        issues = {row.code: row.hits for row in session.execute(_ISSUES, {"key_org": org})}
        first = session.execute(_FIRST_TO_EXPIRE, {"key_org": org}).one_or_none()
    return Overview(standings, issues, None if first is None else (first[0], first[1]))


def each(database: Database, org: str) -> list[tuple[str, Standing]]:
    """Name and standing of every cluster of `org`, by name."""
    with database.read() as session:
        rows = session.execute(_EACH, {"key_org": org}).all()
    return [(name, Standing(standing)) for name, standing in rows if standing is not None]
