"""Runs the real `cpln` command line, unmodified, against a server on loopback."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import REPOSITORY, cache_directory


def require_cpln() -> Path:
    """The version that tools/cpln pins; without it the test is skipped, or with CI=true fails, saying what brings it."""
    pinned = json.loads((REPOSITORY / "tools/cpln/package.json").read_text(encoding="utf-8"))
    version: str = pinned["dependencies"]["@controlplane/cli"]
    path = cache_directory() / "cpln" / version / "node_modules" / ".bin" / "cpln"
    if os.access(path, os.X_OK):
        return path
    message = f"cpln {version} is not here: `make programs` brings it"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@dataclass(frozen=True)
class Cpln:
    """`cpln` with the environment a user sets; `home` keeps its profile away from the real one."""

    program: Path
    endpoint: str
    token: str
    home: Path

    def run(
        self, *arguments: str, given: str = "", environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs it with `given` on its standard input, in organisation acme unless the arguments say another."""
        return subprocess.run(
            [str(self.program), *arguments],
            env=self.environment() | dict(environment or {}),
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def environment(self) -> dict[str, str]:
        """What a user sets for organisation acme."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "CPLN_SKIP_UPDATE_CHECK": "1",
            "CPLN_ENDPOINT": self.endpoint,
            "CPLN_TOKEN": self.token,
            "CPLN_ORG": "acme",
        }

    def done(self, *arguments: str, given: str = "", environment: Mapping[str, str] | None = None) -> str:
        """What a command prints that ends well."""
        done = self.run(*arguments, given=given, environment=environment)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        return done.stdout

    def read(self, *arguments: str) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.done(*arguments, "-o", "json"))
