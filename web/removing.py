"""Removing a cluster: what happens, asked for once more with its name; and forgetting one that cannot be reached."""

from __future__ import annotations

from http import HTTPStatus

from flask import redirect, render_template, request
from werkzeug.wrappers import Response

from fleet.records import Role
from web.routing import Page, context, principal


def ask(name: str) -> str:
    """What removing does, before it is done."""
    cluster = context().api.get(principal(), "mk8s", name)
    return render_template("remove.html", cluster=cluster, wrong=False, section="clusters")


def remove(name: str) -> Response | str | tuple[str, int]:
    """Starts the removal, or forgets the cluster at once; the name that was typed must be the cluster's."""
    api, who = context().api, principal()
    if request.form.get("name", "").strip() != name:
        cluster = api.get(who, "mk8s", name)
        page = render_template("remove.html", cluster=cluster, wrong=True, section="clusters")
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    force = request.form.get("force") == "true"
    reply = api.call(who, "DELETE", "mk8s", name, query={"force": "true" if force else None})
    if reply.status == HTTPStatus.ACCEPTED:
        return redirect(f"/clusters/{name}", HTTPStatus.SEE_OTHER)
    if reply.body["remains"]:
        return render_template("remains.html", name=name, remains=reply.body["remains"], section="clusters")
    return redirect("/clusters", HTTPStatus.SEE_OTHER)


PAGES = (
    Page("GET", "/clusters/<name>/remove", ask, Role.EDITOR),
    Page("POST", "/clusters/<name>/remove", remove, Role.EDITOR),
)
