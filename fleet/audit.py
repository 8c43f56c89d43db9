"""The audit log: who did what to which resource, written in the transaction of the change itself.

Kept for as long as the operator says: `controller.retention` trims it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Session
from sqlalchemy import Row, bindparam, delete, insert, select

from fleet import tables
from fleet.database import Database
from fleet.records import Page, Principal
from schemas.errors import Invalid

_RECORD = insert(tables.audit)
_MOST_DIGITS = 19  # of the largest 64-bit number

_audit = tables.audit.c
_NEWEST_FIRST = (
    select(
        _audit.id,
        _audit.time,
        _audit.principal,
        _audit.action,
        _audit.resource,
        _audit.name,
        _audit.version,
    )
    .where(_audit.org == bindparam("key_org"), _audit.id < bindparam("before"))
    .order_by(_audit.id.desc())
    .limit(bindparam("rows"))
)
_OF_NAME = _NEWEST_FIRST.where(
    _audit.resource == bindparam("key_resource"), _audit.name == bindparam("key_name")
)
_OLDEST_FIRST = (
    select(_audit.id, _audit.time)
    .where(_audit.id > bindparam("behind"))
    .order_by(_audit.id)
    .limit(bindparam("rows"))
)
_TRIM = delete(tables.audit).where(
    _audit.id > bindparam("behind"), _audit.id <= bindparam("last"), _audit.time < bindparam("oldest")
)


@dataclass(frozen=True)
class Narrowing:
    """Which records: of one resource, from `since`, before `until`, by the token called `principal`; None lets all through."""

    resource: str | None = None
    name: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    principal: str | None = None


@dataclass(frozen=True)
class Record:
    """One row: who did what to which resource, leaving which version of it."""

    id: str
    time: datetime
    principal: str
    action: str
    resource: str
    name: str
    version: int | None


def page(
    database: Database, org: str, *, name: str | None = None, after: str | None = None, limit: int = 50
) -> Page[Record]:
    """The newest first: of the whole organisation, or of the cluster `name`.

    Raises:
        schemas.errors.Invalid: `after` is no record's id.
    """
    values = {"key_org": org, "before": _before(after), "rows": limit + 1}
    wanted = _NEWEST_FIRST
    if name is not None:
        wanted, values = _OF_NAME, values | {"key_resource": "mk8s", "key_name": name}
    with database.read() as session:
        rows = session.execute(wanted, values).all()
    return _page(rows, limit)


def trail(
    database: Database, org: str, only: Narrowing, *, after: str | None = None, limit: int = 50
) -> Page[Record]:
    """The newest first, of what `only` lets through.

    Raises:
        schemas.errors.Invalid: `after` is no record's id.
    """
    wanted = _NEWEST_FIRST
    if only.resource is not None:
        wanted = wanted.where(_audit.resource == only.resource)
    if only.name is not None:
        wanted = wanted.where(_audit.name == only.name)
    if only.since is not None:
        wanted = wanted.where(_audit.time >= only.since)
    if only.until is not None:
        wanted = wanted.where(_audit.time < only.until)
    if only.principal is not None:
        escaped = only.principal.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        wanted = wanted.where(_audit.principal.like(f"{escaped} (%", escape="\\"))
    with database.read() as session:
        rows = session.execute(wanted, {"key_org": org, "before": _before(after), "rows": limit + 1}).all()
    return _page(rows, limit)


def record(
    session: Session,
    principal: Principal | None,
    action: str,
    *,
    org: str,
    name: str,
    now: datetime,
    version: int | None = None,
    resource: str = "mk8s",
) -> None:
    """One row. `principal` is stored by its token's id and name, so that it says something after the token is gone.

    None is the controller, which ends what a person began. `action` is a verb (`create`, `update`, `delete`, `forceDelete`, `connect`, …); `version` the manifest's.
    """
    session.execute(
        _RECORD,
        {
            "org": org,
            "time": now,
            "principal": "controller" if principal is None else f"{principal.name} ({principal.token_id})",
            "action": action,
            "resource": resource,
            "name": name,
            "version": version,
        },
    )


@dataclass(frozen=True)
class Trimmed:
    """One batch: how many records went, and the id behind which the next one begins; None: the rest is young enough."""

    records: int
    last: int | None


def trim(database: Database, *, oldest: datetime, behind: int = 0, batch: int = 500) -> Trimmed:
    """Deletes what is older than `oldest` among the first `batch` records behind the id `behind`, of all organisations.

    Walks the primary key, along which time goes up but for the clocks of several machines, and holds nothing that a
    new record needs. A power cut may bring a batch back, which the next sweep takes.
    """
    with database.read() as session:
        rows = session.execute(_OLDEST_FIRST, {"behind": behind, "rows": batch}).all()
    if not any(time < oldest for _, time in rows):
        return Trimmed(0, None)
    last: int = rows[-1][0]
    with database.write(durable=False) as session:
        gone = session.execute(_TRIM, {"behind": behind, "last": last, "oldest": oldest}).rowcount
    return Trimmed(gone, last if len(rows) == batch else None)


def _before(after: str | None) -> int:
    if after is None:
        return 2**63 - 1
    if not (after.isascii() and after.isdigit() and len(after) <= _MOST_DIGITS):
        raise Invalid("`after` is not an audit record's id")
    return int(after)


def _page(rows: Sequence[Row[*tuple[Any, ...]]], limit: int) -> Page[Record]:
    items = tuple(Record(str(row[0]), *row[1:]) for row in rows[:limit])
    return Page(items, items[-1].id if len(rows) > limit else None)
