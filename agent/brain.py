"""One replica of the agent, put together: what every replica serves, and what the leader alone does.

Every replica serves health, metrics and admission reviews, from informers of its own; so a standby is as ready as the
leader. The leader alone writes: pull secrets, custom resources, labelled secrets, certificates, the report. Everything
of the leader's is made anew for each term and writes through a client that is fenced by the loss of leadership.
Made and run by `agent.command`.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import structlog

from agent.events import Events
from agent.health import HealthServer
from agent.leadership import Leadership
from agent.metrics import Metrics
from agent.secrets.loop import SecretsAgent
from agent.secrets.store import StoredContent
from agent.secrets.verification import AwsCalls
from agent.settings import AgentSettings
from agent.webhook.pod_identity_accounts import LOOKUP_SECONDS
from agent.webhook.pod_identity_source import PodIdentity
from kube.client import Access, Client
from reconcile.clock import Clock, Random

# A renewal that takes longer than this is better tried again.
_ELECTION_TIMEOUT_SECONDS = 3.0
# As many as the workers, and what starts its watches beside them.
_KEPT_CONNECTIONS = 12
_JOIN_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Brain:
    """One replica.

    Args:
        settings: Where its files and ports are.
        aws: AWS, for the leader.
        clock: Of all of it.
        random: Of all of it.
        metrics: What is counted.

    Raises:
        agent.settings.SettingsError: the API server's authority cannot be read.
        kube.errors.KubeError: the API server's address cannot be used.
        OSError: a port is taken.
    """

    def __init__(
        self, settings: AgentSettings, aws: AwsCalls, *, clock: Clock, random: Random, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._aws = aws
        self._clock = clock
        self._random = random
        self._metrics = metrics
        access = Access(
            server=settings.server,
            certificate_authority=settings.certificate_authority(),
            token_file=settings.kubernetes_token_file,
            allow_loopback=settings.on_loopback,
        )
        self._client = Client(access, kept_connections=_KEPT_CONNECTIONS)
        self._electing = Client(replace(access, timeout_seconds=_ELECTION_TIMEOUT_SECONDS))
        self._lookups = Client(replace(access, timeout_seconds=LOOKUP_SECONDS))
        self._leadership = Leadership(self._electing, settings.pod_name, clock=clock, random=random)
        self._content = StoredContent(self._client, changed=lambda: None, clock=clock, random=random)
        self._pod_identity = PodIdentity(self._client, self._lookups, clock=clock, random=random)
        self._health = HealthServer(
            settings.health_port,
            loopback=settings.on_loopback,
            sick=self._sick,
            unready=self._unready,
            metrics=metrics,
        )
        metrics.watch_leadership(lambda: self._leadership.leading)

    @property
    def health_port(self) -> int:
        """Where /healthz, /readyz and /metrics are."""
        return self._health.port

    @property
    def leading(self) -> bool:
        """Whether this replica leads now."""
        return self._leadership.leading

    @property
    def requests(self) -> int:
        """How many were sent to the API server, those of the election left out."""
        return self._client.requests + self._lookups.requests

    def run(self, stop: threading.Event) -> None:
        """Serves, and leads when it is its turn, until `stop` is set; ends within a few seconds."""
        self._health.start()
        self._content.start()
        self._pod_identity.start()
        try:
            self._leadership.run(stop, self._lead)
        finally:
            self._content.stop()
            self._pod_identity.stop()
            self._content.join(_JOIN_SECONDS)
            self._pod_identity.join(_JOIN_SECONDS)
            self._health.stop()
            for client in (self._client, self._electing, self._lookups):
                client.close()

    def _lead(self, lost: threading.Event) -> None:
        """One term: until `lost` is set."""
        client = self._client.fenced(lost)
        events = Events(client, self._clock)
        agent = SecretsAgent(
            client,
            self._aws,
            token_file=self._settings.web_identity_token_file,
            clock=self._clock,
            random=self._random,
            metrics=self._metrics,
            leader=self._settings.pod_name,
            events=events,
            pod_identity=lambda: self._pod_identity.configuration,
        )
        events.start()
        try:
            agent.run(lost)
        finally:
            events.stop(_JOIN_SECONDS)
            self._metrics.forget_work()

    def _sick(self) -> tuple[str, ...]:
        """What only a restart mends."""
        return ("the election is silent, or what it led does not end",) if self._leadership.stuck else ()

    def _unready(self) -> tuple[str, ...]:
        """What admission reviews cannot be answered without. AWS is no part of it, nor is leading."""
        waiting_for = {
            "the stored credentials": self._content.synced,
            "the pod identity configuration": self._pod_identity.ready,
        }
        return tuple(f"waiting for {what}" for what, there in waiting_for.items() if not there)
