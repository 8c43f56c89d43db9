"""The configuration that the hub wrote, followed by every replica: for admission, which does not wait for the leader.

The leader's loop follows it by itself (`agent.secrets.loop`), as a task of its queue. Composed in `agent.brain`.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from agent.informer import Follower, Informer, Scope
from kube.client import Client
from kube.errors import NotFound
from kube.objects import CONFIG_MAP, Object
from reconcile.clock import Clock, Random
from schemas.agent_documents import (
    CONFIGURATION_KEY,
    CONFIGURATION_NAME,
    NAMESPACE_NAME,
    AgentConfiguration,
    load_configuration,
)

_log = structlog.get_logger(__name__)


class ConfigurationSource(Follower[str]):
    """ConfigMap `pullpass-agent`. One that cannot be read changes nothing: the last one stays in force.

    So does one that is gone, but for one that asked for removal: the hub takes it away when that is done.

    Args:
        client: For the watch.
        lookups: For the question that `newest` asks while an admission waits.
        changed: Called when there is another one, or none any more.
        clock: For the informer.
        random: For the informer.
    """

    def __init__(
        self, client: Client, lookups: Client, *, changed: Callable[[], None], clock: Clock, random: Random
    ) -> None:
        self._lookups = lookups
        self._changed = changed
        self._current: AgentConfiguration | None = None
        super().__init__(
            Informer(
                client,
                Scope(CONFIG_MAP, NAMESPACE_NAME, f"metadata.name={CONFIGURATION_NAME}"),
                view=_text,
                changed=lambda _, __: self._take(),
                clock=clock,
                random=random,
            )
        )

    def current(self) -> AgentConfiguration | None:
        """What is in force; None while there was none, or nothing is left of it."""
        return self._current

    def newest(self) -> AgentConfiguration | None:
        """What stands in the cluster now, which the watch may not have told yet; None where there is none.

        Raises:
            kube.errors.KubeError: the API server does not say.
            ValueError: it cannot be read.
        """
        try:
            found = self._lookups.get(CONFIG_MAP, CONFIGURATION_NAME, namespace=NAMESPACE_NAME)
        except NotFound:
            return None
        text = _text(found)
        return None if text is None else load_configuration(text)

    def _take(self) -> None:
        text = self._informer.get(NAMESPACE_NAME, CONFIGURATION_NAME)
        if text is None:
            if self._current is not None and self._current.removing:
                self._current = None
                self._changed()
            return
        try:
            self._current = load_configuration(text)
        except ValueError as error:
            _log.error("the configuration cannot be read; the last one stays in force", error=str(error))
            return
        self._changed()


def _text(config_map: Object) -> str | None:
    text = (config_map.get("data") or {}).get(CONFIGURATION_KEY)
    return text if isinstance(text, str) else None
