"""How processes that work until they are told to stop are told: by SIGTERM, or by Ctrl-C.

Used by `agent.command`, `cli.controller` and `cli.up`.
"""

from __future__ import annotations

import _thread
import signal
import threading


def told_to_stop() -> threading.Event:
    """An event that SIGTERM and SIGINT set from now on. For the main thread, as all handling of signals.

    A handler runs in the middle of whatever that thread is at, and may find the lock of the event taken by what it
    interrupts: by a wait, or by the handler of a first signal. So another thread sets the event.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _thread.start_new_thread(stop.set, ()))
    return stop
