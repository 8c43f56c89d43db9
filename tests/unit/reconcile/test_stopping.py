"""What sets the event, and when it may."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.programs import REPOSITORY

_INTERRUPTED = """
import signal
from reconcile.stopping import told_to_stop
stop = told_to_stop()
with stop._cond:  # as a wait has it for a moment, and the handler of a signal before
    signal.raise_signal(signal.{number})
stop.wait()
print("ended")
"""


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_signal_may_come_at_any_moment(number: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED.format(number=number)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "ended\n" == ended.stdout
