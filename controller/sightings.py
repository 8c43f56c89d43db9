"""When each cluster answered last, gathered and written together: a look that changes nothing writes nothing.

Written at most every half minute, in one transaction for all (on SQLite every write rings the bell of the controllers).
Lost with its process, which costs nothing: the next looks tell again. Called by `controller.engine`.
"""

from __future__ import annotations

import threading
from datetime import datetime

import structlog

from fleet import statuses
from fleet.database import Database
from fleet.errors import DatabaseUnavailable

FLUSH_SECONDS = 30.0

_log = structlog.get_logger(__name__)


class Sightings:
    """`note` is for any thread, `flush` for one. `started_at` and `flush`'s `at` are of `clock.monotonic()`."""

    def __init__(self, database: Database, *, started_at: float) -> None:
        self._database = database
        self._flushed_at = started_at
        self._lock = threading.Lock()
        self._noted: dict[str, datetime] = {}

    def note(self, uid: str, now: datetime) -> None:
        """The cluster answered just now."""
        with self._lock:
            self._noted[uid] = now

    def flush(self, at: float, *, ending: bool = False) -> None:
        """Writes what was noted, if its time has come or nobody will be there to do it later.

        A database that does not answer leaves it noted, to be written the next time.
        """
        if at - self._flushed_at < FLUSH_SECONDS and not ending:
            return
        self._flushed_at = at
        with self._lock:
            taken, self._noted = self._noted, {}
        try:
            statuses.seen(self._database, taken)
        except DatabaseUnavailable as error:
            _log.warning("when clusters answered last is not written", error=str(error))
            with self._lock:
                self._noted = taken | self._noted
