"""Runs the real `cpln` command line, unmodified, against a server on loopback."""

from __future__ import annotations

import json
import os
import subprocess
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

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.program), *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "CPLN_SKIP_UPDATE_CHECK": "1",
                "CPLN_ENDPOINT": self.endpoint,
                "CPLN_TOKEN": self.token,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def read(self, *arguments: str) -> Any:
        """The JSON that a command prints."""
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)
