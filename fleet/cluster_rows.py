"""The row of a cluster: how it becomes a `Cluster` and how it is held and stored.

Below `fleet.clusters`, and below whatever else changes a cluster in the same transaction (`fleet.connections`,
`fleet.issuers`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection as Session
from sqlalchemy import Row, bindparam, select, update

from fleet import standing, tables, work
from fleet.records import Cluster, ClusterKey, Removal
from fleet.shards import shard_of
from schemas import status as status_words
from schemas import trusted_accounts
from schemas.errors import NotFound

_clusters = tables.clusters.c
READ = select(
    _clusters.uid,
    _clusters.org,
    _clusters.name,
    _clusters.manifest,
    _clusters.settings,
    _clusters.version,
    _clusters.generation,
    _clusters.created,
    _clusters.last_modified,
    _clusters.connected,
    _clusters.removal_requested_at,
    _clusters.removal_requested_by,
    _clusters.status,
    _clusters.last_seen,
)
BY_KEY = READ.where(_clusters.org == bindparam("key_org"), _clusters.name == bindparam("key_name"))
_BY_KEY_LOCKED = BY_KEY.with_for_update()
BY_UID = READ.where(_clusters.uid == bindparam("uid"))
BY_UID_LOCKED = BY_UID.with_for_update()
_UPDATE = update(tables.clusters).where(_clusters.uid == bindparam("row_uid"))

_decode = json.JSONDecoder().decode
_UNKNOWN = status_words.ClusterStatus()


def find_locked(session: Session, key: ClusterKey) -> Cluster | None:
    """The cluster, held until the end of the transaction."""
    row = session.execute(_BY_KEY_LOCKED, {"key_org": key.org, "key_name": key.name}).one_or_none()
    return None if row is None else from_row(row)


def lock(session: Session, key: ClusterKey) -> Cluster:
    """As `find_locked`; raises `schemas.errors.NotFound`."""
    cluster = find_locked(session, key)
    if cluster is None:
        raise not_found(key)
    return cluster


def store(session: Session, cluster: Cluster, *, due: bool = True) -> None:
    """Writes what a command may change of a locked cluster, and makes it due."""
    session.execute(_UPDATE, columns(cluster) | {"row_uid": cluster.uid})
    if due:
        work.enqueue(session, cluster.uid, shard=shard_of(cluster.uid), generation=cluster.generation)


def count_up(session: Session, cluster: Cluster, *, connected: bool = False) -> Cluster:
    """A change outside the manifest that a reconcile must act on: the locked cluster's generation goes up."""
    connected = cluster.connected or connected
    changed = replace(cluster, generation=cluster.generation + 1, connected=connected)
    store(session, changed)
    return changed


def columns(cluster: Cluster) -> dict[str, Any]:
    """The columns that a command may change."""
    return {
        "manifest": tables.to_text(cluster.manifest),
        "settings": tables.to_text(cluster.settings),
        "version": cluster.version,
        "generation": cluster.generation,
        "last_modified": cluster.last_modified,
        "connected": cluster.connected,
        "removal_requested_at": cluster.removal.requested_at if cluster.removal else None,
        "removal_requested_by": cluster.removal.requested_by if cluster.removal else None,
        "standing": str(standing.of_cluster(cluster)),
        "search": standing.search_text(cluster),
        "role_arn": _role_arn(cluster.manifest),
        "trusted_accounts": json.dumps(trusted_accounts.of_cluster(cluster.manifest, cluster.settings)),
    }


def _role_arn(manifest: Mapping[str, Any]) -> str | None:
    """`spec.addOns.awsECR.roleArn`, None when the add-on or the role is not there."""
    value: Any = manifest
    for member in ("spec", "addOns", "awsECR", "roleArn"):
        value = value.get(member) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None


def from_row(row: Row[*tuple[Any, ...]]) -> Cluster:
    """The cluster of a row of `READ`."""
    (
        uid,
        org,
        name,
        manifest,
        settings,
        version,
        generation,
        created,
        last_modified,
        connected,
        requested_at,
        requested_by,
        status,
        last_seen,
    ) = row
    return Cluster(
        uid=uid,
        key=ClusterKey(org, name),
        manifest=_decode(manifest),
        settings=_decode(settings),
        version=version,
        generation=generation,
        created=created,
        last_modified=last_modified,
        connected=connected,
        removal=None if requested_at is None else Removal(requested_at, requested_by),
        status=_UNKNOWN if status is None else status_words.from_json(_decode(status)),
        last_seen=last_seen,
    )


def not_found(key: ClusterKey) -> NotFound:
    """The refusal for a name that is not there."""
    return NotFound(f"cluster {key} does not exist")
