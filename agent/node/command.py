"""`python -m agent node`: the driver's process in the DaemonSet.

All facts come in as environment and files, see `settings`. Logs go to standard error, one JSON object a line. SIGTERM
and SIGINT end it at once: it can be killed anywhere.
"""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Mapping

from agent.node import settings
from agent.node.host import RealHost
from agent.node.kubernetes import ApiServer
from agent.node.loop import Driver, log

_USAGE_ERROR = 2


def run(environment: Mapping[str, str]) -> int:
    """Runs the driver until a signal ends it; returns the exit code (2: a wrong environment)."""
    try:
        found = settings.read(environment)
    except settings.SettingsError as error:
        log("cannot start", error=str(error))
        return _USAGE_ERROR
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # By another thread: the handler may have interrupted what holds the event's lock.
        signal.signal(number, lambda _number, _frame: _thread.start_new_thread(stop.set, ()))
    api = ApiServer(found.server, found.kubernetes_token_file, found.kubernetes_ca_file)
    log("started", node=found.node)
    Driver(found, RealHost(found.host_root), api).run(stop)
    log("stopped")
    return 0
