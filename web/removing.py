"""Removing a cluster: what happens, asked for once more with its name; and forgetting one that cannot be reached."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, request
from werkzeug.wrappers import Response

from fleet.records import Role
from web.routing import Page, context, principal


def ask(name: str) -> str:
    """What removing does, before it is done."""
    return _page(name)


def remove(name: str) -> Response | str | tuple[str, int]:
    """Starts the removal, or forgets the cluster at once; the name that was typed must be the cluster's."""
    if request.form.get("name", "").strip() != name:
        return _page(name, wrong=True), HTTPStatus.UNPROCESSABLE_ENTITY
    force = request.form.get("force") == "true"
    reply = context().api.call(
        principal(), "DELETE", "mk8s", name, query={"force": "true" if force else None}
    )
    if reply.status == HTTPStatus.ACCEPTED:
        return redirect(f"/clusters/{name}", HTTPStatus.SEE_OTHER)
    if reply.body["remains"]:
        return render_template("remains.html", name=name, remains=reply.body["remains"], section="clusters")
    return redirect("/clusters", HTTPStatus.SEE_OTHER)


def _page(name: str, *, wrong: bool = False) -> str:
    cluster: Any = context().api.get(principal(), "mk8s", name)
    reachable = {
        condition["status"]
        for condition in cluster["status"]["conditions"]
        if condition["type"] == "Reachable"
    }
    return render_template(
        "remove.html",
        cluster=cluster,
        wrong=wrong,
        published=(cluster["settings"].get("awsWorkloadIdentity") or {}).get("issuer") == "published",
        unreachable="False" in reachable,
        section="clusters",
    )


PAGES = (
    Page("GET", "/clusters/<name>/remove", ask, Role.EDITOR),
    Page("POST", "/clusters/<name>/remove", remove, Role.EDITOR),
)
