"""`make bench`: every figure, each as a ratio to a baseline of the same run; name some to run only those."""

from __future__ import annotations

import importlib
import sys

FIGURES = ("api", "requests", "fleet_size")

for figure in sys.argv[1:] or FIGURES:
    importlib.import_module(f"tests.bench.{figure}").run()
