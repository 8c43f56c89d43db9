"""An API server's way to say no: `metav1.Status`, in the words of the real one.

Sources: k8s.io/apimachinery `pkg/api/errors` and the answers of a real kube-apiserver v1.34.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox.kubernetes.kinds import Kind


class StatusError(Exception):
    """An answer other than success; leaves through `api` as its `status`."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> dict[str, Any]:
        """The body."""
        made: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details is not None:
            made["details"] = self.details
        made["code"] = self.code
        return made


def _details(kind: Kind, name: str, causes: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if name:
        made["name"] = name
    if kind.group:
        made["group"] = kind.group
    made["kind"] = kind.plural
    if causes:
        made["causes"] = list(causes)
    return made


def bad_request(message: str) -> StatusError:
    """400: not understood."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401, which never says why."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(kind: Kind, name: str, why: str) -> StatusError:
    """403 about an object."""
    subject = f'{kind.resource} "{name}"' if name else kind.resource
    return StatusError(403, "Forbidden", f"{subject} is forbidden: {why}", _details(kind, name))


def not_found(kind: Kind, name: str) -> StatusError:
    """404 of an object."""
    return StatusError(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def unknown_path() -> StatusError:
    """404 of a path."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(kind: Kind, name: str, *, leaving: bool) -> StatusError:
    """409 of a create; `leaving`: what exists is being deleted."""
    message = f'{"object is being deleted: " if leaving else ""}{kind.resource} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, _details(kind, name))


def conflict(kind: Kind, name: str, why: str) -> StatusError:
    """409 of an optimistic lock or a precondition."""
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return StatusError(409, "Conflict", message, _details(kind, name))


def modified(kind: Kind, name: str) -> StatusError:
    """409: the resourceVersion sent is not the one stored."""
    return conflict(
        kind,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def method_not_allowed() -> StatusError:
    """405."""
    return StatusError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
    )


def expired(message: str) -> StatusError:
    """410: list or watch anew."""
    return StatusError(410, "Expired", message)


def unsupported_media_type(supported: Sequence[str]) -> StatusError:
    """415 of a patch."""
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(supported)}"
    return StatusError(415, "UnsupportedMediaType", message, {})


def cause(reason: str, field: str, message: str) -> dict[str, str]:
    """One mistake of an object; `reason` is FieldValueInvalid, FieldValueRequired and the like."""
    return {"reason": reason, "message": message, "field": field}


def invalid(kind: Kind, name: str, causes: Sequence[dict[str, str]]) -> StatusError:
    """422 with every mistake."""
    words = [f"{one['field']}: {one['message']}" for one in causes]
    said = words[0] if len(words) == 1 else f"[{', '.join(words)}]"
    qualified = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details = _details(kind, name, causes) | {"kind": kind.kind}
    return StatusError(422, "Invalid", f'{qualified} "{name}" is invalid: {said}', details)
