"""The audit log: who did what to which resource, written in the transaction of the change itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection as Session
from sqlalchemy import insert

from fleet import tables
from fleet.records import Principal

_RECORD = insert(tables.audit)


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
