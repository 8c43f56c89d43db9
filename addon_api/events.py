"""`-eventlog`: what happened to a cluster, newest first."""

from __future__ import annotations

from flask import Response, request

from addon_api import answers
from addon_api.routing import Route, context
from fleet import events
from fleet.records import ClusterKey, Event, Role
from schemas.status import Json
from schemas.times import format_time


def list_events(org: str, name: str) -> Response:
    """One page of events."""
    here = context()
    limit = answers.limit()
    page = events.page(here.database, ClusterKey(org, name), after=request.args.get("after"), limit=limit)
    path = f"{answers.cluster_path(org, name)}/-eventlog"
    return answers.of_page(
        "event", [_shown(event) for event in page.items], path=path, limit=limit, after=page.after
    )


def _shown(event: Event) -> Json:
    return {
        "kind": "event",
        "id": event.id,
        "created": format_time(event.created),
        "status": event.type,
        "reason": event.reason,
        "message": event.message,
        "context": {**event.context, "reason": event.reason, "message": event.message},
    }


ROUTES = (
    Route(
        "GET",
        "/org/<org>/mk8s/<name>/-eventlog",
        list_events,
        Role.VIEWER,
        "What happened to the cluster, newest first",
        answers={200: "EventList"},
        query={
            "limit": f"items per page, 1 to {answers.MAXIMUM_LIMIT}; {answers.DEFAULT_LIMIT} unless told",
            "after": "where the page starts; take it from `links[rel=next]`",
        },
    ),
)
