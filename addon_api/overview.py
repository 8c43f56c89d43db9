"""`-overview`: the fleet at once, for a picture and for a dashboard of one's own."""

from __future__ import annotations

from flask import Response, request

from addon_api import answers
from addon_api.routing import Route, context
from fleet import overview
from fleet.records import Role
from schemas.status import Json
from schemas.times import format_time


def show(org: str) -> Response:
    """How many stand how, which issues hit the most, what expires first; `?each=true`: every cluster's standing."""
    here = context()
    found = overview.read(here.database, org)
    document: Json = {
        "kind": "overview",
        "standings": {str(standing): number for standing, number in found.standings.items()},
        "issues": [{"code": code, "clusters": number} for code, number in found.issues.items()],
        "firstToExpire": None
        if found.first_to_expire is None
        else {"cluster": found.first_to_expire[0], "expiresAt": format_time(found.first_to_expire[1])},
    }
    if request.args.get("each") == "true":
        document["each"] = [[name, str(standing)] for name, standing in overview.each(here.database, org)]
    return answers.of_json(document)


ROUTES = (
    Route(
        "GET",
        "/org/<org>/-overview",
        show,
        Role.VIEWER,
        "The fleet at once: how clusters stand, which issues hit the most, what expires first",
        answers={200: "Overview"},
        query={"each": "`true`: also the name and standing of every cluster, by name"},
    ),
)
