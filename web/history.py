"""What happened to a cluster, and who did it: its events and its audit log, page by page, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import render_template, request

from fleet.records import Role
from web.routing import Page, context, principal

_SHOWN = 50


def events(name: str) -> str:
    """One page of events."""
    return _page("events.html", name, "-eventlog")


def audit(name: str) -> str:
    """One page of the audit log."""
    return _page("audit.html", name, "-audit")


def _page(template: str, name: str, log: str) -> str:
    after = request.args.get("after") or None
    found = context().api.get(principal(), "mk8s", name, log, limit=_SHOWN, after=after)
    return render_template(
        template,
        name=name,
        records=found["items"],
        first=after is None,
        next_after=_after(found),
        section="clusters",
    )


def _after(found: Mapping[str, Any]) -> str:
    """Where the API says the next page begins; "" on the last."""
    link = next((link["href"] for link in found["links"] if link["rel"] == "next"), "")
    return parse_qs(urlsplit(link).query).get("after", [""])[0]


PAGES = (
    Page("GET", "/clusters/<name>/events", events, Role.VIEWER),
    Page("GET", "/clusters/<name>/audit", audit, Role.VIEWER),
)
