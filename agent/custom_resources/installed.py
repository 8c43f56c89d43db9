"""The objects of a kind that may not be installed: watched once it is, and known to be none while it is not.

A definition comes and goes while the agent runs, and a watch alone does not tell: of a kind that is gone it knows only
what it saw last. Called by `agent.custom_resources.claimant`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from agent.custom_resources.resource import Resource, read
from agent.informer import Informer, Scope
from kube.client import Client
from kube.errors import KubeError, NotFound
from kube.objects import Kind
from reconcile.clock import Clock, Random

LOOK_SECONDS = 300.0  # while it is watched
ABSENT_SECONDS = 30.0  # while it is not installed, or cannot be asked for
# One answer may be that of a server that is just starting.
CONFIRM_SECONDS = 5.0
_ABSENT_ANSWERS = 2


class Installed:
    """One kind.

    Args:
        client: The cluster.
        kind: A kind without namespaces.
        changed: Called with the name of an object that came, changed or went.
        clock: For the watch.
        random: For the watch.
    """

    def __init__(
        self, client: Client, kind: Kind, *, changed: Callable[[str], None], clock: Clock, random: Random
    ) -> None:
        self.kind = kind
        self._client = client
        self._changed = changed
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()
        self._informer: Informer[Resource] | None = None
        self._ended: Informer[Resource] | None = None
        self._stopping = False
        self._absent_answers = 0
        self.failure: KubeError | None = None  # why the last look was not answered

    @property
    def absent(self) -> bool:
        """Whether it is known not to be installed."""
        return self._absent_answers >= _ABSENT_ANSWERS

    @property
    def synced(self) -> bool:
        """Whether `objects` is the whole truth."""
        informer = self._informer
        return self.absent if informer is None else informer.synced

    @property
    def watched(self) -> bool:
        """Whether a watch is on."""
        return self._informer is not None

    def objects(self) -> dict[str, Resource]:
        """The objects by name."""
        informer = self._informer
        return {} if informer is None else {name: found for _, name, found in informer.everywhere()}

    def get(self, name: str) -> Resource | None:
        """One of them."""
        informer = self._informer
        return None if informer is None else informer.get("", name)

    def patch(self, resource: Resource, body: dict[str, object]) -> None:
        """A merge patch, whose outcome is known here at once. Raises `kube.errors.KubeError`."""
        informer = self._informer
        if informer is None:
            return
        with informer.writing("", resource.name) as written:
            written(self._client.merge_patch(self.kind, resource.name, body))

    def write_status(self, resource: Resource, status: dict[str, object]) -> None:
        """Applies a status, and knows it here at once. Raises `kube.errors.KubeError`."""
        informer = self._informer
        if informer is None:
            return
        body = {
            "apiVersion": self.kind.api_version,
            "kind": self.kind.kind,
            "metadata": {"name": resource.name, "uid": resource.uid},
            "status": status,
        }
        with informer.writing("", resource.name) as written:
            written(self._client.apply_status(body))

    def look(self) -> float:
        """Asks whether it is installed, watches it if so; in how many seconds to ask again."""
        try:
            self._client.list(self.kind, metadata_only=True)
        except NotFound:
            self.failure = None
            self._absent_answers += 1
            if not self.absent:
                return CONFIRM_SECONDS
            self.leave()
            return ABSENT_SECONDS
        except KubeError as error:
            self.failure = error
            return ABSENT_SECONDS
        self.failure = None
        self._absent_answers = 0
        self._watch()
        return LOOK_SECONDS

    def leave(self) -> None:
        """Ends the watch."""
        with self._lock:
            informer, self._informer = self._informer, None
            self._ended = informer or self._ended
        if informer is not None:
            names = [name for _, name, _ in informer.everywhere()]
            informer.stop()
            for name in names:
                self._changed(name)

    def stop(self) -> None:
        """Ends it for good."""
        with self._lock:
            self._stopping = True
            informer = self._informer
        if informer is not None:
            informer.stop()

    def join(self, timeout_seconds: float) -> None:
        """Waits for the watch to end."""
        for informer in (self._informer, self._ended):
            if informer is not None:
                informer.join(timeout_seconds)

    def _watch(self) -> None:
        with self._lock:
            if self._informer is not None or self._stopping:
                return
            self._informer = Informer(
                self._client,
                Scope(self.kind),
                view=read,
                changed=lambda _, name: self._changed(name),
                clock=self._clock,
                random=self._random,
            )
            self._informer.start()
