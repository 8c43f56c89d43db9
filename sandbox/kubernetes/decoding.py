"""From what a client sent to an object of the kind that the path names."""

from __future__ import annotations

from typing import Any

from sandbox.kubernetes.kinds import Kind, Target
from sandbox.kubernetes.statuses import StatusError, bad_request
from sandbox.kubernetes.store import Object
from sandbox.kubernetes.types import WrongType, conformed, type_of

# What only the server writes.
KEPT_METADATA = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")


def decoded(target: Target, body: Any, *, strict: bool) -> tuple[Object, list[str]]:
    """The object that a write sends, with its schema's defaults, and the fields that its kind does not have.

    Raises:
        StatusError: 400, for another kind, name or namespace than the path's, a wrong type, or (strict) such a field.
    """
    kind = target.kind
    _check_kind(kind, body)
    unknown: list[str] = []
    try:
        new = with_head(kind, conformed(body, type_of(kind), unknown=unknown))
    except WrongType as error:
        message = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: json: cannot unmarshal into Go struct field {kind.kind}{error.path} of type {error.expected}'
        raise bad_request(message) from error
    if unknown and strict:
        said = ", ".join(f'unknown field "{name.lstrip(".")}"' for name in unknown)
        raise bad_request(f"strict decoding error: {said}")
    _check_address(target, new["metadata"])
    return new, unknown


def decoded_config(target: Target, config: Any) -> Object:
    """The object that an apply sends, without defaults, which are nobody's.

    Raises:
        StatusError: 400 as for `decoded`; 500 where a field is unknown or of a wrong type, as the real one has it.
    """
    kind = target.kind
    if not isinstance(config, dict) or not config.get("apiVersion") or not config.get("kind"):
        raise bad_request("error decoding YAML: apiVersion and kind must be set")
    _check_kind(kind, config)
    unknown: list[str] = []
    name = (config.get("metadata") or {}).get("name", "")
    subject = f"failed to create typed patch object ({target.namespace}/{name}; {kind.api_version}, Kind={kind.kind})"
    try:
        made: Object = conformed(config, type_of(kind), unknown=unknown, stored=False)
    except WrongType as error:
        raise StatusError(500, "", f"{subject}: {error}") from error
    if unknown:
        raise StatusError(500, "", f"{subject}: {unknown[0]}: field not declared in schema")
    made.setdefault("metadata", {})
    if "managedFields" in made["metadata"]:
        raise bad_request("metadata.managedFields must be nil")
    _check_address(target, made["metadata"])
    for field in KEPT_METADATA:
        made["metadata"].pop(field, None)
    if target.subresource == "status":
        made.pop("spec", None)
    elif "status" in kind.subresources:
        made.pop("status", None)
    return made


def with_head(kind: Kind, obj: Object) -> Object:
    """Its kind and metadata first, as an API server writes them."""
    metadata = obj.pop("metadata", None) or {}
    obj.pop("kind", None)
    obj.pop("apiVersion", None)
    return {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata} | obj


def _check_kind(kind: Kind, body: Any) -> None:
    if not isinstance(body, dict):
        raise bad_request(
            f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind"
        )
    sent = (body.get("apiVersion") or kind.api_version, body.get("kind") or kind.kind)
    if sent != (kind.api_version, kind.kind):
        raise bad_request(
            f'{sent[1]} in version "{sent[0]}" cannot be handled as a {kind.kind}: no kind "{sent[1]}" is registered here'
        )


def _check_address(target: Target, metadata: Object) -> None:
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if target.name and name and name != target.name:
        raise bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({target.name})"
        )
    if namespace and namespace != target.namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if target.name and not name:
        metadata["name"] = target.name
