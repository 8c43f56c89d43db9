"""The audit log: who did what to which resource, written in the transaction of the change itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection as Session
from sqlalchemy import bindparam, insert, select

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
    if after is not None and not (after.isascii() and after.isdigit() and len(after) <= _MOST_DIGITS):
        raise Invalid("`after` is not an audit record's id")
    values = {"key_org": org, "before": 2**63 - 1 if after is None else int(after), "rows": limit + 1}
    wanted = _NEWEST_FIRST
    if name is not None:
        wanted, values = _OF_NAME, values | {"key_resource": "mk8s", "key_name": name}
    with database.read() as session:
        rows = session.execute(wanted, values).all()
    items = tuple(Record(str(row[0]), *row[1:]) for row in rows[:limit])
    return Page(items, items[-1].id if len(rows) > limit else None)


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
