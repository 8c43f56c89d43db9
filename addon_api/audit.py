"""`-audit`: who did what to a cluster, newest first; it is there when the cluster is gone, too."""

from __future__ import annotations

from flask import Response, request

from addon_api import answers
from addon_api.routing import Route, context
from fleet import audit
from fleet.audit import Record
from fleet.records import Role
from schemas.errors import NotFound
from schemas.status import Json
from schemas.times import format_time


def list_records(org: str, name: str) -> Response:
    """One page of audit records."""
    here = context()
    limit = answers.limit()
    after = request.args.get("after")
    page = audit.page(here.database, org, name=name, after=after, limit=limit)
    if not page.items and after is None:
        raise NotFound(f"nothing is known of a cluster {name}")
    path = f"{answers.cluster_path(org, name)}/-audit"
    shown = [_shown(record) for record in page.items]
    return answers.of_page("auditRecord", shown, path=path, limit=limit, after=page.after)


def _shown(record: Record) -> Json:
    return {
        "kind": "auditRecord",
        "id": record.id,
        "time": format_time(record.time),
        "principal": record.principal,
        "action": record.action,
        "resource": record.resource,
        "name": record.name,
        "version": record.version,
    }


ROUTES = (
    Route(
        "GET",
        "/org/<org>/mk8s/<name>/-audit",
        list_records,
        Role.VIEWER,
        "Who did what to the cluster, newest first",
        answers={200: "AuditList"},
        query={
            "limit": f"items per page, 1 to {answers.MAXIMUM_LIMIT}; {answers.DEFAULT_LIMIT} unless told",
            "after": "where the page starts; take it from `links[rel=next]`",
        },
    ),
)
