"""`make test`: all tests but the end-to-end ones, in several pytests side by side, since most of them wait more than they compute.

Shows the progress of each line by line, and whatever else it said when it has ended. Ctrl-C and SIGTERM have every one
of them clean up; when this process or its `make` is killed, the kernel ends them with all that they started.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence

from cli import children
from tests.support import processes

RUNS = {
    "cluster": ["tests/cluster"],
    "unit": ["tests/unit"],
    "contract": ["tests/contract", "tests/browser"],
}
_PROGRESS = re.compile(r"\[ *\d+%\](\x1b\[0m)?$")


class Run:
    """One pytest."""

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        self._name = name
        self._kept: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=children.bound(signal.SIGKILL),  # noqa: PLW1509 - two system calls, no lock taken
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def wait(self) -> bool:
        """Whether it passed."""
        self._reader.join()
        return self._process.wait() == 0

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if _PROGRESS.search(line):
                _say(f"{self._name:>10}  {line}")
            else:
                self._kept.append(line)
        _say("".join(self._kept))


def main(runs: Mapping[str, Sequence[str]], arguments: Sequence[str]) -> int:
    """0 when all pass; `arguments` are every pytest's."""
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a job in the background ignores it, and so would pytest
    colour = ["--color=yes"] if sys.stdout.isatty() else []
    started = [Run(name, [*paths, *colour, *arguments]) for name, paths in runs.items()]

    def interrupt(*_: object) -> None:
        for run in started:
            run.interrupt()

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    processes.end_with_make()
    interrupted = False
    passed: list[bool] = []
    while len(passed) < len(started):
        try:
            passed.append(started[len(passed)].wait())
        except KeyboardInterrupt:  # the terminal told them all
            interrupted = True
    return int(interrupted or not all(passed))


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(RUNS, sys.argv[1:]))
