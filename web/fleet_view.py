"""The fleet at once: one square for each cluster, what hits the most of them, and what runs out first."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from flask import make_response, render_template, request
from werkzeug.wrappers import Response

from fleet.standing import Standing
from web import highlighting
from web.routing import Page, context, principal

# Worst first, so that what needs somebody is at the top left.
_ORDER = (
    Standing.FAILED,
    Standing.BLOCKED,
    Standing.DEGRADED,
    Standing.NOT_CONNECTED,
    Standing.REMOVING,
    Standing.INSTALLING,
    Standing.READY,
    Standing.DISABLED,
)
_WIDEST = 160


@dataclass(frozen=True)
class Area:
    """The squares of one standing: `path` draws all of them, run by run."""

    standing: str
    number: int
    share: str
    path: str
    address: str


def show() -> Response | str:
    """The page, or for htmx the part of it that changes."""
    found = context().api.get(principal(), "-overview")
    standings: dict[str, int] = found["standings"]
    total = sum(standings.values())
    columns = _columns(total)
    worst = max((issue["clusters"] for issue in found["issues"]), default=1)
    scene: dict[str, Any] = {
        "section": "fleet",
        "total": total,
        "areas": _areas(standings, total, columns),
        "columns": columns,
        "rows": math.ceil(total / columns) if total else 0,
        "issues": [
            issue | {"width": max(1, round(100 * issue["clusters"] / worst))} for issue in found["issues"]
        ],
        "first_to_expire": found["firstToExpire"],
    }
    scene["digest"] = hashlib.sha256(highlighting.pretty(found).encode()).hexdigest()[:16]
    if request.headers.get("HX-Request") != "true":
        return render_template("fleet.html", **scene)
    if request.args.get("seen") == scene["digest"]:
        return Response(status=HTTPStatus.NO_CONTENT)
    return make_response(render_template("fleet_live.html", **scene))


def _columns(total: int) -> int:
    """So many that the picture is three times as wide as high, up to the width of a page."""
    return min(_WIDEST, max(24, math.ceil(math.sqrt(total * 3))))


def _areas(standings: dict[str, int], total: int, columns: int) -> list[Area]:
    areas, start = [], 0
    for standing in _ORDER:
        number = standings.get(standing, 0)
        if not number:
            continue
        share = f"{100 * number / total:.0f} %" if number * 100 >= total else "< 1 %"
        address = f"/clusters?{urlencode({'standing': str(standing)})}"
        areas.append(Area(str(standing), number, share, _path(start, number, columns), address))
        start += number
    return areas


def _path(start: int, number: int, columns: int) -> str:
    """Squares `start` to `start + number` of a grid, as one path with a run for each row; a cell is 10 wide."""
    runs = []
    place, end = start, start + number
    while place < end:
        row, column = divmod(place, columns)
        length = min(end - place, columns - column)
        runs.append(f"M{10 * column} {10 * row}" + "h8v8h-8zm10 0" * length)
        place += length
    return "".join(runs)


PAGES = (Page("GET", "/fleet", show),)
