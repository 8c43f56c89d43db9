"""Connecting a cluster: the exact command, or a kubeconfig, with each check that it passed or failed.

What is pasted goes to the API and nowhere else; no page ever shows it again. Whoever may not connect sees what an
admin has to do.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, request
from werkzeug.wrappers import Response

from fleet.records import Role
from web.api import Mistake, Refused
from web.routing import Page, context, org, principal


class Verdict(StrEnum):
    """What became of one check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_REACHED = "not reached"


@dataclass(frozen=True)
class Check:
    """One check of a kubeconfig; `mistakes` is why it failed."""

    title: str
    verdict: Verdict
    mistakes: tuple[Mistake, ...]


# In the order in which the API reads: where one stage has a mistake, the next ones are not looked at. A mistake belongs
# to the first check whose pattern its path matches.
_CHECKS = (
    (0, "It is a kubeconfig", re.compile(r"\$\.kubeconfig")),
    (
        1,
        "Its current context names a cluster and a user that are in it",
        re.compile(r"\$\.kubeconfig\.(current-context|contexts\b.*)"),
    ),
    (
        2,
        "The server is an https:// address that the hub may dial",
        re.compile(r"\$\.kubeconfig\.clusters\[\d+\]\.cluster(\.server|\[.proxy-url.\]|\.proxy-url)"),
    ),
    (2, "The server's authority stands in it", re.compile(r"\$\.kubeconfig\.clusters\b.*")),
    (
        2,
        "The credential stands in it, runs no program and is not expired",
        re.compile(r"\$\.kubeconfig\.users\b.*"),
    ),
)
_ELSEWHERE = "What came with it"


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


def waiting(name: str) -> Response:
    """For a page that shows the command: leads on as soon as somebody has run it."""
    cluster: Any = context().api.get(principal(), "mk8s", name)
    headers = {"HX-Redirect": f"/clusters/{name}?told=connected"} if cluster["status"]["connected"] else {}
    return Response(status=HTTPStatus.NO_CONTENT, headers=headers)


def after_creating(name: str) -> str:
    """Where to go once a cluster was created: whoever may connect it does so next."""
    page = "/connect" if principal().role >= Role.ADMIN else ""
    return f"/clusters/{name}{page}?told=created"


def checks(mistakes: tuple[Mistake, ...]) -> tuple[Check, ...]:
    """Each check with its verdict, as far as the API's mistakes tell."""
    of_check: dict[int, list[Mistake]] = {}
    for mistake in mistakes:
        place = next(
            (number for number, (_, _, path) in enumerate(_CHECKS) if path.fullmatch(mistake.path)),
            len(_CHECKS),
        )
        of_check.setdefault(place, []).append(mistake)
    reached = min((_CHECKS[number][0] for number in of_check if number < len(_CHECKS)), default=len(_CHECKS))
    found = []
    for number, (stage, title, _) in enumerate(_CHECKS):
        if number in of_check:
            verdict = Verdict.FAILED
        else:
            # Beside a mistake of the same stage nothing says that the others were looked at.
            verdict = Verdict.PASSED if stage < reached else Verdict.NOT_REACHED
        found.append(Check(title, verdict, tuple(of_check.get(number, ()))))
    if others := of_check.get(len(_CHECKS)):
        found.append(Check(_ELSEWHERE, Verdict.FAILED, tuple(others)))
    return tuple(found)


def _page(name: str, *, refused: Refused | None = None, empty: bool = False) -> str:
    cluster: Any = context().api.get(principal(), "mk8s", name)
    command = f"pullpass connect {name} --org {shlex.quote(org())} --context CONTEXT"
    aws = (cluster["spec"].get("provider") or {}).get("aws")
    eks = None
    if aws is not None:
        external = context().api.get(principal(), "-external-id")
        eks = {
            "command": f"pullpass connect {name} --org {shlex.quote(org())} --eks CLUSTER",
            "role": aws["deployRoleArn"],
            "external_id": external["externalId"],
            "trust_policy": json.dumps(external["trustPolicy"], indent=2),
        }
    return render_template(
        "connect.html",
        cluster=cluster,
        may_connect=principal().role >= Role.ADMIN,
        endpoint=request.host_url.rstrip("/"),
        command=command,
        eks=eks,
        created=request.args.get("told") == "created",
        refused=refused,
        checks=checks(refused.mistakes) if refused is not None else (),
        empty=empty,
        section="clusters",
    )


PAGES = (
    Page("GET", "/clusters/<name>/connect", show),
    Page("GET", "/clusters/<name>/connect/waiting", waiting),
    Page("POST", "/clusters/<name>/connect", upload, Role.ADMIN),
)
