"""Request bodies: JSON or YAML by content type, as one plain object."""

from __future__ import annotations

from typing import Any

from flask import request

from addon_api.problems import ContentTooLarge, UnsupportedMediaType
from addon_api.routing import context
from schemas import documents
from schemas.errors import Invalid, Mistake

_YAML = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"})
_FORM = "application/x-www-form-urlencoded"


def read() -> dict[str, Any]:
    """The body of this request.

    A form that holds nothing is an empty object: `cpln` sends requests without a body so.

    Raises:
        addon_api.problems.ContentTooLarge: it is larger than the limit.
        addon_api.problems.UnsupportedMediaType: neither JSON nor YAML.
        schemas.errors.Invalid: it cannot be read as one object.
    """
    data = request.get_data(cache=False)
    limit = context().settings.max_body_bytes
    if len(data) > limit:
        raise ContentTooLarge(f"the body is larger than {limit} bytes")
    content_type = request.mimetype
    if content_type == "application/json" or content_type.endswith("+json"):
        return documents.read_json(data)
    if content_type in _YAML or content_type.endswith("+yaml"):
        return documents.read_yaml(data)
    if content_type in {"", _FORM} and not data:
        return {}
    raise UnsupportedMediaType(
        f"Content-Type {content_type or 'is absent'}: send application/json or application/yaml"
    )


def text(body: dict[str, Any], member: str) -> str:
    """A member of `body` that must be text.

    Raises:
        schemas.errors.Invalid: it is absent, or something else.
    """
    value = body.get(member)
    if not isinstance(value, str) or not value:
        raise Invalid.because_of([Mistake(f"$.{member}", "expected text")])
    return value
