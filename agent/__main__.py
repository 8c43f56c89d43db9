"""What runs inside a cluster: `python -m agent cluster`, the brain, and `python -m agent node`, the hands.

Each imports only what it needs: the node driver lives on every node and is kept small.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

USAGE = "usage: python -m agent cluster|node"
_USAGE_ERROR = 2


def main(arguments: Sequence[str]) -> int:
    """Runs one of the two until a signal ends it; returns the exit code (2: wrong arguments or environment)."""
    match list(arguments):
        case ["cluster"]:
            from agent.command import run  # noqa: PLC0415 - the node driver must not load the Kubernetes client
        case ["node"]:
            from agent.node.command import run  # noqa: PLC0415 - nor the agent the driver
        case _:
            sys.stderr.write(f"{USAGE}\n")
            return _USAGE_ERROR
    return run(os.environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
