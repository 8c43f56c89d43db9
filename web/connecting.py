"""Connecting a cluster: the exact command, or a kubeconfig, whose refusal says everything that is wrong with it.

What is pasted goes to the API and nowhere else; no page ever shows it again.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, request
from werkzeug.wrappers import Response

from fleet.records import Role
from web.api import Refused
from web.routing import Page, context, org, principal


def show(name: str) -> str:
    """Both ways."""
    return _page(name)


def upload(name: str) -> Response | tuple[str, int]:
    """Stores a kubeconfig, pasted or as a file."""
    file = request.files.get("file")
    text = request.form.get("kubeconfig", "")
    if file is not None and file.filename:
        text = file.read().decode(errors="replace")
    if not text.strip():
        return _page(name, empty=True), HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        context().api.call(principal(), "PUT", "mk8s", name, "-connection", body={"kubeconfig": text})
    except Refused as refused:
        if refused.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
            raise
        return _page(name, refused=refused), HTTPStatus.UNPROCESSABLE_ENTITY
    return redirect(f"/clusters/{name}?told=connected", HTTPStatus.SEE_OTHER)


def _page(name: str, *, refused: Refused | None = None, empty: bool = False) -> str:
    cluster: Any = context().api.get(principal(), "mk8s", name)
    return render_template(
        "connect.html",
        cluster=cluster,
        endpoint=request.host_url.rstrip("/"),
        command=f"pullpass connect {name} --org {org()} --context CONTEXT",
        refused=refused,
        empty=empty,
        section="clusters",
    )


PAGES = (
    Page("GET", "/clusters/<name>/connect", show, Role.ADMIN),
    Page("POST", "/clusters/<name>/connect", upload, Role.ADMIN),
)
