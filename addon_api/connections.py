"""`-connection`: how the hub reaches a cluster. Written by admins, never read back."""

from __future__ import annotations

from flask import Response

from addon_api import answers, bodies
from addon_api.routing import Route, context, principal
from fleet import clusters, connections
from fleet.database import Database
from fleet.errors import SealBroken
from fleet.records import ClusterKey, Role
from schemas import connection_bodies, eks
from schemas.connection import Connection
from schemas.eks import EksCluster
from schemas.status import Json
from schemas.times import format_time


def put(org: str, name: str) -> Response:
    """Stores the connection; what the body leaves out stays, but another server or CA needs a new credential."""
    here = context()
    now = here.now()
    key = ClusterKey(org, name)
    body = bodies.read()
    cluster = clusters.read(here.database, key)
    before = stored(here.database, cluster.uid)
    defaults = eks.defaults_of(cluster.manifest)
    loopback = here.settings.allow_loopback
    if before is None:
        parsed = connection_bodies.parse(body, now=now, allow_loopback=loopback, eks_defaults=defaults)
    else:
        parsed = connection_bodies.update(
            before, body, now=now, allow_loopback=loopback, eks_defaults=defaults
        )
    connections.put(here.database, principal(), key, parsed, now=now)
    return answers.of_json(
        {
            "kind": "connection",
            "server": parsed.server,
            "expiresAt": None if parsed.expires_at is None else format_time(parsed.expires_at),
            "renewable": parsed.renewable or parsed.eks is not None,
            "eks": None if parsed.eks is None else _named(parsed.eks),
        }
    )


def _named(found: EksCluster) -> Json:
    """What was taken, defaults filled in: no external id of a later role is repeated."""
    roles = [role.role_arn for role in found.roles]
    return {"cluster": found.cluster, "region": found.region, "roles": roles}


def stored(database: Database, uid: str) -> Connection | None:
    """The stored connection; one that no key opens any more counts as none, so that a new one mends it."""
    try:
        return connections.read(database, uid)
    except SealBroken:
        return None


def delete(org: str, name: str) -> Response:
    """Forgets how to reach the cluster; again: says that nothing was stored."""
    here = context()
    deleted = connections.delete(here.database, principal(), ClusterKey(org, name), now=here.now())
    return answers.of_json({"kind": "connection", "deleted": deleted})


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
    Route(
        "DELETE",
        "/org/<org>/mk8s/<name>/-connection",
        delete,
        Role.ADMIN,
        "Forget how to reach the cluster; nothing is done in it",
        answers={200: "ConnectionDeleted"},
    ),
)
