"""The pod identity webhook as a whole: its configuration and the service accounts, watched while it is wanted.

Both replicas serve it, leading or not. Composed by `agent.brain`, which gives `handle` to the server.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import structlog

from agent.informer import Informer, Scope
from agent.webhook.pod_identity import handler
from agent.webhook.pod_identity_accounts import Accounts
from agent.webhook.review import Answer, Handler, Review
from kube.client import Client
from kube.objects import CONFIG_MAP, Object
from reconcile.clock import Clock, Random
from schemas.agent_documents import CONFIGURATION_KEY, NAMESPACE_NAME
from schemas.pod_identity_documents import POD_IDENTITY_NAME, PodIdentityConfiguration, load_pod_identity

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Serving:
    configuration: PodIdentityConfiguration
    accounts: Accounts
    handler: Handler


class PodIdentity:
    """Follows ConfigMap `pullpass-pod-identity`; without one no pod is changed and no service account is watched.

    Args:
        client: For the watches.
        lookups: For questions while a pod waits: a client whose answers take `pod_identity_accounts.LOOKUP_SECONDS`
            at most (`kube.access.Access.timeout_seconds`).
        clock: For both.
        random: For the watches.
    """

    def __init__(self, client: Client, lookups: Client, *, clock: Clock, random: Random) -> None:
        self._client = client
        self._lookups = lookups
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()
        self._serving: _Serving | None = None
        self._stopped = self._taken = False
        self._configurations = Informer(
            client,
            Scope(CONFIG_MAP, NAMESPACE_NAME, f"metadata.name={POD_IDENTITY_NAME}"),
            view=_configuration_text,
            changed=lambda _, __: self._take(),
            clock=clock,
            random=random,
        )

    def start(self) -> None:
        """Starts watching."""
        self._configurations.start()

    def stop(self) -> None:
        """Ends all watches; `join` waits for them."""
        with self._lock:
            self._stopped = True
            serving = self._serving
        self._configurations.stop()
        if serving is not None:
            serving.accounts.stop()

    def join(self, timeout_seconds: float) -> None:
        """Waits for the watches to end after `stop`."""
        self._configurations.join(timeout_seconds)
        serving = self._serving
        if serving is not None:
            serving.accounts.join(timeout_seconds)

    @property
    def ready(self) -> bool:
        """Whether it is known if pods are to be changed, and how."""
        # A list counts as read a moment before what is in it is taken up.
        return self._configurations.synced and (self._taken or self._text() is None)

    @property
    def configuration(self) -> PodIdentityConfiguration | None:
        """What is in force now."""
        serving = self._serving
        return None if serving is None else serving.configuration

    def handle(self, review: Review) -> Answer:
        """Answers the review of a pod (`agent.webhook.review.Handler`)."""
        serving = self._serving
        return Answer() if serving is None else serving.handler(review)

    def _text(self) -> str | None:
        return self._configurations.get(NAMESPACE_NAME, POD_IDENTITY_NAME)

    def _take(self) -> None:
        text = self._text()
        try:
            self._put(None if text is None else load_pod_identity(text))
        except ValueError as error:
            _log.error(
                "the pod identity configuration cannot be read; the last one stays in force", error=str(error)
            )
        self._taken = True

    def _put(self, configuration: PodIdentityConfiguration | None) -> None:
        with self._lock:
            before = self._serving
            if self._stopped or configuration == (before.configuration if before is not None else None):
                return
            accounts = before.accounts if before is not None else None
            if configuration is None:
                self._serving = None
            else:
                if accounts is None:
                    accounts = Accounts(self._client, self._lookups, clock=self._clock, random=self._random)
                    accounts.start()
                self._serving = _Serving(configuration, accounts, handler(accounts, configuration))
        if configuration is None and accounts is not None:
            accounts.stop()
        _log.info("pod identity", serving=configuration is not None)


def _configuration_text(config_map: Object) -> str | None:
    text = (config_map.get("data") or {}).get(CONFIGURATION_KEY)
    return text if isinstance(text, str) else None
