"""`-overview`: the fleet at once, for a picture and for a dashboard of one's own."""

from __future__ import annotations

from flask import Response

from addon_api import answers, filters
from addon_api.routing import Route, context
from fleet import overview
from fleet.overview import Expiry
from fleet.records import Role
from schemas.status import Json
from schemas.times import format_time


def show(org: str) -> Response:
    """How many stand how, which issues hit the most, what expires first."""
    found = overview.read(context().database, org)
    return answers.of_json(
        {
            "kind": "overview",
            "standings": {str(standing): number for standing, number in found.standings.items()},
            "issues": [
                {"code": hit.code, "clusters": hit.clusters, "first": list(hit.first)} for hit in found.issues
            ],
            "firstToExpire": _expiry(found.first_to_expire),
            "firstConnectionToExpire": _expiry(found.first_connection_to_expire),
        }
    )


def count(org: str) -> Response:
    """How many of those asked for stand how."""
    found = overview.counts(context().database, org, filters.asked())
    standings = {str(standing): number for standing, number in found.items()}
    return answers.of_json({"kind": "standings", "standings": standings})


def _expiry(found: Expiry | None) -> Json | None:
    if found is None:
        return None
    return {"cluster": found.cluster, "expiresAt": format_time(found.expires_at)}


ROUTES = (
    Route(
        "GET",
        "/org/<org>/-overview",
        show,
        Role.VIEWER,
        "The fleet at once: how clusters stand, which issues hit the most, what expires first",
        answers={200: "Overview"},
    ),
    Route(
        "GET",
        "/org/<org>/-overview/standings",
        count,
        Role.VIEWER,
        "How many clusters stand how, of all or of those asked for",
        answers={200: "Standings"},
        query=filters.ALL,
    ),
)
