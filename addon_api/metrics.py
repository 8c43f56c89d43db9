"""What `/metrics` tells, in the format of Prometheus: requests of this process, and the state of the fleet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from fleet import connections, statuses
from fleet.database import Database
from schemas.version import __version__

_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """One app's metrics, in a registry of its own so that two apps in one process do not meet."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._registry = CollectorRegistry()
        Info("pullpass_build", "The version of this hub.", registry=self._registry).info(
            {"version": __version__}
        )
        self._requests = Counter(
            "pullpass_http_requests",
            "Requests answered, by method, route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "pullpass_http_request_duration_seconds",
            "How long an answer took, by method and route.",
            ("method", "route"),
            registry=self._registry,
        )
        self._registry.register(_FleetCollector(database, now))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answered request; `route` is the rule, never the path, so that the label stays bounded."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(known, route).observe(max(seconds, 0.0))

    def text(self) -> bytes:
        """Everything, as a scrape reads it.

        Raises:
            fleet.errors.DatabaseUnavailable: the fleet's state cannot be read.
        """
        return generate_latest(self._registry)


class _FleetCollector(Collector):
    """Read anew at each scrape: nothing is kept that could be stale."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: registering must not read the database."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges of the fleet."""
        add_ons = GaugeMetricFamily(
            "pullpass_add_on_clusters", "Clusters by add-on and its state.", labels=("add_on", "state")
        )
        for (add_on, state), clusters in sorted(statuses.counts(self._database).items()):
            add_ons.add_metric((add_on, state), clusters)
        yield add_ons
        expiry = connections.earliest_expiry(self._database)
        if expiry is not None:
            yield GaugeMetricFamily(
                "pullpass_first_connection_expiry_hours",
                "Hours until the first connection of the fleet dies; negative once it has.",
                value=(expiry - self._now()).total_seconds() / 3600,
            )
        token_expiry = statuses.earliest_node_token_expiry(self._database)
        if token_expiry is not None:
            yield GaugeMetricFamily(
                "pullpass_first_node_token_expiry_hours",
                "Hours until the first token on a node of the fleet runs out; negative once it has.",
                value=(token_expiry - self._now()).total_seconds() / 3600,
            )
