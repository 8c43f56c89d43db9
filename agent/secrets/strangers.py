"""Secrets of somebody else's by a name that is claimed: watched, so that the claim is served as soon as they are gone.

What is watched widely goes by our label, which they do not carry. Here is one watch more for each name that is in
somebody's way, by metadata alone. Used by `agent.secrets.watching`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from agent.informer import Informer, Scope
from kube.client import Client
from kube.objects import SECRET, Object
from reconcile.clock import Clock, Random

# Beyond these a claim is tried again with growing pauses, a minute at most.
MOST_NAMES = 20


class Strangers:
    """Safe for several threads.

    Args:
        client: The cluster.
        changed: Called with the namespace in which a secret by such a name came or went.
        clock: For the watches.
        random: For the watches.
    """

    def __init__(
        self, client: Client, *, changed: Callable[[str], None], clock: Clock, random: Random
    ) -> None:
        self._client = client
        self._changed = changed
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()
        self._stopped = False
        self._watched: dict[str, Informer[str]] = {}

    def look_out_for(self, name: str) -> bool:
        """Watches secrets by that name; whether they are seen already."""
        with self._lock:
            found = self._watched.get(name)
            if found is not None:
                return found.synced
            if self._stopped or len(self._watched) >= MOST_NAMES:
                return False
            self._watched[name] = self._watch(name)
            return False

    def keep_only(self, names: Collection[str]) -> None:
        """Ends the watches for other names."""
        with self._lock:
            gone = [self._watched.pop(name) for name in self._watched.keys() - {*names}]
        for informer in gone:
            informer.stop()

    def stop(self) -> None:
        """Ends all of them for good."""
        with self._lock:
            self._stopped = True
            informers = tuple(self._watched.values())
        for informer in informers:
            informer.stop()

    def join(self, timeout_seconds: float) -> None:
        """Waits for the watches to end."""
        with self._lock:
            informers = tuple(self._watched.values())
        for informer in informers:
            informer.join(timeout_seconds)

    def _watch(self, name: str) -> Informer[str]:
        made = Informer(
            self._client,
            Scope(SECRET, field_selector=f"metadata.name={name}", metadata_only=True),
            view=_uid,
            changed=lambda namespace, _: self._changed(namespace),
            clock=self._clock,
            random=self._random,
        )
        made.start()
        return made


def _uid(obj: Object) -> str:
    """What a refresh does not change, so that our own secrets by the name make no stir."""
    return str(obj["metadata"]["uid"])
