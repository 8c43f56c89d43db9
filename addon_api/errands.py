"""Errands: `-doctor` and `-preview` ask a controller to do something in a cluster now; the API itself dials nobody."""

from __future__ import annotations

from flask import Response

from addon_api import answers, bodies
from addon_api.routing import Route, context, principal
from fleet import clusters, errands
from fleet.errands import ErrandKind
from fleet.records import ClusterKey, Errand, Role
from schemas import manifest
from schemas.errors import Invalid, Mistake
from schemas.status import Json
from schemas.times import format_time

_ONE = "/org/<org>/mk8s/<name>"
_WISHES = ("kind", "name", "description", "tags", "spec")


def doctor(org: str, name: str) -> Response:
    """Asks for a walk along the cluster's whole chain, from the hub."""
    here = context()
    key = ClusterKey(org, name)
    asked = errands.ask(here.database, principal(), key, ErrandKind.DOCTOR, {}, now=here.now())
    return _shown(key, asked, status=202)


def preview(org: str, name: str) -> Response:
    """Asks which objects in the cluster the manifest in the body would change, by the API server's own dry run."""
    here = context()
    key = ClusterKey(org, name)
    body = bodies.read()
    if body.get("name", name) != name:
        raise Invalid.because_of([Mistake("$.name", f"the path says `{name}`; a cluster cannot be renamed")])
    stored = clusters.read(here.database, key)
    document = {"name": name} | {member: body[member] for member in _WISHES if member in body}
    sent = body.get("settings", stored.settings)
    settings = {} if sent is None else sent
    manifest.parse(document, settings)
    wish = {"manifest": document, "settings": settings}
    asked = errands.ask(here.database, principal(), key, ErrandKind.PREVIEW, wish, now=here.now())
    return _shown(key, asked, status=202)


def read(org: str, name: str, errand_id: str) -> Response:
    """How far an errand is; `result` once it is done."""
    key = ClusterKey(org, name)
    return _shown(key, errands.find(context().database, key, errand_id))


def _shown(key: ClusterKey, errand: Errand, *, status: int = 200) -> Response:
    path = f"{answers.cluster_path(key.org, key.name)}/-errands/{errand.id}"
    document: Json = {
        "kind": "errand",
        "id": errand.id,
        "what": errand.kind,
        "requestedAt": format_time(errand.requested_at),
        "requestedBy": errand.requested_by,
        "finishedAt": None if errand.finished_at is None else format_time(errand.finished_at),
        "result": errand.result,
        "links": [{"rel": "self", "href": path}],
    }
    return answers.of_json(document, status=status, headers={"Location": path} if status != 200 else None)  # noqa: PLR2004 - OK


ROUTES = (
    Route(
        "POST",
        f"{_ONE}/-doctor",
        doctor,
        Role.EDITOR,
        "Have a controller walk the cluster's chain to AWS now, hop by hop",
        answers={202: "Errand"},
    ),
    Route(
        "POST",
        f"{_ONE}/-preview",
        preview,
        Role.EDITOR,
        "Have a controller find out what a manifest would change in the cluster",
        answers={202: "Errand"},
        body="Manifest",
    ),
    Route(
        "GET",
        f"{_ONE}/-errands/<errand_id>",
        read,
        Role.EDITOR,
        "What came of `-doctor` or `-preview`",
        answers={200: "Errand"},
    ),
)
