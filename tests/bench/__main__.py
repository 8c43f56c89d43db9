"""`make bench`: every figure, each as a ratio to a baseline of the same run; name some to run only those."""

from __future__ import annotations

import importlib
import os
import platform
import sys

FIGURES = ("api", "cli", "console", "requests", "fleet_size", "node", "pulls", "pull_secrets")

print(
    f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start"
)
for figure in sys.argv[1:] or FIGURES:
    print(flush=True)
    importlib.import_module(f"tests.bench.{figure}").run()
