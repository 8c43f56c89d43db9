"""What the state forgets with time: audit records past their age, errands that nobody can read any more.

Whatever else grows is bounded where it is written (events by cluster, sessions and links by their end). One process
sweeps, the one that holds the first shard; a batch at a time, so that no write ever waits behind it for long. Called by
`controller.engine` between two rounds of its main loop.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from fleet import audit, errands
from fleet.database import Database

SWEEP_SECONDS = 3600.0
BATCH_SECONDS = 0.5

_log = structlog.get_logger(__name__)


class Retention:
    """For one thread. `at` is of `clock.monotonic()`.

    Args:
        database: The fleet.
        audit_days: How long audit records are kept; 0: for ever.
    """

    def __init__(self, database: Database, *, audit_days: int) -> None:
        self._database = database
        self._audit_age = timedelta(days=audit_days)
        self._due = 0.0
        self._behind = 0
        self._trimmed = 0

    def go_on(self, *, at: float, now: datetime) -> None:
        """One batch, if its time has come.

        Raises:
            fleet.errors.DatabaseUnavailable: the sweep goes on with the next call.
        """
        if at < self._due:
            return
        self._due = at + BATCH_SECONDS
        if errands.sweep(self._database, now=now) or (self._audit_age and self._trim(now)):
            return
        if self._trimmed:
            _log.info("audit log trimmed", records=self._trimmed, older_than_days=self._audit_age.days)
        self._due, self._behind, self._trimmed = at + SWEEP_SECONDS, 0, 0

    def _trim(self, now: datetime) -> bool:
        """Whether there may be more."""
        batch = audit.trim(self._database, oldest=now - self._audit_age, behind=self._behind)
        self._trimmed += batch.records
        self._behind = batch.last or 0
        return batch.last is not None
