"""The API described by itself: OpenAPI 3.1 from the table of routes and the schemas, and a page to read it.

Both need a token like every other route; a browser may give it as a password. Built when asked for: it is asked
for rarely.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from html import escape
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Response

from addon_api import answers
from addon_api.routing import Route, context
from addon_api.wire_schemas import SCHEMAS
from aws.setup.formats import CONTENT_TYPES
from fleet.records import Role
from schemas.status import Json
from schemas.version import __version__

_PARAMETER = re.compile("<([a-z_]+)>")
_PARAMETERS = {
    "org": "The organisation of the token.",
    "name": "The cluster's name.",
    "issuer_id": "The id of a published issuer.",
    "errand_id": "The id of an errand.",
    "resource_id": "The cluster's id.",
}
_TEXTS = {
    "Metrics": ("text/plain",),
    "Hcl": ("text/plain",),
    "Page": ("text/html",),
    "Setup": tuple(dict.fromkeys(CONTENT_TYPES.values())),
}
_REFUSALS = {
    401: "No token, or one that is not known",
    403: "The token's role is too small",
    404: "There is no such thing in this organisation",
}
_BODY_REFUSALS = {
    400: "The body is wrong; `details` lists every mistake",
    409: "It exists already, or changed meanwhile",
    412: "If-Match names another version",
    413: "The body is too large",
    415: "The body is neither JSON nor YAML",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}"
    "code,pre{font:14px/1.45 ui-monospace,monospace;background:#f3f4f6}code{padding:.1em .3em}"
    "pre{padding:.75rem;overflow:auto}summary{cursor:pointer;padding:.4rem 0}"
    "@media(prefers-color-scheme:dark){body{background:#14171a;color:#e6e8ea}code,pre{background:#22272c}"
    "a{color:#8ab4f8}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PAGE_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"
)


def description(routes: Iterable[Route]) -> Json:
    """The OpenAPI document of `routes`."""
    spec = APISpec(
        title="Pullpass",
        version=__version__,
        openapi_version="3.1.0",
        info={"description": "Private ECR images for any Kubernetes cluster, without a stored AWS key."},
        plugins=[MarshmallowPlugin()],
        security=[{"token": []}],
    )
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    for name, schema in SCHEMAS.items():
        spec.components.schema(
            name, **({"component": schema} if isinstance(schema, dict) else {"schema": schema})
        )
    for route in routes:
        spec.path(
            path=_PARAMETER.sub(r"{\1}", route.path), operations={route.method.lower(): _operation(route)}
        )
    document: Json = spec.to_dict()
    # Read apart from the manifest, so that a write may leave them out: the schema has no more to say there.
    document["components"]["schemas"]["Manifest"]["properties"]["settings"] = _reference("Settings")
    return document


def show() -> Response:
    """The OpenAPI document."""
    return answers.of_json(description(context().routes.values()))


def page() -> Response:
    """The OpenAPI document as a page that loads nothing from anywhere."""
    document = description(context().routes.values())
    return Response(
        _page(document),
        content_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": _PAGE_POLICY},
    )


def _operation(route: Route) -> Json:
    role = "Open to everybody." if route.role is None else f"Needs the role {route.role.name.lower()}."
    operation: Json = {
        "operationId": route.endpoint,
        "summary": route.summary,
        "description": role,
        "parameters": [
            {
                "name": name,
                "in": "path",
                "required": True,
                "description": _PARAMETERS[name],
                "schema": {"type": "string"},
            }
            for name in _PARAMETER.findall(route.path)
        ]
        + [
            {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
            for name, text in route.query.items()
        ],
        "responses": {str(status): _answer(schema) for status, schema in route.answers.items()},
    }
    refusals = {} if route.role is None else dict(_REFUSALS)
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {
                kind: {"schema": _reference(route.body)} for kind in ("application/json", "application/yaml")
            },
        }
        refusals |= _BODY_REFUSALS
    operation["responses"] |= {str(status): _problem(text) for status, text in refusals.items()} | {
        "default": _problem("Anything else that went wrong")
    }
    if route.role is None:
        operation["security"] = []
    return operation


def _answer(schema: str) -> Json:
    if schema == "Problem":
        return _problem("It is not served")
    kinds = _TEXTS.get(schema)
    content = (
        {kind: {"schema": {"type": "object" if kind.endswith("json") else "string"}} for kind in kinds}
        if kinds
        else {"application/json": {"schema": _reference(schema)}}
    )
    return {"description": "Done", "content": content}


def _problem(text: str) -> Json:
    return {"description": text, "content": {"application/problem+json": {"schema": _reference("Problem")}}}


def _reference(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}


def _page(document: Json) -> str:
    operations = "".join(
        _operation_html(method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>{_json_html(schema)}</details>'
        for name, schema in sorted(document["components"]["schemas"].items())
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Pullpass API</title><style>{_STYLE}</style></head><body>"
        f"<h1>Pullpass API {escape(document['info']['version'])}</h1>"
        f"<p>{escape(document['info']['description'])} For programs: <a href='openapi.json'>openapi.json</a>.</p>"
        f"<main><h2>Routes</h2>{operations}<h2>Schemas</h2>{schemas}</main></body></html>\n"
    )


def _operation_html(method: str, path: str, operation: Json) -> str:
    parameters = "".join(
        f"<li><code>{escape(parameter['name'])}</code> ({escape(parameter['in'])}): {escape(parameter['description'])}</li>"
        for parameter in operation["parameters"]
    )
    body = operation.get("requestBody")
    responses = "".join(
        f"<li><code>{escape(status)}</code> {escape(answer['description'])}: {_content_html(answer['content'])}</li>"
        for status, answer in operation["responses"].items()
    )
    return (
        f"<details><summary><code>{escape(method)} {escape(path)}</code> {escape(operation['summary'])}</summary>"
        f"<p>{escape(operation['description'])}</p>"
        + (f"<p>Parameters:</p><ul>{parameters}</ul>" if parameters else "")
        + (f"<p>Body: {_content_html(body['content'])}</p>" if body else "")
        + f"<p>Answers:</p><ul>{responses}</ul></details>"
    )


def _content_html(content: Json) -> str:
    kinds = ", ".join(content)
    name = next(iter(content.values()))["schema"].get("$ref", "").rpartition("/")[2]
    return f'<a href="#{escape(name)}">{escape(name)}</a> ({escape(kinds)})' if name else escape(kinds)


def _json_html(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


ROUTES = (
    Route(
        "GET",
        "/openapi.json",
        show,
        Role.VIEWER,
        "This API as an OpenAPI 3.1 document",
        answers={200: "OpenApi"},
        browsable=True,
    ),
    Route("GET", "/openapi", page, Role.VIEWER, "This API as a page", answers={200: "Page"}, browsable=True),
)
