"""Child processes that end when this one does, however it ends: SIGKILL leaves no time to stop them.

Called by `cli.up`, and by the tests for what they start. The sandbox, which imports nothing of ours, does it for itself.
"""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # prctl(2)
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def bound(number: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """For `preexec_fn` of `subprocess.Popen`: the kernel sends the child `number` when the thread that started it ends.

    So start it from a thread that lives as long as the child shall. Elsewhere than on Linux this does nothing.
    """
    return functools.partial(bind, os.getpid(), number)


def bind(parent: int, number: signal.Signals) -> None:
    """The same for this process, which `parent` started."""
    if _prctl is None:
        return
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended before the kernel was told
        os.kill(os.getpid(), number)
