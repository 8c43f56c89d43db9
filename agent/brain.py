"""One replica of the agent, put together: what every replica serves, and what the leader alone does.

Every replica serves health, metrics and admission reviews, from watches of its own; so a standby is as ready as the
leader. The leader alone writes: pull secrets, custom resources, labelled secrets, certificates, the report. All that is
the leader's is made anew for each term, and writes through a client that is fenced by the end of the term.
Made and run by `agent.command`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import structlog

from agent.configuration import ConfigurationSource
from agent.custom_resources.claimant import CustomResources
from agent.events import Events
from agent.health import HealthServer, Pulse
from agent.labelled.duty import LabelledSecrets
from agent.leadership import TIMEOUT_SECONDS, Leadership
from agent.metrics import Metrics
from agent.pods.stuck import StuckPods
from agent.secrets.content import LabelledContent
from agent.secrets.loop import SecretsAgent
from agent.secrets.store import StoredContent
from agent.secrets.verification import AwsCalls
from agent.settings import AgentSettings
from agent.webhook import labelled_secrets, pull_secrets_of_pods
from agent.webhook.certificates import Certificates, ServingCertificate
from agent.webhook.namespaces import Namespaces
from agent.webhook.pod_identity_accounts import LOOKUP_SECONDS
from agent.webhook.pod_identity_source import PodIdentity
from agent.webhook.review import Handler
from agent.webhook.server import AdmissionServer
from kube.client import Access, Client
from reconcile.clock import Clock, Random
from schemas.agent_documents import LABELLED_SECRETS_PATH, PODS_PATH
from schemas.pod_identity_documents import POD_IDENTITY_PATH

# As many as the workers, and what starts its watches beside them.
_KEPT_CONNECTIONS = 12
# The API server goes on sending reviews to a pod that ends until everybody has heard of it.
_DRAIN_SECONDS = 5.0
_JOIN_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class _Served(Protocol):
    """Something that every replica has, leading or not."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def join(self, timeout_seconds: float) -> object: ...


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
            certificate_authority_file=settings.kubernetes_ca_file,
            token_file=settings.kubernetes_token_file,
            allow_loopback=settings.on_loopback,
        )
        client = self._client = Client(access, kept_connections=_KEPT_CONNECTIONS)
        self._electing = Client(replace(access, timeout_seconds=TIMEOUT_SECONDS))
        self._lookups = Client(replace(access, timeout_seconds=LOOKUP_SECONDS))
        self._leadership = Leadership(self._electing, settings.pod_name, clock=clock, random=random)
        self._labelled: LabelledSecrets | None = None
        self._leader: SecretsAgent | None = None
        self._over = threading.Event()
        self._pulse = Pulse(clock)
        self._configuration = ConfigurationSource(
            client, self._lookups, changed=self._configuration_changed, clock=clock, random=random
        )
        self._content = StoredContent(client, changed=self._refresh_labelled, clock=clock, random=random)
        self._certificate = ServingCertificate(client, clock=clock, random=random)
        self._pod_identity = PodIdentity(client, self._lookups, clock=clock, random=random)
        self._namespaces = Namespaces(client, self._lookups, clock=clock, random=random)
        self._namespaces_watched = False
        self._health = HealthServer(
            settings.health_port,
            loopback=settings.on_loopback,
            sick=self._sick,
            unready=self._unready,
            metrics=metrics,
        )
        self._admission = AdmissionServer(
            settings.webhook_port,
            loopback=settings.on_loopback,
            certificate=self._certificate.current,
            handlers=self._handlers(),
            metrics=metrics,
            clock=clock,
        )
        metrics.watch_leadership(lambda: self._leadership.leading)
        metrics.watch_certificate(lambda: self._certificate.expires_at, clock.now)

    @property
    def health_port(self) -> int:
        """Where /healthz, /readyz and /metrics are."""
        return self._health.port

    @property
    def webhook_port(self) -> int:
        """Where admission reviews are answered."""
        return self._admission.port

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
        served: tuple[_Served, ...] = (
            self._configuration,
            self._content,
            self._certificate,
            self._pod_identity,
        )
        for part in served:
            part.start()
        self._health.start()
        self._admission.start()
        try:
            self._leadership.run(stop, self._lead)
            if not self._settings.on_loopback:
                self._drain()
        finally:
            self._admission.stop()
            for part in (*served, self._namespaces):
                part.stop()
            for part in (*served, self._namespaces):
                part.join(_JOIN_SECONDS)
            self._health.stop()
            for client in (self._client, self._electing, self._lookups):
                client.close()

    def _lead(self, lost: threading.Event) -> None:
        """One term: until `lost` is set."""
        client, clock, random = self._client.fenced(lost), self._clock, self._random
        events = Events(client, clock)
        certificates = Certificates(
            client,
            self._certificate,
            changed=self._tell_leader,
            failed=self._metrics.failed,
            clock=clock,
            random=random,
        )
        keeping = threading.Thread(target=certificates.run, args=(lost,), name="certificates", daemon=True)
        events.start()
        keeping.start()
        try:
            while not lost.is_set():
                self._work(client, events, certificates, lost)
        finally:
            lost.set()
            keeping.join(_JOIN_SECONDS)
            events.stop(_JOIN_SECONDS)
            self._metrics.forget_work()

    def _work(
        self, client: Client, events: Events, certificates: Certificates, lost: threading.Event
    ) -> None:
        """The life of the add-on: until it was removed, and the rights to watch for it with it, or `lost` is set."""
        clock, random, changed, failed = self._clock, self._random, self._tell_leader, self._metrics.failed
        labelled = LabelledSecrets(
            client, events, self._good_content, changed=changed, failed=failed, clock=clock, random=random
        )
        self._metrics.watch_labelled(labelled.expiries, clock.now)
        leader = SecretsAgent(
            client,
            self._aws,
            token_file=self._settings.web_identity_token_file,
            clock=clock,
            random=random,
            metrics=self._metrics,
            leader=self._settings.pod_name,
            events=events,
            duties=(labelled, StuckPods(client, events, failed=failed, clock=clock, random=random)),
            claimants=(
                CustomResources(client, events, changed=changed, failed=failed, clock=clock, random=random),
            ),
            webhook=certificates.status,
            pod_identity=lambda: self._pod_identity.configuration,
        )
        over = threading.Event()
        threading.Thread(target=_pass_on, args=(lost, over), name="term", daemon=True).start()
        self._leader, self._labelled, self._over, self._pulse = leader, labelled, over, Pulse(clock)
        try:
            leader.run(over)
        finally:
            self._leader = self._labelled = None

    def _handlers(self) -> Mapping[str, Handler]:
        return {
            LABELLED_SECRETS_PATH: labelled_secrets.handler(
                configuration=self._configuration.current,
                newest=self._configuration.newest,
                content=self._good_content,
                enabled=self._namespaces.enabled,
                now=self._clock.now,
            ),
            PODS_PATH: pull_secrets_of_pods.handler(
                configuration=self._configuration.current, carries=self._namespaces.carries
            ),
            POD_IDENTITY_PATH: self._pod_identity.handle,
        }

    def _good_content(self) -> LabelledContent | None:
        return self._content.current(self._clock.now())

    def _refresh_labelled(self) -> None:
        """There is another content: the leader's watch need not find out by itself."""
        labelled = self._labelled
        if labelled is not None:
            labelled.refresh()

    def _tell_leader(self) -> None:
        leader = self._leader
        if leader is not None:
            leader.changed()

    def _configuration_changed(self) -> None:
        configuration = self._configuration.current()
        if configuration is None:
            self._over.set()
            return
        wanted = configuration.pull_secret
        if not self._namespaces_watched and (wanted.labelled is not None or wanted.append_to_pods):
            self._namespaces_watched = True
            self._namespaces.start()

    def _drain(self) -> None:
        condition = threading.Condition()
        with condition:
            self._clock.wait(condition, _DRAIN_SECONDS)

    def _sick(self) -> tuple[str, ...]:
        """What only a restart mends."""
        leader, found = self._leader, []
        if self._leadership.stuck:
            found.append("the election is silent, or what it led does not end")
        if leader is not None and self._pulse.wedged(leader.progress()):
            found.append("work waits, and none of it is done")
        return tuple(found)

    def _unready(self) -> tuple[str, ...]:
        """What admission reviews cannot be answered without. AWS is no part of it, nor is leading."""
        certificate = self._certificate
        there = {
            "the configuration": self._configuration.synced,
            "the stored credentials": self._content.synced,
            "the pod identity configuration": self._pod_identity.ready,
            "the namespaces": self._namespaces.synced or not self._namespaces_watched,
            # The first leader makes the first one; until then nobody is sent here.
            "the webhooks' certificate": certificate.synced
            and (certificate.ready or certificate.found() is None),
        }
        return tuple(f"waiting for {what}" for what, ready in there.items() if not ready)


def _pass_on(lost: threading.Event, over: threading.Event) -> None:
    lost.wait()
    over.set()
