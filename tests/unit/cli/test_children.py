"""A child that is bound to its parent goes when that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.support import processes
from tests.support.programs import REPOSITORY

_PARENT = """
import signal, subprocess, threading
from cli import children
child = subprocess.Popen(["sleep", "600"], preexec_fn=children.bound(signal.{number}))
print(child.pid, flush=True)
threading.Event().wait()
"""
_ORPHAN = """
import signal
from cli import children
children.bind(0, signal.SIGTERM)
"""


@pytest.mark.parametrize("number", ["SIGTERM", "SIGKILL"])
def test_it_goes_with_a_parent_that_is_killed(number: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT.format(number=number)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert processes.is_running(child)
        parent.kill()
    processes.wait_until_gone([child])


def test_it_goes_at_once_when_its_parent_is_gone_already() -> None:
    ended = subprocess.run([sys.executable, "-c", _ORPHAN], cwd=REPOSITORY, check=False)
    assert -signal.SIGTERM == ended.returncode
