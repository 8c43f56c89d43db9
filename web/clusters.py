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
from web.api import Json, Refused
from web.routing import Page, context, principal

_PER_PAGE = 50
_NARROWING = ("text", "standing", "issue")
_ASKED = (*_NARROWING, "after", "before")
_LONGEST = 200
_EMPTY = "empty"  # what a page without any cluster has seen


def home() -> Response:
    """Where the printed address leads."""
    return redirect("/clusters", HTTPStatus.SEE_OTHER)


def show() -> Response | str:
    """The page, or for htmx the part of it that changes; 204 when it is what the page shows already."""
    try:
        scene = _scene()
    except Refused as refused:
        if refused.status != HTTPStatus.BAD_REQUEST or not request.args:
            raise
        return redirect("/clusters", HTTPStatus.SEE_OTHER)  # an address that was mistyped by hand
    if request.headers.get("HX-Request") != "true":
        return render_template("clusters.html", **scene)
    seen = request.args.get("seen")
    if seen == scene["digest"]:
        return Response(status=HTTPStatus.NO_CONTENT)
    if (scene["digest"] == _EMPTY) != (seen == _EMPTY):
        return Response(headers={"HX-Refresh": "true"})  # the first has come, or the last is gone
    said = scene["found"] if seen is None else ""  # somebody typed, and may not see what came of it
    response = make_response(render_template("clusters_live.html", **scene | {"said": said}))
    if seen is None:
        response.headers["HX-Push-Url"] = scene["address"]
    return response


def _scene() -> dict[str, Any]:
    asked = {name: request.args[name][:_LONGEST] for name in _ASKED if request.args.get(name, "").strip()}
    narrowed = {name: asked[name] for name in _NARROWING if name in asked}
    api, who = context().api, principal()
    page = api.get(who, "mk8s", limit=_PER_PAGE, **asked)
    of_any_standing = {name: value for name, value in narrowed.items() if name != "standing"}
    standings: dict[str, int] = api.get(who, "-overview", "standings", **of_any_standing)["standings"]
    number = sum(standings.values())
    total = number
    if not number and of_any_standing:
        total = sum(api.get(who, "-overview", "standings")["standings"].values())
    rows = [_row(cluster) for cluster in page["items"]]
    digest = _digest(rows, standings, asked) if total else _EMPTY
    return {
        "section": "clusters",
        "rows": rows,
        "asked": asked,
        "narrowed": narrowed,
        "total": total,
        "number": number,
        "found": _found(standings.get(narrowed["standing"], 0) if "standing" in narrowed else number),
        "choices": [_choice(standing, standings.get(standing, 0), narrowed) for standing in Standing],
        "of_any_standing": _address(of_any_standing),
        "without_issue": _address({name: value for name, value in narrowed.items() if name != "issue"}),
        "first": _address(narrowed) if len(asked) > len(narrowed) else "",
        "previous": _beside(page, "prev", "before", narrowed),
        "next": _beside(page, "next", "after", narrowed),
        "address": _address(asked),
        "here": _address(asked | {"seen": digest}),
        "digest": digest,
        "said": "",
        "may_edit": who.role >= Role.EDITOR,
    }


def _digest(*shown: Any) -> str:
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def _found(number: int) -> str:
    return f"{number:,} {'cluster' if number == 1 else 'clusters'}"


def _row(cluster: Json) -> dict[str, Any]:
    status = cluster["status"]
    add_ons = status["addOns"]
    connected = status["connected"]
    issues = [*status["issues"], *(issue for add_on in add_ons.values() for issue in add_on["issues"])]
    issues = [
        issue for issue in issues if connected or issue["code"] != "ConnectionMissing"
    ]  # the state says it
    provider, details = next(iter(cluster["spec"]["provider"].items()))
    return {
        "name": cluster["name"],
        "description": "" if cluster["description"] == cluster["name"] else cluster["description"],
        "standing": status["standing"],
        "issue": issues[0]["code"] if issues else "",
        "more_issues": len({issue["code"] for issue in issues[1:]} - {issues[0]["code"]}) if issues else 0,
        "provider": provider,
        "place": (details.get("region") or details.get("location") or "")
        if isinstance(details, dict)
        else "",
        "add_ons": [(key, add_ons[key]["state"] if connected else "NotConnected") for key in sorted(add_ons)],
        "expires_at": status["credentialsExpireAt"],
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


def _beside(page: Json, rel: str, name: str, narrowed: dict[str, str]) -> str:
    """Where the next or the previous page is; "" where there is none."""
    link = next((link["href"] for link in page["links"] if link["rel"] == rel), None)
    if link is None:
        return ""
    return _address(narrowed | {name: parse_qs(urlsplit(link).query)[name][0]})


def _address(asked: dict[str, str]) -> str:
    return f"/clusters?{urlencode(asked)}" if asked else "/clusters"


PAGES = (Page("GET", "/", home), Page("GET", "/clusters", show))
