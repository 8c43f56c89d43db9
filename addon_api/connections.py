"""`-connection`: how the hub reaches a cluster. Written by admins, never read back."""

from __future__ import annotations

from flask import Response

from addon_api import answers, bodies
from addon_api.routing import Route, context, principal
from fleet import connections
from fleet.records import ClusterKey, Role
from schemas import connection
from schemas.times import format_time


def put(org: str, name: str) -> Response:
    """Stores the connection whole; whoever changes the server must know a credential for it."""
    here = context()
    now = here.now()
    parsed = connection.parse(bodies.read(), now=now, allow_loopback=here.settings.allow_loopback)
    connections.put(here.database, principal(), ClusterKey(org, name), parsed, now=now)
    return answers.of_json(
        {
            "kind": "connection",
            "server": parsed.server,
            "expiresAt": None if parsed.expires_at is None else format_time(parsed.expires_at),
            "renewable": parsed.renewable,
        }
    )


ROUTES = (
    Route(
        "PUT",
        "/org/<org>/mk8s/<name>/-connection",
        put,
        Role.ADMIN,
        "Tell the hub how to reach the cluster; write-only",
        answers={200: "ConnectionStored"},
        body="Connection",
    ),
)
