"""Clusters: read, page, and the commands that change one, each in one transaction.

A command commits manifest, version, audit, event and due work together. Called by `addon_api` and, for
`load` and `forget`, by `controller`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Session
from sqlalchemy import Row, bindparam, delete, select

from fleet import audit, events, issuers, tables, work
from fleet.cluster_rows import (
    BY_KEY,
    BY_UID,
    BY_UID_LOCKED,
    READ,
    columns,
    find_locked,
    from_row,
    lock,
    not_found,
    store,
)
from fleet.database import Database, insert_or_ignore
from fleet.events import NewEvent
from fleet.filters import Filter, narrowed
from fleet.records import Cluster, ClusterKey, Page, Principal, Removal, RoleSharer, Written
from fleet.shards import hold, shard_of
from schemas import trusted_accounts
from schemas.errors import Conflict, NotFound, PreconditionFailed

_clusters = tables.clusters.c
_PAGE = (
    READ.where(_clusters.org == bindparam("key_org"), _clusters.name > bindparam("after"))
    .order_by(_clusters.name)
    .limit(bindparam("rows"))
)
_OF_NAMES = READ.where(_clusters.org == bindparam("key_org")).order_by(_clusters.name)
# The names first, off an index alone: a row is wide, and only those of one page are read.
_NAMES = (
    select(_clusters.name)
    .where(_clusters.org == bindparam("key_org"), _clusters.name > bindparam("after"))
    .order_by(_clusters.name)
    .limit(bindparam("rows"))
)
_NAMES_BEFORE = (
    select(_clusters.name)
    .where(_clusters.org == bindparam("key_org"), _clusters.name < bindparam("before"))
    .order_by(_clusters.name.desc())
    .limit(bindparam("rows"))
)
SHARERS = (
    select(
        _clusters.role_arn,
        _clusters.name,
        _clusters.issuer_url,
        _clusters.audience,
        _clusters.trusted_accounts,
        _clusters.uid,
    )
    .where(
        _clusters.org == bindparam("key_org"),
        _clusters.role_arn.in_(bindparam("role_arns", expanding=True)),
        _clusters.issuer_url.is_not(None),
        _clusters.audience.is_not(None),
        _clusters.removal_requested_at.is_(None),
    )
    .order_by(_clusters.role_arn, _clusters.name)
)
_DELETE = delete(tables.clusters).where(_clusters.uid == bindparam("row_uid"))


@dataclass(frozen=True)
class Expectation:
    """What the writer believes is stored: from `If-Match` (412 when wrong) or the body (409 when wrong)."""

    version: int | None = None
    uid: str | None = None
    from_header: bool = False


@dataclass(frozen=True)
class Wish:
    """One whole manifest, checked by `schemas.manifest.parse`; `settings` None leaves the stored ones."""

    manifest: Mapping[str, Any]
    settings: Mapping[str, Any] | None = None


def read(database: Database, key: ClusterKey) -> Cluster:
    """Raises `schemas.errors.NotFound`."""
    with database.read() as session:
        row = session.execute(BY_KEY, {"key_org": key.org, "key_name": key.name}).one_or_none()
    if row is None:
        raise not_found(key)
    return from_row(row)


def load(database: Database, uid: str) -> Cluster | None:
    """The cluster by uid, None when it is gone."""
    with database.read() as session:
        row = session.execute(BY_UID, {"uid": uid}).one_or_none()
    return None if row is None else from_row(row)


def page(
    database: Database,
    org: str,
    *,
    after: str | None = None,
    before: str | None = None,
    limit: int = 50,
    only: Filter | None = None,
) -> Page[Cluster]:
    """Clusters of `org` by name: those behind `after`, or the last ones before `before` (which then rules)."""
    only = only or Filter()
    values = {"key_org": org, "after": after or "", "rows": limit + 1}
    if before is not None:
        names, values = narrowed(_NAMES_BEFORE, values | {"before": before}, only)
        wanted = _OF_NAMES.where(_clusters.name.in_(names))
    elif only != Filter():
        names, values = narrowed(_NAMES, values, only)
        wanted = _OF_NAMES.where(_clusters.name.in_(names))
    else:
        wanted = _PAGE
    with database.read() as session:
        rows = session.execute(wanted, values).all()
    more = len(rows) > limit
    if before is not None:
        items = tuple(from_row(row) for row in rows[-limit:])
        return Page(items, items[-1].key.name if items else None, items[0].key.name if more else None)
    items = tuple(from_row(row) for row in rows[:limit])
    behind_others = items and after
    return Page(items, items[-1].key.name if more else None, items[0].key.name if behind_others else None)


def role_sharers(
    database: Database, org: str, role_arns: Collection[str]
) -> Mapping[str, tuple[RoleSharer, ...]]:
    """For each `roleArn`: the clusters of `org` that use it for awsECR, whose issuer is known, by name.

    One indexed read whatever the number of roles: `roleArn`, issuer, audience and accounts stand in columns of their own,
    written with the manifest and the status. Clusters being removed are left out.
    """
    sharers: dict[str, list[RoleSharer]] = {role_arn: [] for role_arn in role_arns}
    if sharers:
        with database.read() as session:
            rows = session.execute(SHARERS, {"key_org": org, "role_arns": list(sharers)}).all()
        for row in rows:
            sharers[row.role_arn].append(sharer_of(row))
    return {role_arn: tuple(of_role) for role_arn, of_role in sharers.items()}


def sharer_of(row: Row[*tuple[Any, ...]]) -> RoleSharer:
    """The cluster of a row of `SHARERS`."""
    _, name, issuer, audience, accounts, uid = row
    # A release before 0.2 stored none, and nobody has changed the cluster since.
    trusted = trusted_accounts.BY_DEFAULT if accounts is None else tuple(json.loads(accounts))
    return RoleSharer(name, issuer, audience, trusted, uid)


def put(
    database: Database,
    principal: Principal,
    key: ClusterKey,
    wish: Wish,
    *,
    now: datetime,
    expect: Expectation | None = None,
) -> Written:
    """Creates or replaces; on a cluster being removed it cancels the removal. Same wish: changed is false.

    Raises:
        schemas.errors.Conflict: the body named another version or uid than the stored one.
        schemas.errors.PreconditionFailed: `If-Match` did, or there is no cluster to match.
    """
    with database.write() as session:
        while True:
            cluster = find_locked(session, key)
            if cluster is not None:
                _check(cluster, expect)
                return _replace(session, principal, cluster, wish, now=now)
            if expect is not None and expect.from_header:
                raise PreconditionFailed(f"cluster {key} does not exist")
            created = _create(session, principal, key, wish, now=now)
            if created is not None:
                return created


def create(
    database: Database, principal: Principal, key: ClusterKey, wish: Wish, *, now: datetime
) -> Written:
    """As `put`, but raises `schemas.errors.Conflict` when it exists (and is not being removed).

    On a cluster being removed the removal is cancelled and `created` is true all the same: whoever deletes and
    creates again at once (Terraform's `-replace`) asked for a new cluster and gets the answer for one.
    """
    with database.write() as session:
        while True:
            cluster = find_locked(session, key)
            if cluster is not None and cluster.removal is None:
                raise _exists(key)
            if cluster is not None:
                return replace(_replace(session, principal, cluster, wish, now=now), created=True)
            created = _create(session, principal, key, wish, now=now)
            if created is not None:
                return created


def refuse_existing(database: Database, key: ClusterKey) -> None:
    """Raises what `create` would, of a cluster that exists and is not being removed."""
    try:
        found = read(database, key)
    except NotFound:
        return
    if found.removal is None:
        raise _exists(key)


def _exists(key: ClusterKey) -> Conflict:
    return Conflict(f"cluster {key} exists already")


def patch(
    database: Database,
    principal: Principal,
    key: ClusterKey,
    change: Callable[[Cluster], Wish],
    *,
    now: datetime,
    expect: Expectation | None = None,
) -> Written:
    """Reads, lets `change` say the new wish (it may raise a refusal), writes: all in one transaction.

    Raises:
        schemas.errors.NotFound: there is no such cluster.
        schemas.errors.Conflict: the body named another version or uid, or the cluster is being removed.
        schemas.errors.PreconditionFailed: `If-Match` named another version.
    """
    with database.write() as session:
        cluster = lock(session, key)
        _check(cluster, expect)
        if cluster.removal is not None:
            raise Conflict(f"cluster {key} is being removed: PUT or POST it to keep it")
        return _replace(session, principal, cluster, change(cluster), now=now)


def remove(database: Database, principal: Principal, key: ClusterKey, *, now: datetime) -> Cluster | None:
    """Starts the removal phase (again: changes nothing). None: it was never connected, so it is gone already.

    Raises:
        schemas.errors.NotFound: there is no such cluster.
    """
    with database.write() as session:
        cluster = lock(session, key)
        if cluster.removal is not None:
            return cluster
        _record(session, principal, "delete", cluster, now=now)
        if not cluster.connected:
            _delete(session, cluster.uid)
            return None
        removal = Removal(requested_at=now, requested_by=principal.name)
        removed = replace(
            cluster,
            version=cluster.version + 1,
            generation=cluster.generation + 1,
            last_modified=now,
            removal=removal,
        )
        store(session, removed)
        event = NewEvent("Normal", "RemovalRequested", f"Removal requested by {principal.name}")
        events.add(session, cluster.uid, [event], now=now)
        return removed


def force_remove(database: Database, principal: Principal, key: ClusterKey, *, now: datetime) -> Cluster:
    """Forgets the cluster at once, its published issuer kept as a tombstone; returns what it was.

    Raises:
        schemas.errors.NotFound: there is no such cluster.
    """
    with database.write() as session:
        cluster = lock(session, key)
        _record(session, principal, "forceDelete", cluster, now=now)
        issuers.entomb(session, cluster.uid)
        _delete(session, cluster.uid)
        return cluster


def forget(database: Database, uid: str, *, shard: int, epoch: int, now: datetime) -> bool:
    """The removal phase is over: the cluster goes. False where it stays, for its removal was cancelled meanwhile.

    Raises:
        fleet.errors.StaleEpoch: another process holds the shard.
    """
    with database.write() as session:
        hold(session, shard, epoch)
        row = session.execute(BY_UID_LOCKED, {"uid": uid}).one_or_none()
        if row is None:
            return True
        cluster = from_row(row)
        if cluster.removal is None:
            return False
        _record(session, None, "forget", cluster, now=now)
        _delete(session, uid)
        return True


def _check(cluster: Cluster, expect: Expectation | None) -> None:
    if expect is None:
        return
    other_version = expect.version is not None and expect.version != cluster.version
    other_uid = expect.uid is not None and expect.uid != cluster.uid
    if other_version or other_uid:
        found = "it was deleted and created again" if other_uid else f"version {cluster.version} is stored"
        refusal = PreconditionFailed if expect.from_header else Conflict
        raise refusal(f"cluster {cluster.key} changed meanwhile: {found}")


def _create(
    session: Session, principal: Principal, key: ClusterKey, wish: Wish, *, now: datetime
) -> Written | None:
    """A new cluster; None when the name is taken."""
    uid = tables.new_id()
    cluster = Cluster(
        uid=uid,
        key=key,
        manifest=wish.manifest,
        settings={} if wish.settings is None else wish.settings,
        version=1,
        generation=1,
        created=now,
        last_modified=now,
    )
    row = columns(cluster) | {"uid": uid, "org": key.org, "name": key.name, "created": now}
    if not insert_or_ignore(session, tables.clusters, row | {"shard": shard_of(uid)}):
        return None
    work.enqueue(session, uid, shard=shard_of(uid), generation=1)
    _record(session, principal, "create", cluster, now=now)
    events.add(session, uid, [NewEvent("Normal", "Created", f"Created by {principal.name}")], now=now)
    return Written(cluster, created=True, changed=True)


def _replace(
    session: Session, principal: Principal, cluster: Cluster, wish: Wish, *, now: datetime
) -> Written:
    """Writes what differs; only spec, settings and an end of the removal concern a reconcile."""
    settings = cluster.settings if wish.settings is None else wish.settings
    cancels = cluster.removal is not None
    same_settings = tables.canonical(settings) == tables.canonical(cluster.settings)
    same_manifest = tables.canonical(wish.manifest) == tables.canonical(cluster.manifest)
    if same_settings and same_manifest and not cancels:
        return Written(cluster, created=False, changed=False)
    same_spec = tables.canonical(wish.manifest.get("spec")) == tables.canonical(cluster.manifest.get("spec"))
    acts = cancels or not (same_settings and same_spec)
    written = replace(
        cluster,
        manifest=wish.manifest,
        settings=settings,
        version=cluster.version + 1,
        generation=cluster.generation + (1 if acts else 0),
        last_modified=now,
        removal=None,
    )
    store(session, written, due=acts)
    _record(session, principal, "update", written, now=now)
    told = []
    if not (same_settings and same_manifest):
        context = {"version": written.version}
        told.append(NewEvent("Normal", "Updated", f"Updated by {principal.name}", context))
    if cancels:
        told.append(NewEvent("Normal", "RemovalCancelled", f"Removal cancelled by {principal.name}"))
    events.add(session, cluster.uid, told, now=now)
    return Written(written, created=False, changed=True)


def _delete(session: Session, uid: str) -> None:
    """The cluster and all that hangs on it; an issuer that is no tombstone goes too."""
    issuers.drop(session, uid)
    session.execute(_DELETE, {"row_uid": uid})


def _record(
    session: Session, principal: Principal | None, action: str, cluster: Cluster, *, now: datetime
) -> None:
    key = cluster.key
    audit.record(session, principal, action, org=key.org, name=key.name, version=cluster.version, now=now)
