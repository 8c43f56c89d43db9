"""The list of clusters: state at a glance, found by text and state, a page at a time."""

from __future__ import annotations

from typing import Any

from flask import redirect, render_template, request
from werkzeug.wrappers import Response

from web.routing import Page, context, principal


def home() -> Response:
    """Where the printed address leads."""
    return redirect("/clusters", 303)


def show() -> str:
    """One page of the list."""
    found = context().api.get(principal(), "mk8s", after=request.args.get("after"), limit=50)
    return render_template(
        "clusters.html", clusters=[summary(item) for item in found["items"]], section="clusters"
    )


def summary(cluster: Any) -> dict[str, Any]:
    """What a row of the list says of a cluster."""
    return {
        "name": cluster["name"],
        "description": cluster["description"],
        "provider": next(iter(cluster["spec"]["provider"])),
        "state": cluster["status"]["standing"],
    }


PAGES = (Page("GET", "/", home), Page("GET", "/clusters", show))
