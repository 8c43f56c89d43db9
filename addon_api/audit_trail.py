"""The audit service of the wire contract, which `cpln mk8s audit` asks: who did what in an organisation, newest first.

The records are those of `-audit`, in the contract's shape. A principal is a token; the contract has no such kind, so
it stands here as the service account that a token of this name would belong to.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import quote, unquote

from flask import Response, request

from addon_api import answers
from addon_api.routing import Route, context
from fleet import audit, clusters
from fleet.audit import Narrowing, Record
from fleet.records import Role
from schemas.errors import Invalid, Mistake, NotFound
from schemas.status import Json
from schemas.times import format_time, parse_time

_PATH = "/audit/org/<org>"
_CONTEXT = "cpln"
_CONTROLLER = "controller"
_MOST = 1000  # `cpln` asks once and cuts at `--max` by itself


def of_organisation(org: str) -> Response:
    """Everything that was done."""
    return _page(org, f"/audit/org/{quote(org, safe='')}", Narrowing())


def of_resource(org: str, resource_id: str) -> Response:
    """What was done to one cluster, by its id; a cluster of the same name that was there before it had another."""
    cluster = clusters.load(context().database, resource_id)
    if cluster is None or cluster.key.org != org:
        raise NotFound(f"there is no cluster with the id {resource_id[:80]!r}")
    path = f"/audit/org/{quote(org, safe='')}/resource/id/{cluster.uid}"
    return _page(org, path, Narrowing(resource="mk8s", name=cluster.key.name, since=cluster.created))


def _page(org: str, path: str, only: Narrowing) -> Response:
    named = request.args.get("contextName", _CONTEXT)
    if named != _CONTEXT:
        raise NotFound(f"there is no audit context {named[:80]!r}; all is recorded in {_CONTEXT!r}")
    mistakes: list[Mistake] = []
    since, until = _moment("fromEvent", mistakes), _moment("toEvent", mistakes)
    if mistakes:
        raise Invalid.because_of(mistakes)
    subject = request.args.get("subjectName")
    page = audit.trail(
        context().database,
        org,
        Narrowing(
            resource=only.resource or request.args.get("resourceType"),
            name=only.name,
            since=max((moment for moment in (since, only.since) if moment is not None), default=None),
            # Read to the second: what happened within the last one belongs to it.
            until=None if until is None else until + timedelta(seconds=1),
            principal=None if subject is None else unquote(subject.rpartition("/")[2]),
        ),
        after=request.args.get("after"),
        limit=_MOST,
    )
    asked = {name: request.args[name] for name in _PARAMETERS if name in request.args}
    shown = [_shown(org, record) for record in page.items]
    return answers.of_page("auditEvent", shown, path=path, limit=_MOST, after=page.after, asked=asked)


def _moment(parameter: str, mistakes: list[Mistake]) -> datetime | None:
    text = request.args.get(parameter)
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        mistakes.append(Mistake(f"?{parameter}", "expected an RFC 3339 time such as 2026-11-22T05:40:00Z"))
        return None


def _shown(org: str, record: Record) -> Json:
    name = record.principal.rpartition(" (")[0]
    return {
        "id": record.id,
        "eventTime": format_time(record.time),
        "resource": {"name": record.name, "type": record.resource, "data": {"version": record.version}},
        "result": {"status": "success", "message": record.action},
        "subject": {
            "data": {
                "type": "serviceaccount" if name else _CONTROLLER,
                "principalLink": answers.principal_link(org, name) if name else _CONTROLLER,
            }
        },
    }


_PARAMETERS = {
    "resourceType": "only records of this kind, such as `mk8s`",
    "contextName": "`cpln`: there is no other context",
    "fromEvent": "only what happened since, RFC 3339",
    "toEvent": "only what happened until, RFC 3339",
    "subjectName": "only what this token did: its name, or a link that ends with it",
}
_QUERY = {**_PARAMETERS, "after": "where the page starts; take it from `links[rel=next]`"}

ROUTES = (
    Route(
        "GET",
        _PATH,
        of_organisation,
        Role.VIEWER,
        "Who did what in the organisation, newest first, as `cpln` reads it",
        answers={200: "AuditTrail"},
        query=_QUERY,
    ),
    Route(
        "GET",
        f"{_PATH}/resource/id/<resource_id>",
        of_resource,
        Role.VIEWER,
        "Who did what to one cluster, newest first, as `cpln` reads it",
        answers={200: "AuditTrail"},
        query=_QUERY,
    ),
)
