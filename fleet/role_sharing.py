"""The clusters that share a role: what one of them changes about its trust policy concerns all of them.

Used by `controller`, one role at a time and never more rows than a policy has room for; `fleet.clusters.role_sharers`
reads whole roles for `addon_api`.
"""

from __future__ import annotations

from sqlalchemy import bindparam, exists, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from fleet import tables
from fleet.clusters import SHARERS, sharer_of
from fleet.database import CHANNEL, Database
from fleet.records import RoleSharer

_clusters = tables.clusters.c
_issues = tables.cluster_issues.c
_FIRST = SHARERS.limit(bindparam("most"))
_IS_HIT = exists().where(_issues.cluster_uid == _clusters.uid, _issues.code == bindparam("issue_code"))
_SHARING = (
    select(_clusters.uid)
    .where(
        _clusters.org == bindparam("key_org"),
        _clusters.role_arn == bindparam("role"),
        _clusters.uid != bindparam("besides_uid"),
        _clusters.issuer_url.is_not(None),
        _clusters.removal_requested_at.is_(None),
    )
    .order_by(_clusters.uid)
    .limit(bindparam("most"))
)
# One that is locked or gone meanwhile is being changed, and so is due by itself.
_WORK = (
    select(_clusters.uid, _clusters.shard, _clusters.generation)
    .where(_clusters.uid.in_(bindparam("uids", expanding=True)))
    .order_by(_clusters.uid)
    .with_for_update(read=True, key_share=True, skip_locked=True)
)
_COLUMNS = ("cluster_uid", "shard", "generation")
_NOTIFY = select(func.pg_notify(CHANNEL, literal("")))


def first(database: Database, org: str, role_arn: str, *, most: int) -> tuple[RoleSharer, ...]:
    """The first so many clusters of `org` that use the role and whose issuer is known, by name."""
    values = {"key_org": org, "role_arns": [role_arn], "most": most}
    with database.read() as session:
        rows = session.execute(_FIRST, values).all()
    return tuple(sharer_of(row) for row in rows)


def wake(
    database: Database, org: str, role_arn: str, code: str, *, hit: bool, besides: str, most: int
) -> None:
    """Makes due those of the role's clusters, at most so many, that `code` hits although it should not, or the reverse.

    Args:
        database: The fleet.
        org: Of the role's clusters.
        role_arn: The role.
        code: Of an issue that hits all clusters of a role, or none.
        hit: Whether it should hit them.
        besides: The uid of the cluster that noticed.
        most: How many at once; whoever is left out finds it at the next look.
    """
    sharing = _SHARING.where(~_IS_HIT if hit else _IS_HIT)
    values = {"key_org": org, "role": role_arn, "issue_code": code, "besides_uid": besides, "most": most}
    with database.read() as session:
        uids = session.execute(sharing, values).scalars().all()
    if not uids:
        return
    upsert = postgresql.insert if database.is_postgresql else sqlite.insert
    added = upsert(tables.work).from_select(_COLUMNS, _WORK).on_conflict_do_nothing()
    with database.write(durable=False) as session:
        session.execute(added, {"uids": uids})
        if database.is_postgresql:
            session.execute(_NOTIFY)
