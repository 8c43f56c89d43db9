"""The fleet at once: one square for each cluster, what hits the most of them, and what runs out first."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from http import HTTPStatus

from flask import render_template, request
from werkzeug.wrappers import Response

from fleet.standing import Standing
from web.routing import Page, context, principal

_WAITS = (Standing.FAILED, Standing.BLOCKED, Standing.DEGRADED, Standing.NOT_CONNECTED)
# Squares in a row of the picture: a few stay small, and ten thousand fit on a screen.
_LEAST_COLUMNS = 40
_MOST_COLUMNS = 160
_CELL = 10  # of the picture's own measure: a square of 8 and the gap beside it
_LARGEST_CELL_PIXELS = 16


@dataclass(frozen=True)
class Area:
    """The squares of one standing: `path` is a dashed line for each row of them, whose dashes are the squares."""

    standing: str
    number: int
    share: str
    rows: int
    path: str


def show() -> Response | str:
    """The page, or for htmx the part of it that changes; 204 when it is what the page shows already."""
    found = context().api.get(principal(), "-overview")
    digest = hashlib.sha256(repr(found).encode()).hexdigest()[:16]
    live = request.headers.get("HX-Request") == "true"
    if live and request.args.get("seen") == digest:
        return Response(status=HTTPStatus.NO_CONTENT)
    standings: dict[str, int] = found["standings"]
    total = sum(standings.values())
    columns = _columns(total)
    most = max((issue["clusters"] for issue in found["issues"]), default=1)
    return render_template(
        "fleet_live.html" if live else "fleet.html",
        section="fleet",
        digest=digest,
        total=total,
        ready=standings.get(Standing.READY, 0),
        waiting=sum(standings.get(standing, 0) for standing in _WAITS),
        areas=[
            Area(str(standing), number, _share(number, total), -(-number // columns), _path(number, columns))
            for standing in Standing
            if (number := standings.get(standing, 0))
        ],
        columns=columns,
        cell=_CELL,
        widest=columns * _LARGEST_CELL_PIXELS,
        issues=[
            issue | {"width": max(1, round(100 * issue["clusters"] / most))} for issue in found["issues"]
        ],
        first_to_expire=found["firstToExpire"],
        first_connection=found["firstConnectionToExpire"],
    )


def _columns(total: int) -> int:
    """So many that the picture is about five times as wide as high, up to the width of a page."""
    return min(_MOST_COLUMNS, max(_LEAST_COLUMNS, math.ceil(math.sqrt(total * 5))))


def _share(number: int, total: int) -> str:
    """In percent; never 0 for what is there, nor 100 for what is not all."""
    percent = 100 * number / total
    if percent < 1:
        return "< 1 %"
    return f"{min(round(percent), 99 if number < total else 100)} %"


def _path(number: int, columns: int) -> str:
    """One line for each row, through the middle of its squares."""
    lines = []
    for row in range(-(-number // columns)):
        length = min(columns, number - row * columns)
        lines.append(f"M0 {row * _CELL + 4}h{length * _CELL - 2}")
    return "".join(lines)


PAGES = (Page("GET", "/fleet", show),)
