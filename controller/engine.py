"""The engine: leases shards, turns changes and the passing of time into keys, and runs the workers.

Started by `cli` (`pullpass controller`, `pullpass up`).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from fleet.database import Database
from reconcile.clock import Clock, Random


@dataclass(frozen=True)
class ControllerSettings:
    """Every setting of the controller; times in seconds.

    `public_url`: where AWS reaches this hub, for published issuers. `agent_image`: what runs in the clusters.
    """

    agent_image: str
    public_url: str | None = None
    allow_loopback: bool = False
    workers: int = 16
    failing_workers: int = 4
    look_seconds: float = 300.0


class Engine:
    """One process's share of the fleet."""

    def __init__(
        self, database: Database, settings: ControllerSettings, *, clock: Clock, random: Random
    ) -> None:
        raise NotImplementedError

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set, then finishes the runs under way and gives its shards up."""
        raise NotImplementedError
