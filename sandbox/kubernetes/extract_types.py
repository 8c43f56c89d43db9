"""Makes `types.json` from a real API server's own OpenAPI documents: `python -m sandbox.kubernetes.extract_types FILE...`.

Run by a developer when the pinned Kubernetes version moves, with the answers of `/openapi/v3/api/v1` and
`/openapi/v3/apis/GROUP/VERSION` saved as files. What it keeps is what an API server decides by: fields, required
fields, defaults, and how lists and maps merge under server-side apply (`x-kubernetes-list-type` and relatives).

The compact form of a type: `"s"` string, `"i"` integer, `"n"` number, `"b"` boolean, `"x"` any scalar, `"*"` anything,
`"#Name"` a struct of the table, `{"map": T}`, `{"list": T, "by": [keys] | "value" | "whole"}`; `"whole": true` on a
struct or map is an atomic one. A struct is `{"fields": {name: T}, "required": [...], "defaults": {...},
"embedded": [...]}`, the last naming structs that are always there (no pointers in Go).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from sandbox.kubernetes.kinds import KINDS

SCALARS = {"string": "s", "integer": "i", "number": "n", "boolean": "b"}


def short(reference: str) -> str:
    """`io.k8s.api.core.v1.PodSpec` to `core.v1.PodSpec`, which is unique among ours."""
    name = reference.rsplit("/", 1)[-1]
    return name.removeprefix("io.k8s.api.").removeprefix("io.k8s.apimachinery.pkg.apis.")


class Extractor:
    """Collects the closure of the types that the sandbox's kinds use."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self.schemas = schemas
        self.types: dict[str, Any] = {}

    def field(self, schema: dict[str, Any]) -> Any:
        """The compact form of one field's schema."""
        if "allOf" in schema and len(schema["allOf"]) == 1:
            return self.reference(
                schema["allOf"][0]["$ref"], whole=schema.get("x-kubernetes-map-type") == "atomic"
            )
        if "$ref" in schema:
            return self.reference(schema["$ref"], whole=False)
        if schema.get("type") == "array":
            kind = schema.get("x-kubernetes-list-type", "atomic")
            by: Any = {"set": "value", "map": schema.get("x-kubernetes-list-map-keys")}.get(kind, "whole")
            return {"list": self.field(schema["items"]), "by": by}
        if schema.get("type") == "object" and "additionalProperties" in schema:
            made: dict[str, Any] = {"map": self.field(schema["additionalProperties"])}
            if schema.get("x-kubernetes-map-type") == "atomic":
                made["whole"] = True
            return made
        return SCALARS.get(schema.get("type", ""), "*")

    def reference(self, reference: str, *, whole: bool) -> Any:
        """A named type; its struct is put in the table once."""
        full = reference.rsplit("/", 1)[-1]
        schema = self.schemas[full]
        if "properties" not in schema:
            if schema.get("type") in SCALARS and schema.get("format") != "int-or-string":
                return SCALARS[schema["type"]]
            return "x" if "oneOf" in schema or schema.get("format") == "int-or-string" else "*"
        name = short(full)
        if name not in self.types:
            made: dict[str, Any] = {"fields": {}}
            self.types[name] = made
            for key, value in sorted(schema["properties"].items()):
                made["fields"][key] = self.field(value)
            if schema.get("required"):
                made["required"] = sorted(schema["required"])
            defaults = {k: v["default"] for k, v in sorted(schema["properties"].items()) if worth(v)}
            if defaults:
                made["defaults"] = defaults
            embedded = [k for k, v in sorted(schema["properties"].items()) if v.get("default") == {}]
            if embedded:
                made["embedded"] = embedded
            if whole or schema.get("x-kubernetes-map-type") == "atomic":
                made["whole"] = True
        return f"#{name}"


def worth(schema: dict[str, Any]) -> bool:
    """Whether a field's default says more than Go's zero value does."""
    return schema.get("default") not in (None, "", 0, False, {}, [])


def main(paths: list[str]) -> None:
    """Prints the table, one type a line."""
    schemas: dict[str, Any] = {}
    for path in paths:
        schemas |= json.loads(Path(path).read_text())["components"]["schemas"]
    extractor = Extractor(schemas)
    roots: dict[str, str] = {}
    for full, schema in sorted(schemas.items()):
        for gvk in schema.get("x-kubernetes-group-version-kind", []):
            api_version = f"{gvk['group']}/{gvk['version']}".lstrip("/")
            if any(kind.api_version == api_version and kind.kind == gvk["kind"] for kind in KINDS):
                roots[f"{api_version}/{gvk['kind']}"] = extractor.reference(full, whole=False).lstrip("#")
    lines = [f" {json.dumps(name)}: {json.dumps(made)}" for name, made in sorted(extractor.types.items())]
    print('{"roots": ' + json.dumps(roots, indent=1) + ',\n"types": {\n' + ",\n".join(lines) + "\n}}")  # noqa: T201 - its product


if __name__ == "__main__":
    main(sys.argv[1:])
