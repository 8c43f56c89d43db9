"""AdmissionReview v1 as JSON: read strictly, answered in kind. Pure; called by `agent.webhook.server`.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#request
"""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import Any

from agent.webhook.review import Answer, Review

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"
# What the API server cuts warnings to, each and in all.
_WARNING_LIMIT = 256
_WARNINGS_LIMIT = 4096


class Malformed(Exception):
    """The bytes are no review that can be answered; the message says why and quotes nothing of them."""


def read(body: bytes) -> Review:
    """The review in an HTTP body.

    Raises:
        Malformed: it is none.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("the body is no JSON text") from None
    document = _object(document, "the body")
    if document.get("apiVersion") != API_VERSION or document.get("kind") != KIND:
        raise Malformed(f"the body is no {KIND} of {API_VERSION}")
    request = _object(document.get("request"), "request")
    uid = _text(request, "uid")
    if not uid:
        raise Malformed("request.uid is missing")
    return Review(
        uid=uid,
        operation=_text(request, "operation"),
        namespace=_text(request, "namespace"),
        name=_text(request, "name"),
        username=_text(_object(request.get("userInfo") or {}, "request.userInfo"), "username"),
        dry_run=request.get("dryRun") is True,
        object=_optional(request, "object"),
        old_object=_optional(request, "oldObject"),
    )


def write(review: Review, answer: Answer) -> bytes:
    """The HTTP body that answers `review`."""
    response: dict[str, Any] = {"uid": review.uid, "allowed": answer.allowed}
    if answer.allowed and answer.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(json.dumps(answer.patch).encode()).decode()
    if not answer.allowed:
        response["status"] = {
            "status": "Failure",
            "message": answer.message,
            "reason": "Forbidden",
            "code": int(HTTPStatus.FORBIDDEN),
        }
    if answer.warnings:
        response["warnings"] = _cut(answer.warnings)
    return json.dumps({"apiVersion": API_VERSION, "kind": KIND, "response": response}).encode()


def _cut(warnings: tuple[str, ...]) -> list[str]:
    kept, left = [], _WARNINGS_LIMIT
    for warning in warnings:
        text = warning if len(warning) <= _WARNING_LIMIT else f"{warning[: _WARNING_LIMIT - 1]}…"
        left -= len(text)
        if left < 0:
            break
        kept.append(text)
    return kept


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"{where} is no JSON object")
    return value


def _optional(request: dict[str, Any], key: str) -> dict[str, Any] | None:
    value = request.get(key)
    return None if value is None else _object(value, f"request.{key}")


def _text(members: dict[str, Any], key: str) -> str:
    value = members.get(key, "")
    if not isinstance(value, str):
        raise Malformed(f"request: {key} is no text")
    return value
