"""The documents of an API server that are no objects: version, API discovery, and the OIDC discovery of its issuer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.kubernetes.kinds import KINDS, Kind
from sandbox.kubernetes.tokens import TokenAuthority

VERSION = "v1.34.4"
Found = tuple[dict[str, Any], str, tuple[tuple[str, str], ...]]
_JSON = "application/json"
_CACHED = (("Cache-Control", "public, max-age=3600"),)
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def document(path: str, tokens: TokenAuthority, base_url: str) -> Found | None:
    """(body, content type, headers) of a path; None where there is nothing."""
    if path == "/openid/v1/jwks":
        return {"keys": [tokens.key.jwk()]}, "application/jwk-set+json", _CACHED
    if path == "/.well-known/openid-configuration":
        return openid_configuration(tokens, f"{base_url}/openid/v1/jwks"), _JSON, _CACHED
    fixed = _FIXED.get(path)
    if fixed is not None:
        return fixed(), _JSON, ()
    if path.startswith("/openapi/v3/"):
        described = [kind for kind in KINDS if f"/openapi/v3{kind.path}" == path]
        return (_openapi(described), _JSON, ()) if described else None
    served = [kind for kind in KINDS if kind.path == path]
    return (_resources(served), _JSON, ()) if served else None


def openid_configuration(tokens: TokenAuthority, jwks_uri: str) -> dict[str, Any]:
    """OpenID Connect Discovery 1.0, as a real API server answers it."""
    return {
        "issuer": tokens.issuers[0],
        "jwks_uri": jwks_uri,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }


def _version() -> dict[str, Any]:
    major, minor, _ = VERSION.lstrip("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": VERSION,
        "gitCommit": "sandbox",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "none",
        "platform": "linux/amd64",
    }


def _groups() -> dict[str, Any]:
    groups: dict[str, str] = {kind.group: kind.api_version for kind in KINDS if kind.group}
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            {
                "name": group,
                "versions": [{"groupVersion": api_version, "version": "v1"}],
                "preferredVersion": {"groupVersion": api_version, "version": "v1"},
            }
            for group, api_version in groups.items()
        ],
    }


def _openapi_index() -> dict[str, Any]:
    paths = sorted({kind.path for kind in KINDS})
    return {"paths": {path.lstrip("/"): {"serverRelativeURL": f"/openapi/v3{path}"} for path in paths}}


def _openapi(kinds: list[Kind]) -> dict[str, Any]:
    """As much as kubectl reads before it leaves the validation of fields to the server."""
    parameters = [
        {"name": name, "in": "query"} for name in ("dryRun", "fieldManager", "fieldValidation", "force")
    ]
    paths: dict[str, Any] = {}
    for kind in kinds:
        scope = "/namespaces/{namespace}" if kind.namespaced else ""
        named = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        patch = {"x-kubernetes-group-version-kind": named, "parameters": parameters, "responses": {}}
        paths[f"{kind.path}{scope}/{kind.plural}/{{name}}"] = {"patch": patch}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION}, "paths": paths}


# Subresources that are posted to, and what is posted.
_CREATED = {
    "token": {"kind": "TokenRequest", "group": "authentication.k8s.io", "version": "v1"},
    "eviction": {"kind": "Eviction", "group": "policy", "version": "v1"},
}


def _resources(kinds: list[Kind]) -> dict[str, Any]:
    listed: list[dict[str, Any]] = []
    for kind in kinds:
        one = {
            "name": kind.plural,
            "singularName": kind.kind.lower(),
            "namespaced": kind.namespaced,
            "kind": kind.kind,
        }
        listed.append(one | {"verbs": _VERBS} | ({"shortNames": list(kind.short)} if kind.short else {}))
        for subresource in kind.subresources:
            verbs = ["create"] if subresource in _CREATED else ["get", "patch", "update"]
            below = one | {"name": f"{kind.plural}/{subresource}", "singularName": "", "verbs": verbs}
            if subresource in _CREATED:
                below |= _CREATED[subresource]
            listed.append(below)
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": kinds[0].api_version,
        "resources": listed,
    }


_FIXED: dict[str, Callable[[], dict[str, Any]]] = {
    "/version": _version,
    "/api": lambda: {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": _groups,
    "/openapi/v3": _openapi_index,
}
