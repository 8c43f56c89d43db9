"""The leader's care for labelled secrets: fills what the webhook missed, and refreshes what is due.

Follows the settings: other labels begin another watch. What they cover no longer is left as it stands, which an event on
the secret says. Driven by `agent.secrets.loop` (`agent.secrets.duties.Duty`); composed in `agent.brain`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime

from agent.events import Events
from agent.labelled.watch import LabelledWatch, Labels
from agent.secrets.content import LabelledContent
from agent.secrets.duties import Contribution
from kube.client import Client
from reconcile.clock import Clock, Random
from schemas.agent_documents import AgentConfiguration


class LabelledSecrets:
    """The duty.

    Args:
        client: The cluster, fenced.
        events: For what is said on the secrets.
        content: What to fill with now, or None when there is nothing good; asked often, so it must be cheap.
        changed: Called when `contribution` says something else.
        failed: Counts what fails, by its reason.
        clock: For all waiting.
        random: Spreads retries.
    """

    def __init__(
        self,
        client: Client,
        events: Events,
        content: Callable[[], LabelledContent | None],
        *,
        changed: Callable[[], None],
        failed: Callable[[str], None],
        clock: Clock,
        random: Random,
    ) -> None:
        self._client = client
        self._events = events
        self._content = content
        self._changed = changed
        self._failed = failed
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()
        self._stopped = False
        self._watch: LabelledWatch | None = None
        self._ended: list[LabelledWatch] = []

    def follow(self, configuration: AgentConfiguration) -> None:
        labelled = None if configuration.removing else configuration.pull_secret.labelled
        wanted = None if labelled is None else Labels(labelled.namespace_label, labelled.secret_label)
        with self._lock:
            before = self._watch
            if self._stopped or wanted == (None if before is None else before.labels):
                return
            if before is not None:
                before.say_farewell()
                self._end()
            if wanted is not None:
                self._watch = LabelledWatch(
                    self._client,
                    self._events,
                    self._content,
                    wanted,
                    changed=self._changed,
                    failed=self._failed,
                    clock=self._clock,
                    random=self._random,
                )
                self._watch.start()
        self._changed()

    def refresh(self) -> None:
        """There may be another content: it is asked for now, not within seconds."""
        with self._lock:
            if self._watch is not None:
                self._watch.look()

    def contribution(self) -> Contribution:
        with self._lock:
            watch = self._watch
        return Contribution() if watch is None else watch.contribution()

    def expiries(self) -> Mapping[tuple[str, str], datetime]:
        """By namespace and name: until when what a secret was filled with is good."""
        with self._lock:
            watch = self._watch
        return {} if watch is None else watch.expiries()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            self._end()

    def join(self, timeout_seconds: float) -> None:
        with self._lock:
            ended, self._ended = self._ended, []
        for watch in ended:
            watch.join(timeout_seconds)

    def _end(self) -> None:
        """Held: the lock."""
        if self._watch is not None:
            self._watch.stop()
            self._ended.append(self._watch)
            self._watch = None
