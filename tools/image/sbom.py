#!/usr/bin/env python3
"""Completes the image's bill of materials: the Python half is cyclonedx-py's, the Go half the credential provider's own.

    sbom.py PYTHON_SBOM GO_MODULES ARCHITECTURE > sbom.json

PYTHON_SBOM is CycloneDX JSON of the installed packages, GO_MODULES what `go version -m -json` reads from the program:
every module that was linked in, and the Go release, whose standard library counts as one.
"""

import json
import sys
from pathlib import Path
from typing import Any

PROGRAM = "ecr-credential-provider"


def complete(python: dict[str, Any], go: dict[str, Any], architecture: str) -> dict[str, Any]:
    """The document for the whole image: Pullpass, what it depends on, the program, the program's modules."""
    package = next(one for one in python["components"] if one["name"] == "pullpass")
    modules = [_module(one["Path"], one["Version"]) for one in map(_used, go["Deps"])]
    modules.append(_module("stdlib", go["GoVersion"].split()[0].removeprefix("go")))
    module, release = go["Main"]["Path"], go["Main"]["Version"]
    program = {
        "type": "application",
        "bom-ref": PROGRAM,
        "name": PROGRAM,
        "version": release,
        "purl": f"pkg:golang/{module}@{release}#{go['Path'].removeprefix(f'{module}/')}",
    }
    dependencies = python.get("dependencies", [])
    dependencies.append({"ref": PROGRAM, "dependsOn": sorted(one["bom-ref"] for one in modules)})
    dependencies += [{"ref": one["bom-ref"]} for one in modules]
    image = {
        "type": "container",
        "bom-ref": "image",
        "name": "pullpass",
        "version": package["version"],
        "properties": [{"name": "pullpass:architecture", "value": architecture}],
    }
    dependencies.append({"ref": "image", "dependsOn": sorted([PROGRAM, package["bom-ref"]])})
    return {
        **python,
        "metadata": {**python.get("metadata", {}), "component": image},
        "components": [*python["components"], program, *modules],
        "dependencies": dependencies,
    }


def _used(module: dict[str, Any]) -> dict[str, Any]:
    replacement: dict[str, Any] = module.get("Replace") or module
    return replacement


def _module(path: str, version: str) -> dict[str, Any]:
    purl = f"pkg:golang/{path}@{version}"
    return {"type": "library", "bom-ref": purl, "name": path, "version": version, "purl": purl}


if __name__ == "__main__":
    python_sbom, go_modules, target_architecture = sys.argv[1:]
    document = complete(
        json.loads(Path(python_sbom).read_text(encoding="utf-8")),
        json.loads(Path(go_modules).read_text(encoding="utf-8")),
        target_architecture,
    )
    json.dump(document, sys.stdout, indent=1, sort_keys=True)
