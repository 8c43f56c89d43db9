"""What the agent counts and measures, for /metrics. Each agent has a registry of its own.

Counted by `agent.secrets`, `agent.webhook` and `agent.brain`; served by `agent.health`; listed in
docs/reference/metrics.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import GaugeMetricFamily

Key = TypeVar("Key")
Now = Callable[[], datetime]


class Metrics:
    """Counters, and what is measured whenever somebody scrapes. Safe for several threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._refreshes = Counter(
            "pullpass_agent_credential_refreshes",
            "ECR credentials fetched and taken into use.",
            ["region"],
            registry=self.registry,
        )
        self._failures = Counter(
            "pullpass_agent_failures",
            "Failures by reason: an issue code, or the kind of an API server's failure.",
            ["reason"],
            registry=self.registry,
        )
        self._aws_calls = Counter(
            "pullpass_agent_aws_calls",
            "Calls to AWS by service: sts, ecr, registry, metadata.",
            ["service"],
            registry=self.registry,
        )
        self._reviews = Counter(
            "pullpass_agent_webhook_requests",
            "Admission reviews answered.",
            ["path", "allowed"],
            registry=self.registry,
        )
        self._measured = _Measured()
        self.registry.register(self._measured)

    def refreshed(self, region: str) -> None:
        """A new credential is in use."""
        self._refreshes.labels(region).inc()

    def failed(self, reason: str) -> None:
        """Something failed."""
        self._failures.labels(reason).inc()

    def called_aws(self, service: str) -> None:
        """A call was made."""
        self._aws_calls.labels(service).inc()

    def reviewed(self, path: str, *, allowed: bool) -> None:
        """A webhook answered; `path` is one that it serves."""
        self._reviews.labels(path, "true" if allowed else "false").inc()

    def watch(self, expiries: Callable[[], Mapping[str, datetime]], now: Now) -> None:
        """Measures how long the credential of each region still lives."""
        self._measured.credentials = lambda: _seconds(expiries(), now)

    def watch_secrets(self, expiries: Callable[[], Mapping[tuple[str, str], datetime]], now: Now) -> None:
        """Measures how long what each secret holds, by namespace and name, still lives."""
        self._measured.secrets = lambda: _seconds(expiries(), now)

    def watch_labelled(self, expiries: Callable[[], Mapping[tuple[str, str], datetime]], now: Now) -> None:
        """Measures the same of the secrets that their users labelled."""
        self._measured.labelled = lambda: _seconds(expiries(), now)

    def watch_certificate(self, expires_at: Callable[[], datetime | None], now: Now) -> None:
        """Measures how long the webhooks' certificate still lives, where there is one."""

        def measured() -> dict[str, float]:
            found = expires_at()
            return {} if found is None else _seconds({"": found}, now)

        self._measured.certificate = measured

    def watch_leadership(self, leading: Callable[[], bool]) -> None:
        """Measures whether this replica leads."""
        self._measured.leading = leading

    def forget_work(self) -> None:
        """This replica leads no longer: what it knew of credentials and secrets is another's to tell."""
        self._measured.credentials = dict
        self._measured.secrets = dict
        self._measured.labelled = dict


class _Measured:
    """Gauges that are worked out when asked for; what nobody watches is left out."""

    def __init__(self) -> None:
        self.credentials: Callable[[], Mapping[str, float]] = dict
        self.secrets: Callable[[], Mapping[tuple[str, str], float]] = dict
        self.labelled: Callable[[], Mapping[tuple[str, str], float]] = dict
        self.certificate: Callable[[], Mapping[str, float]] = dict
        self.leading: Callable[[], bool] | None = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Called by the registry."""
        credentials = GaugeMetricFamily(
            "pullpass_agent_credential_expiry_seconds",
            "Seconds until the ECR credential in use expires.",
            labels=["region"],
        )
        for region, seconds in self.credentials().items():
            credentials.add_metric([region], seconds)
        secrets = GaugeMetricFamily(
            "pullpass_agent_secret_expiry_seconds",
            "Seconds until what a pull secret, or a labelled one, holds expires.",
            labels=["namespace", "name"],
        )
        for names, seconds in {**self.labelled(), **self.secrets()}.items():
            secrets.add_metric(names, seconds)
        certificate = GaugeMetricFamily(
            "pullpass_agent_webhook_certificate_expiry_seconds",
            "Seconds until the certificate that the webhooks serve with expires.",
        )
        for seconds in self.certificate().values():
            certificate.add_metric([], seconds)
        leader = GaugeMetricFamily(
            "pullpass_agent_leader", "1 where this replica leads, 0 where it stands by."
        )
        if self.leading is not None:
            leader.add_metric([], float(self.leading()))
        yield from (credentials, secrets, certificate, leader)


def _seconds(expiries: Mapping[Key, datetime], now: Now) -> dict[Key, float]:
    moment = now()
    return {key: (expires_at - moment).total_seconds() for key, expires_at in expiries.items()}
