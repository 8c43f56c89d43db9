"""`make test`: all tests but the end-to-end ones, in two halves side by side, because one half waits and one computes.

The half that waits for real parts (browsers, API servers) is shown when both have ended. Ctrl-C reaches both, which
then clean up after themselves.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

WAITING = ["tests/browser", "tests/cluster"]
COMPUTING = ["tests/unit", "tests/contract"]


def main() -> int:
    """0 when both halves pass."""
    with tempfile.TemporaryFile("w+") as output:
        waiting = subprocess.Popen(
            [sys.executable, "-m", "pytest", *WAITING], stdout=output, stderr=subprocess.STDOUT
        )
        computing = subprocess.Popen([sys.executable, "-m", "pytest", *COMPUTING])
        interrupted = False
        while computing.returncode is None or waiting.returncode is None:
            try:
                computing.wait()
                waiting.wait()
            except KeyboardInterrupt:
                interrupted = True
        output.seek(0)
        print(output.read(), flush=True)  # noqa: T201 - what pytest said
    return int(interrupted or computing.returncode != 0 or waiting.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
