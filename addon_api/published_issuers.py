"""`-issuer`: what the hub publishes for a private cluster, and an admin's yes to other keys.

Keys are pinned, because whoever changes them can sign as any workload of the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from addon_api import answers, bodies, oidc
from addon_api.routing import Route, context, principal
from fleet import clusters, issuers
from fleet.records import ClusterKey, PublishedIssuer, Role
from schemas.errors import NotFound
from schemas.status import Json


def show(org: str, name: str) -> Response:
    """The published issuer of a cluster, with the fingerprint of the keys that wait."""
    here = context()
    cluster = clusters.read(here.database, ClusterKey(org, name))
    issuer = issuers.of_cluster(here.database, cluster.uid)
    if issuer is None:
        raise NotFound(f"nothing is published for {name}")
    return answers.of_json(_shown(issuer))


def accept(org: str, name: str) -> Response:
    """Says yes to the keys that wait, named by their fingerprint."""
    here = context()
    fingerprint = bodies.text(bodies.read(), "fingerprint")
    accepted = issuers.accept(here.database, principal(), ClusterKey(org, name), fingerprint, now=here.now())
    return answers.of_json(_shown(accepted))


def bury(org: str, issuer_id: str) -> Response:
    """Ends the issuer of a cluster that was forgotten by force."""
    here = context()
    if not issuers.bury(here.database, principal(), issuer_id, now=here.now()):
        raise NotFound(f"{org} has no forgotten issuer of this id")
    return answers.of_json({"kind": "removal", "name": issuer_id, "remains": []})


def _shown(issuer: PublishedIssuer) -> Json:
    public_url = context().settings.public_url
    return {
        "kind": "issuer",
        "id": issuer.id,
        "url": None if public_url is None else oidc.issuer_url(public_url, issuer.id),
        "keys": _fingerprinted(issuer.keys) if issuer.keys else None,
        "pendingKeys": _fingerprinted(issuer.pending_keys) if issuer.pending_keys else None,
    }


def _fingerprinted(keys: Mapping[str, Any]) -> Json:
    return {"fingerprint": issuers.fingerprint(keys), **keys}


_ISSUER = "/org/<org>/mk8s/<name>/-issuer"

ROUTES = (
    Route(
        "GET",
        _ISSUER,
        show,
        Role.VIEWER,
        "What the hub publishes for a private cluster: pinned keys, and keys that wait for an admin",
        answers={200: "Issuer"},
    ),
    Route(
        "POST",
        f"{_ISSUER}/accept",
        accept,
        Role.ADMIN,
        "Accept the keys that wait; the old ones stay served beside them",
        answers={200: "Issuer"},
        body="KeyAcceptance",
    ),
    Route(
        "DELETE",
        "/org/<org>/-issuers/<issuer_id>",
        bury,
        Role.ADMIN,
        "Stop serving the issuer of a cluster that was forgotten by force",
        answers={200: "Removal"},
    ),
)
