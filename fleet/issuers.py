"""Published issuers: the JWKS of private clusters that the hub serves to AWS.

Keys are pinned: what a cluster shows at first is served; another set waits for an admin's yes, because whoever
changes it could sign as any workload. Written by `controller`, served by `addon_api`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Session
from sqlalchemy import Row, bindparam, delete, select, update

from fleet import audit, cluster_rows, events, tables
from fleet.database import Database, insert_or_ignore
from fleet.events import NewEvent
from fleet.records import ClusterKey, Principal, PublishedIssuer
from schemas.errors import Conflict, NotFound

_issuers = tables.issuers.c
_clusters = tables.clusters.c
_READ = select(_issuers.id, _issuers.cluster_uid, _issuers.jwks, _issuers.pending_jwks, _issuers.tombstone)
_BY_ID = _READ.where(_issuers.id == bindparam("issuer_id"))
_BY_CLUSTER = _READ.where(_issuers.cluster_uid == bindparam("uid"))
_BY_CLUSTER_LOCKED = _BY_CLUSTER.with_for_update()
_EVERY = _READ.where(_issuers.jwks != "{}").order_by(_issuers.id)
_OWNER = select(_clusters.org, _clusters.name).where(_clusters.uid == bindparam("uid"))
_STORE = (
    update(tables.issuers)
    .where(_issuers.id == bindparam("issuer_id"))
    .values(jwks=bindparam("new_keys"), pending_jwks=bindparam("new_pending"))
)
_ENTOMB = (
    update(tables.issuers)
    .where(_issuers.cluster_uid == bindparam("uid"), _issuers.jwks != "{}")
    .values(tombstone=True, pending_jwks=None)
)
_DROP = delete(tables.issuers).where(_issuers.cluster_uid == bindparam("uid"), _issuers.tombstone.is_(False))
_BURY = (
    delete(tables.issuers)
    .where(
        _issuers.id == bindparam("issuer_id"),
        _issuers.org == bindparam("issuer_org"),
        _issuers.tombstone.is_(True),
    )
    .returning(_issuers.cluster)
)


def reserve(database: Database, cluster_uid: str) -> PublishedIssuer:
    """The cluster's issuer; made with a random id and no keys at first.

    Raises:
        schemas.errors.NotFound: the cluster is gone.
    """
    found = of_cluster(database, cluster_uid)
    if found is not None:
        return found
    with database.write() as session:
        owner = session.execute(_OWNER.with_for_update(read=True), {"uid": cluster_uid}).one_or_none()
        if owner is None:
            raise NotFound("the cluster is gone")
        row = {
            "id": tables.new_id(),
            "cluster_uid": cluster_uid,
            "org": owner.org,
            "cluster": owner.name,
            "jwks": "{}",
            "pending_jwks": None,
            "tombstone": False,
        }
        insert_or_ignore(session, tables.issuers, row)
        return _issuer(session.execute(_BY_CLUSTER, {"uid": cluster_uid}).one())


def observe(database: Database, cluster_uid: str, keys: Mapping[str, Any]) -> PublishedIssuer:
    """Pins the first keys; later other ones become pending, and the same ones again clear what was pending.

    Keys are the same when each of them is pinned: a cluster that drops an old key gains nothing by it. A set
    without a key says nothing and changes nothing.

    Raises:
        schemas.errors.NotFound: no issuer was reserved, or the cluster is gone.
    """
    stored = of_cluster(database, cluster_uid)
    if stored is not None and _observed(stored, keys) == stored:
        return stored
    with database.write() as session:
        row = session.execute(_BY_CLUSTER_LOCKED, {"uid": cluster_uid}).one_or_none()
        if row is None:
            raise NotFound("the cluster has no published issuer")
        observed = _observed(_issuer(row), keys)
        _store(session, observed)
        return observed


def accept(
    database: Database, principal: Principal, key: ClusterKey, fingerprint: str, *, now: datetime
) -> PublishedIssuer:
    """An admin's yes to the pending keys with this fingerprint.

    The old keys stay served beside the new ones, so that tokens already issued go on being believed.

    Raises:
        schemas.errors.Conflict: other keys are pending now, or none.
        schemas.errors.NotFound: there is no such cluster, or it has no published issuer.
    """
    with database.write() as session:
        cluster = cluster_rows.lock(session, key)
        row = session.execute(_BY_CLUSTER_LOCKED, {"uid": cluster.uid}).one_or_none()
        if row is None:
            raise NotFound(f"cluster {key} has no published issuer")
        issuer = _issuer(row)
        if issuer.pending_keys is None:
            raise Conflict(f"no other keys of cluster {key} wait to be accepted")
        shown = _fingerprint(issuer.pending_keys)
        if shown != fingerprint:
            raise Conflict(f"the keys of cluster {key} that wait now have the fingerprint {shown}")
        accepted = replace(issuer, keys=_merged(issuer.keys, issuer.pending_keys), pending_keys=None)
        _store(session, accepted)
        cluster_rows.count_up(session, cluster)
        audit.record(
            session, principal, "acceptKeys", org=key.org, name=key.name, version=cluster.version, now=now
        )
        event = NewEvent("Normal", "IssuerKeysAccepted", f"{shown} accepted by {principal.name}")
        events.add(session, cluster.uid, [event], now=now)
        return accepted


def fingerprint(keys: Mapping[str, Any]) -> str:
    """A short stable name of a key set: `SHA256:` and base64url; the order of the keys does not matter."""
    digest = hashlib.sha256("\n".join(sorted(_by_text(keys))).encode()).digest()
    return f"SHA256:{base64.urlsafe_b64encode(digest).decode('ascii').rstrip('=')}"


_fingerprint = fingerprint  # `accept` has a parameter of this name


def read(database: Database, issuer_id: str) -> PublishedIssuer | None:
    """By id; tombstones included."""
    with database.read() as session:
        row = session.execute(_BY_ID, {"issuer_id": issuer_id}).one_or_none()
    return None if row is None else _issuer(row)


def of_cluster(database: Database, cluster_uid: str) -> PublishedIssuer | None:
    """By cluster."""
    with database.read() as session:
        row = session.execute(_BY_CLUSTER, {"uid": cluster_uid}).one_or_none()
    return None if row is None else _issuer(row)


def every(database: Database) -> Iterator[PublishedIssuer]:
    """All that have keys, for `pullpass oidc export`."""
    with database.read() as session:
        rows = session.execute(_EVERY).all()
    yield from map(_issuer, rows)


def bury(database: Database, principal: Principal, issuer_id: str, *, now: datetime) -> bool:
    """Ends a tombstone of the principal's organisation for good; False when there is none by that id."""
    with database.write() as session:
        name = session.execute(
            _BURY, {"issuer_id": issuer_id, "issuer_org": principal.org}
        ).scalar_one_or_none()
        if name is None:
            return False
        audit.record(session, principal, "bury", org=principal.org, name=name, resource="issuer", now=now)
        return True


def entomb(session: Session, cluster_uid: str) -> None:
    """The cluster is forgotten by force: its keys go on being served until somebody confirms with `bury`."""
    session.execute(_ENTOMB, {"uid": cluster_uid})


def drop(session: Session, cluster_uid: str) -> None:
    """The cluster goes: so does its issuer, unless it is a tombstone."""
    session.execute(_DROP, {"uid": cluster_uid})


def _observed(issuer: PublishedIssuer, keys: Mapping[str, Any]) -> PublishedIssuer:
    shown = _by_text(keys)
    if not shown or issuer.tombstone:
        return issuer
    pinned = _by_text(issuer.keys)
    if not pinned:
        return replace(issuer, keys=keys, pending_keys=None)
    if shown.keys() <= pinned.keys():
        return replace(issuer, pending_keys=None)
    return replace(issuer, pending_keys=keys)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
    """One key set with the newest first; a key that is in both stands once."""
    return {"keys": list((_by_text(new) | _by_text(old)).values())}


def _by_text(keys: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a JWKS (RFC 7517), each under its canonical text."""
    return {tables.canonical(key): key for key in keys.get("keys", ())}


def _store(session: Session, issuer: PublishedIssuer) -> None:
    pending = None if issuer.pending_keys is None else tables.to_text(issuer.pending_keys)
    row = {"issuer_id": issuer.id, "new_keys": tables.to_text(issuer.keys), "new_pending": pending}
    session.execute(_STORE, row)


def _issuer(row: Row[*tuple[Any, ...]]) -> PublishedIssuer:
    issuer_id, cluster_uid, keys, pending_keys, tombstone = row
    return PublishedIssuer(
        id=issuer_id,
        cluster_uid=cluster_uid,
        keys=json.loads(keys),
        pending_keys=None if pending_keys is None else json.loads(pending_keys),
        tombstone=tombstone,
    )
