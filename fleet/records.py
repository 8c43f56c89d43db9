"""The records of the fleet: what its modules return. Plain frozen data, no SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, Generic, TypeVar

from schemas.status import ClusterStatus

Item = TypeVar("Item")


@dataclass(frozen=True, order=True)
class ClusterKey:
    """What a person calls a cluster: unique at any one time; the uid is unique for ever."""

    org: str
    name: str

    def __str__(self) -> str:
        return f"{self.org}/{self.name}"


class Role(IntEnum):
    """What a token may do in its organisation; each includes the smaller ones."""

    VIEWER = 1
    EDITOR = 2
    ADMIN = 3


@dataclass(frozen=True)
class Principal:
    """Who asks: one bearer token."""

    token_id: str
    name: str
    org: str
    role: Role


@dataclass(frozen=True)
class Removal:
    """A cluster on its way out."""

    requested_at: datetime
    requested_by: str


@dataclass(frozen=True)
class Cluster:
    """One cluster as stored.

    `manifest` is what the user sent (kind, name, description, tags, spec), `settings` ours beside it.
    `version` counts writes by users (the ETag); `generation` counts what a reconcile must act on (spec, settings,
    connection, removal, a look that was asked for). `connected` tells that a connection is stored.
    `last_seen` is when the cluster answered last, to half a minute.
    """

    uid: str
    key: ClusterKey
    manifest: Mapping[str, Any]
    settings: Mapping[str, Any]
    version: int
    generation: int
    created: datetime
    last_modified: datetime
    connected: bool = False
    removal: Removal | None = None
    status: ClusterStatus = field(default_factory=ClusterStatus)
    last_seen: datetime | None = None


@dataclass(frozen=True)
class Page(Generic[Item]):
    """One keyset page; `after` is the key that the next page starts behind, None on the last.

    `before` is the key that the previous page ends before, None on the first and where nobody pages back.
    """

    items: tuple[Item, ...]
    after: str | None
    before: str | None = None


@dataclass(frozen=True)
class Written:
    """What a write left behind; `changed` is false when it said what was already there."""

    cluster: Cluster
    created: bool
    changed: bool


@dataclass(frozen=True)
class Work:
    """One cluster that changed. Finishing it with an older generation leaves a newer change standing."""

    uid: str
    key: ClusterKey
    shard: int
    generation: int


@dataclass(frozen=True)
class Errand:
    """What somebody asked a controller to do in a cluster; `result` is there once it is `finished_at`."""

    id: str
    cluster_uid: str
    shard: int
    kind: str  # of `fleet.errands.ErrandKind`
    body: Mapping[str, Any]
    requested_at: datetime
    requested_by: str
    finished_at: datetime | None = None
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Event:
    """One line of a cluster's event log."""

    id: str
    created: datetime
    type: str  # Normal, Warning
    reason: str
    message: str
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PublishedIssuer:
    """An issuer that the hub serves under `/oidc/{id}`; the id is random and never used again.

    `keys` is the pinned JWKS; `pending_keys` another one that the cluster shows now and an admin must accept.
    `tombstone` is true when the cluster was forgotten and the issuer goes on until confirmed.
    """

    id: str
    cluster_uid: str
    keys: Mapping[str, Any]
    pending_keys: Mapping[str, Any] | None = None
    tombstone: bool = False


@dataclass(frozen=True)
class RoleSharer:
    """A cluster whose awsECR uses a role: what one statement of the role's trust policy needs.

    `accounts` are the service accounts that assume it, as `namespace/name`; `uid` names its statement.
    """

    cluster: str
    issuer: str
    audience: str
    accounts: tuple[str, ...]
    uid: str = field(default="", compare=False)
