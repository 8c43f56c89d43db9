"""Clusters: read, page, and the commands that change one, each in one transaction.

A command commits manifest, version, audit, event and due work together. Called by `addon_api` and, for
`load` and `forget`, by `controller`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fleet.database import Database
from fleet.records import Cluster, ClusterKey, Page, Principal, RoleSharer, Written


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
    raise NotImplementedError


def load(database: Database, uid: str) -> Cluster | None:
    """The cluster by uid, None when it is gone."""
    raise NotImplementedError


def page(database: Database, org: str, *, after: str | None = None, limit: int = 50) -> Page[Cluster]:
    """Clusters of `org` by name."""
    raise NotImplementedError


def role_sharers(
    database: Database, org: str, role_arns: Collection[str]
) -> Mapping[str, tuple[RoleSharer, ...]]:
    """For each `roleArn`: the clusters of `org` that use it for awsECR, whose issuer is known, by name.

    One indexed read whatever the number of roles: `roleArn`, issuer and audience stand in columns of their own,
    written with the manifest and the status. Clusters being removed are left out.
    """
    raise NotImplementedError


def put(
    database: Database,
    principal: Principal,
    key: ClusterKey,
    wish: Wish,
    *,
    now: datetime,
    expect: Expectation | None = None,
) -> Written:
    """Creates or replaces; on a cluster being removed it cancels the removal. Same wish: changed is false."""
    raise NotImplementedError


def create(
    database: Database, principal: Principal, key: ClusterKey, wish: Wish, *, now: datetime
) -> Written:
    """As `put`, but raises `schemas.errors.Conflict` when it exists (and is not being removed)."""
    raise NotImplementedError


def patch(
    database: Database,
    principal: Principal,
    key: ClusterKey,
    change: Callable[[Cluster], Wish],
    *,
    now: datetime,
    expect: Expectation | None = None,
) -> Written:
    """Reads, lets `change` say the new wish (it may raise a refusal), writes: all in one transaction."""
    raise NotImplementedError


def remove(database: Database, principal: Principal, key: ClusterKey, *, now: datetime) -> Cluster | None:
    """Starts the removal phase (again: changes nothing). None: it was never connected, so it is gone already.

    Raises:
        schemas.errors.NotFound: there is no such cluster.
    """
    raise NotImplementedError


def force_remove(database: Database, principal: Principal, key: ClusterKey, *, now: datetime) -> Cluster:
    """Forgets the cluster at once, its published issuer kept as a tombstone; returns what it was."""
    raise NotImplementedError


def forget(database: Database, uid: str, *, shard: int, epoch: int, now: datetime) -> None:
    """The removal phase is over: the cluster goes, if it still is being removed.

    Raises:
        fleet.errors.StaleEpoch: another process holds the shard.
    """
    raise NotImplementedError
