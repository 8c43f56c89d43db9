"""The list of clusters: state at a glance, found by text and state, a page at a time.

What is asked for stands in the address, so that it can be shared and gone back to. Names are the key of a page, so the
thousandth page costs what the first one does.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from flask import make_response, redirect, render_template, request
from werkzeug.wrappers import Response

from fleet.records import Role
from fleet.standing import Standing
from web import highlighting
from web.api import Json, Refused
from web.routing import Page, context, principal

_PER_PAGE = 50
_ASKED = ("text", "standing", "issue", "after")
_LONGEST = 200


def home() -> Response:
    """Where the printed address leads."""
    return redirect("/clusters", HTTPStatus.SEE_OTHER)


def show() -> Response | str:
    """The page, or for htmx the part of it that changes; 204 when it is what the page shows already."""
    try:
        scene = _scene()
    except Refused as refused:
        if refused.status != HTTPStatus.BAD_REQUEST:
            raise
        return redirect("/clusters", HTTPStatus.SEE_OTHER)  # an address that was mistyped by hand
    if request.headers.get("HX-Request") != "true":
        return render_template("clusters.html", **scene)
    if request.args.get("seen") == scene["digest"]:
        return Response(status=HTTPStatus.NO_CONTENT)
    return make_response(render_template("clusters_live.html", **scene))


def _scene() -> dict[str, Any]:
    asked = {name: request.args[name][:_LONGEST] for name in _ASKED if request.args.get(name, "").strip()}
    api, who = context().api, principal()
    found = api.get(who, "mk8s", limit=_PER_PAGE, **asked)
    overview = api.get(who, "-overview")
    rows = [_row(cluster) for cluster in found["items"]]
    standings = overview["standings"]
    narrowed = {name: value for name, value in asked.items() if name != "after"}
    digest = hashlib.sha256(highlighting.pretty([rows, standings, asked]).encode()).hexdigest()[:16]
    return {
        "section": "clusters",
        "rows": rows,
        "asked": asked,
        "total": sum(standings.values()),
        "choices": [_choice(standing, standings.get(standing, 0), narrowed) for standing in Standing],
        "everything": _address({name: value for name, value in narrowed.items() if name != "standing"}),
        "first": _address(narrowed) if "after" in asked else "",
        "next": _next(found, narrowed),
        "here": _address(asked | {"seen": digest}),
        "digest": digest,
        "may_edit": who.role >= Role.EDITOR,
    }


def _row(cluster: Json) -> dict[str, Any]:
    status = cluster["status"]
    registries = status["addOns"].get("awsECR") or {}
    issues = [
        *status["issues"],
        *(issue for add_on in status["addOns"].values() for issue in add_on["issues"]),
    ]
    return {
        "name": cluster["name"],
        "description": "" if cluster["description"] == cluster["name"] else cluster["description"],
        "standing": status["standing"],
        "issue": issues[0]["code"] if issues else "",
        "provider": next(iter(cluster["spec"]["provider"])),
        "add_ons": sorted(status["addOns"]),
        "expires_at": (registries.get("credentials") or {}).get("expiresAt"),
        "last_seen": status["lastSeen"],
    }


def _choice(standing: Standing, number: int, narrowed: dict[str, str]) -> dict[str, Any]:
    chosen = narrowed.get("standing") == standing
    return {
        "standing": str(standing),
        "number": number,
        "chosen": chosen,
        "address": _address(narrowed | {"standing": str(standing)}),
    }


def _next(found: Json, narrowed: dict[str, str]) -> str:
    """The page behind this one; "" on the last."""
    link = next((link["href"] for link in found["links"] if link["rel"] == "next"), None)
    if link is None:
        return ""
    return _address(narrowed | {"after": parse_qs(urlsplit(link).query)["after"][0]})


def _address(asked: dict[str, str]) -> str:
    return f"/clusters?{urlencode(asked)}" if asked else "/clusters"


PAGES = (Page("GET", "/", home), Page("GET", "/clusters", show))
