"""Clusters: list, read, write, remove. Each view parses, calls one command of `fleet` and shows what it left."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, request

from addon_api import answers, bodies, filters, remains, representation
from addon_api.routing import Context, Route, context, principal
from addon_api.trust_policies import Policies
from fleet import clusters, issuers
from fleet.clusters import Expectation, Wish
from fleet.records import Cluster, ClusterKey, Role
from schemas import manifest
from schemas.errors import Invalid, Mistake, NotFound, PreconditionFailed
from schemas.merge import merge

_WISHES = ("kind", "name", "description", "tags", "spec")
_SERVER_OWNED = ("id", "alias", "version", "created", "lastModified", "links", "status")
_ENTITY_TAG = re.compile(r'"([^".]+)\.([0-9]{1,18})"')
_COLLECTION = "/org/<org>/mk8s"
_ONE = "/org/<org>/mk8s/<name>"


def list_clusters(org: str) -> Response:
    """One page of clusters, by name."""
    here = context()
    limit = answers.limit()
    after, before = request.args.get("after"), request.args.get("before")
    page = clusters.page(here.database, org, after=after, before=before, limit=limit, only=filters.asked())
    return answers.of_page(
        "mk8s",
        shown(here, org, page.items),
        path=answers.collection_path(org),
        limit=limit,
        after=page.after,
        before=page.before,
        asked={name: request.args[name] for name in filters.ALL if name in request.args},
    )


def read(org: str, name: str) -> Response:
    """One cluster."""
    here = context()
    return _one(here, clusters.read(here.database, ClusterKey(org, name)))


def apply(org: str) -> Response:
    """Creates or replaces the cluster that the body names.

    `version` and `id` in the body do not count here: an applied file may well carry those of an older export.
    """
    body = bodies.read()
    return _put(_key(org, body, None), body, _expectation({}))


def replace(org: str, name: str) -> Response:
    """Creates or replaces the cluster that the path names, unless `version` or `id` in the body tell of another."""
    body = bodies.read()
    key = _key(org, body, name)
    return _put(key, {**body, "name": name}, _expectation(body))


def create(org: str) -> Response:
    """Creates the cluster that the body names; 409 where it exists."""
    body = bodies.read()
    here = context()
    key = _key(org, body, None)
    wish = _checked(body, _stored_settings(here, key, body))
    if _only_checks():
        clusters.refuse_existing(here.database, key)
        return _valid(key)
    written = clusters.create(here.database, principal(), key, wish, now=here.now())
    return _one(here, written.cluster, status=201)


def patch(org: str, name: str) -> Response:
    """Merges the body into the stored manifest."""
    body = bodies.read()
    here = context()
    key = _key(org, body, name)
    expect = _expectation(body)
    change = {member: value for member, value in body.items() if member not in _SERVER_OWNED}

    def changed(stored: Cluster) -> Wish:
        document = {**stored.manifest, "name": key.name, "settings": stored.settings}
        return _checked({"settings": {}, **merge(document, change)}, {})

    written = clusters.patch(here.database, principal(), key, changed, now=here.now(), expect=expect)
    return _one(here, written.cluster)


def delete(org: str, name: str) -> Response:
    """Starts the removal, or (`?force=true`) forgets the cluster and says what remains."""
    here = context()
    key = ClusterKey(org, name)
    found = clusters.read(here.database, key)
    _match(found, _expectation({}))
    if request.args.get("force") == "true":
        issuer = issuers.of_cluster(here.database, found.uid)
        forgotten = clusters.force_remove(here.database, principal(), key, now=here.now())
        return answers.of_json(
            {"kind": "removal", "name": name, "remains": remains.after_force(forgotten, issuer)}
        )
    removing = clusters.remove(here.database, principal(), key, now=here.now())
    if removing is None:
        return answers.of_json({"kind": "removal", "name": name, "remains": []})
    return _one(here, removing, status=202)


def _key(org: str, body: Mapping[str, Any], name: str | None) -> ClusterKey:
    """The cluster that path and body name; they must agree."""
    named = body.get("name")
    if name is None:
        if not isinstance(named, str):
            _checked(body, {})  # refuses, with every other mistake beside this one
        return ClusterKey(org, str(named))
    if named is not None and named != name:
        raise Invalid.because_of(
            [Mistake("$.name", f"the path says `{name}`; a cluster cannot be renamed", "make both the same")]
        )
    return ClusterKey(org, name)


def _put(key: ClusterKey, body: Mapping[str, Any], expect: Expectation | None) -> Response:
    here = context()
    wish = _checked(body, _stored_settings(here, key, body))
    if _only_checks():
        return _valid(key)
    written = clusters.put(here.database, principal(), key, wish, now=here.now(), expect=expect)
    return _one(here, written.cluster, status=201 if written.created else 200)


def _only_checks() -> bool:
    """`?dryRun=true`: nothing is to be stored."""
    return request.args.get("dryRun") == "true"


def _valid(key: ClusterKey) -> Response:
    return answers.of_json({"kind": "dryRun", "name": key.name, "valid": True})


def _checked(body: Mapping[str, Any], stored_settings: Mapping[str, Any]) -> Wish:
    """The wish that `body` holds, checked together with the stored settings where it holds none."""
    document = {member: value for member, value in body.items() if member != "settings"}
    sent = body.get("settings", stored_settings)
    settings = {} if sent is None else sent
    manifest.parse(document, settings)
    wish = {member: document[member] for member in _WISHES if member in document}
    return Wish(wish, settings if "settings" in body else None)


def _stored_settings(here: Context, key: ClusterKey, body: Mapping[str, Any]) -> Mapping[str, Any]:
    if "settings" in body:
        return {}
    try:
        return clusters.read(here.database, key).settings
    except NotFound:
        return {}


def _expectation(body: Mapping[str, Any]) -> Expectation | None:
    """What the writer believes is stored: `If-Match`, else `version` and `id` of the body."""
    header = request.headers.get("If-Match")
    if header is not None:
        if header.strip() == "*":
            return Expectation(from_header=True)
        tag = _ENTITY_TAG.fullmatch(header.strip())
        if tag is None:
            raise PreconditionFailed("If-Match: expected the ETag of this cluster as it was sent")
        return Expectation(version=int(tag[2]), uid=tag[1], from_header=True)
    version, uid = body.get("version"), body.get("id")
    mistakes = []
    if version is not None and type(version) is not int:
        mistakes.append(Mistake("$.version", "expected an integer"))
    if uid is not None and not isinstance(uid, str):
        mistakes.append(Mistake("$.id", "expected text"))
    if mistakes:
        raise Invalid.because_of(mistakes)
    return None if version is None and uid is None else Expectation(version=version, uid=uid)


def _match(found: Cluster, expect: Expectation | None) -> None:
    """Refuses a DELETE whose `If-Match` names another version; a write between this and the removal goes unseen."""
    if (
        expect is not None
        and expect.uid is not None
        and (expect.uid, expect.version) != (found.uid, found.version)
    ):
        raise PreconditionFailed(f"cluster {found.key} changed meanwhile: version {found.version} is stored")


def shown(here: Context, org: str, found: Sequence[Cluster]) -> list[dict[str, Any]]:
    """Clusters of one answer, whole."""
    policies = Policies.of(here.database, org, found)
    return [representation.of_cluster(cluster, policies) for cluster in found]


def _one(here: Context, cluster: Cluster, *, status: int = 200) -> Response:
    headers = {"ETag": answers.etag_of(cluster)}
    if status == 201:  # noqa: PLR2004 - Created
        headers["Location"] = answers.cluster_path(cluster.key.org, cluster.key.name)
    return answers.of_json(shown(here, cluster.key.org, [cluster])[0], status=status, headers=headers)


_DRY_RUN = {"dryRun": "`true`: only check the manifest; nothing is stored"}
_PAGING = {
    "limit": f"items per page, 1 to {answers.MAXIMUM_LIMIT}; {answers.DEFAULT_LIMIT} unless told",
    "after": "where the page starts; take it from `links[rel=next]`",
    "before": "where the page ends; take it from `links[rel=prev]`",
}

ROUTES = (
    Route(
        "GET",
        _COLLECTION,
        list_clusters,
        Role.VIEWER,
        "List the clusters by name",
        answers={200: "ClusterList"},
        query=_PAGING | filters.ALL,
    ),
    Route(
        "PUT",
        _COLLECTION,
        apply,
        Role.EDITOR,
        "Create or replace the cluster that the body names",
        answers={200: "Cluster", 201: "Cluster"},
        body="Manifest",
        query=_DRY_RUN,
    ),
    Route(
        "POST",
        _COLLECTION,
        create,
        Role.EDITOR,
        "Create a cluster; 409 where it exists",
        answers={201: "Cluster"},
        body="Manifest",
        query=_DRY_RUN,
    ),
    Route("GET", _ONE, read, Role.VIEWER, "Read one cluster", answers={200: "Cluster"}),
    Route(
        "PUT",
        _ONE,
        replace,
        Role.EDITOR,
        "Create or replace one cluster",
        answers={200: "Cluster", 201: "Cluster"},
        body="Manifest",
        query=_DRY_RUN,
    ),
    Route(
        "PATCH",
        _ONE,
        patch,
        Role.EDITOR,
        "Merge into one cluster; null deletes a member, `$replace/MEMBER` replaces one whole",
        answers={200: "Cluster"},
        body="Patch",
    ),
    Route(
        "DELETE",
        _ONE,
        delete,
        Role.EDITOR,
        "Start the removal of one cluster",
        answers={200: "Removal", 202: "Cluster"},
        query={"force": "`true`: forget the cluster at once and list what remains in it"},
    ),
)
