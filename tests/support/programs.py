"""Finds the real programs that tests drive; with CI=true a missing one is a failure, else a reason to skip."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
_POSTGRESQL = Path("/usr/lib/postgresql")


def cache_directory() -> Path:
    """Where `make kubernetes` and `make programs` put what they build and fetch."""
    chosen = os.environ.get("PULLPASS_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pullpass"


def kubernetes_version() -> str:
    """The version that tools/kubernetes/go.mod pins, such as v1.34.4."""
    text = (REPOSITORY / "tools/kubernetes/go.mod").read_text(encoding="utf-8")
    found = re.search(r"^\s*(?:require )?k8s\.io/kubernetes (v[0-9.]+)", text, re.MULTILINE)
    assert found is not None, "tools/kubernetes/go.mod pins no k8s.io/kubernetes"
    return found[1]


def find(name: str) -> Path | None:
    """The program `name`, or None.

    `kube-apiserver`, `kube-controller-manager` come out of the cache, `cpln` too; `initdb`, `postgres` out of Debian's
    folder of the newest PostgreSQL; everything else off the PATH.
    """
    cache = cache_directory()
    built = cache / "kubernetes" / kubernetes_version() / name
    fetched = sorted((cache / "cpln").glob(f"*/node_modules/.bin/{name}"))
    debian = sorted(_POSTGRESQL.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which(name)
    candidates = [built, *fetched[-1:], *debian[-1:], *([Path(on_path)] if on_path else [])]
    return next((path for path in candidates if os.access(path, os.X_OK)), None)


def require(name: str, *, make: str) -> Path:
    """The program `name`; without it the test is skipped, or with CI=true fails, saying which target brings it."""
    path = find(name)
    if path is not None:
        return path
    message = f"{name} is not here: `make {make}` brings it"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
