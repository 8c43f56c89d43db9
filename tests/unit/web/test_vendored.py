"""What others wrote and browsers get is what the lock names, with its licences."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TOOLS = ROOT / "tools" / "console"
STATIC = ROOT / "web" / "static"


def test_the_editor_is_made_from_the_lock_and_the_source_that_are_here() -> None:
    header = (STATIC / "editor.js").read_text().split("\n", maxsplit=1)[0]
    for name in ("package-lock.json", "editor.js"):
        digest = hashlib.sha256((TOOLS / name).read_bytes()).hexdigest()
        assert f"{name} sha256:{digest}" in header, "run tools/console/build.sh"


def test_htmx_is_of_the_version_that_the_lock_names() -> None:
    version = json.loads((TOOLS / "package.json").read_text())["dependencies"]["htmx.org"]
    assert f'version:"{version}"' in (STATIC / "htmx.min.js").read_text()


def test_each_package_has_its_licence() -> None:
    text = (STATIC / "LICENSES.txt").read_text()
    packages = json.loads((TOOLS / "package-lock.json").read_text())["packages"]
    for path, package in packages.items():
        name = path.removeprefix("node_modules/")
        if name and "esbuild" not in name:  # the bundler itself is in no bundle
            assert re.search(rf"^{re.escape(name)} {re.escape(package['version'])}$", text, re.MULTILINE), (
                name
            )


def test_nothing_that_is_served_names_another_host() -> None:
    for name in ("console.js", "manifest_editor.js", *(each.name for each in STATIC.glob("*.css"))):
        assert "//" not in re.sub(r"(?m)^\s*//.*$| // .*$", "", (STATIC / name).read_text()), name
