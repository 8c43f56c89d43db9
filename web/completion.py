"""What the editor completes manifests from: the members of a manifest, as the API's own OpenAPI document has them.

Nothing is described here; `web.editing` serves the answer, which is the same for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = Any

_PREFIX = "#/components/schemas/"


def of_manifests(description: Json) -> Json:
    """A node: `members` by name, each again a node; `list` where these are its items'; `choices` and `expected`.

    A member without a word of schema is the server's own (`status`), and left out.
    """
    schemas = description["components"]["schemas"]
    return _node(schemas["Manifest"], schemas)


def _node(schema: Json, schemas: Mapping[str, Json]) -> Json:
    node: dict[str, Json] = {}
    choices: list[str] = []
    for part in _alternatives(schema, schemas):
        if "properties" in part:
            node["members"] = {
                name: _node(member, schemas) for name, member in part["properties"].items() if member
            }
        if "items" in part:
            node["list"] = True
            node |= {key: value for key, value in _node(part["items"], schemas).items() if key == "members"}
        choices += [str(choice) for choice in part.get("enum", ()) if choice is not None]
        if "boolean" in _types(part):
            choices += ["true", "false"]
    if choices:
        node["choices"] = choices
    if expected := schema.get("description", ""):
        node["expected"] = expected
    return node


def _alternatives(schema: Json, schemas: Mapping[str, Json]) -> list[Json]:
    """The schema, or those of which it takes any, with references followed."""
    if "$ref" in schema:
        return _alternatives(schemas[schema["$ref"].removeprefix(_PREFIX)], schemas)
    if "anyOf" in schema:
        return [found for part in schema["anyOf"] for found in _alternatives(part, schemas)]
    return [schema]


def _types(schema: Json) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else kind
