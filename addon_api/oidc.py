"""`/oidc/{id}`: the issuers of private clusters, published to AWS. Open to everybody, as an issuer must be.

STS keeps the key set unless the answer forbids it, and calls us for every token where it does, until we are too
slow for it ("Couldn't retrieve verification key"): so an hour of caching, and never `no-cache`.
The documents are those of OpenID Connect Discovery 1.0; `cli.oidc` writes the same ones to files.
"""

from __future__ import annotations

from flask import Response

from addon_api import answers
from addon_api.routing import Route, context
from fleet import issuers
from fleet.records import PublishedIssuer
from schemas.errors import NotFound
from schemas.status import Json

_CACHED = {"Cache-Control": "public, max-age=3600"}
_NOT_FOUND = "there is no such issuer"


def issuer_url(public_url: str, issuer_id: str) -> str:
    """The `iss` of the tokens that this issuer's cluster signs."""
    return f"{public_url.rstrip('/')}/oidc/{issuer_id}"


def discovery_document(public_url: str, issuer: PublishedIssuer) -> Json:
    """What `/.well-known/openid-configuration` says of `issuer`."""
    url = issuer_url(public_url, issuer.id)
    algorithms = {str(key["alg"]) for key in issuer.keys.get("keys", ()) if key.get("alg")}
    return {
        "issuer": url,
        "jwks_uri": f"{url}/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": sorted(algorithms or {"RS256"}),
    }


def key_set(issuer: PublishedIssuer) -> Json:
    """The pinned JWKS of `issuer`."""
    return dict(issuer.keys)


def configuration(issuer_id: str) -> Response:
    """The discovery document."""
    here = context()
    issuer = _served(issuer_id)
    if here.settings.public_url is None:
        raise NotFound(_NOT_FOUND)
    return answers.of_json(discovery_document(here.settings.public_url, issuer), headers=_CACHED)


def keys(issuer_id: str) -> Response:
    """The key set."""
    return answers.of_json(key_set(_served(issuer_id)), headers=_CACHED)


def _served(issuer_id: str) -> PublishedIssuer:
    issuer = issuers.read(context().database, issuer_id)
    if issuer is None or not issuer.keys:
        raise NotFound(_NOT_FOUND)
    return issuer


ROUTES = (
    Route(
        "GET",
        "/oidc/<issuer_id>/.well-known/openid-configuration",
        configuration,
        None,
        "The discovery document of a published issuer",
        answers={200: "Discovery"},
    ),
    Route(
        "GET",
        "/oidc/<issuer_id>/openid/v1/jwks",
        keys,
        None,
        "The key set of a published issuer",
        answers={200: "KeySet"},
    ),
)
