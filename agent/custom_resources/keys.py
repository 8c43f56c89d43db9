"""The versions of the secrets with AWS keys, so that a key that is changed there is used at once.

Each secret is watched by its name, and by its metadata alone: what it holds is read for a refresh, by
`agent.secrets`, and nowhere else. Called by `agent.custom_resources.claimant`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from agent.informer import Informer, Scope
from kube.client import Client
from kube.objects import SECRET, Object
from reconcile.clock import Clock, Random

# A secret that cannot be read in this time (its namespace is forbidden, say) holds up the others no longer.
PATIENCE_SECONDS = 15.0

Place = tuple[str, str]


class KeyVersions:
    """What is known of the secrets with keys.

    Args:
        client: The cluster.
        changed: Called when a secret came, changed or went.
        clock: For the watches.
        random: For the watches.
    """

    def __init__(self, client: Client, *, changed: Callable[[], None], clock: Clock, random: Random) -> None:
        self._client = client
        self._changed = changed
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()
        self._watched: dict[Place, tuple[Informer[str], float]] = {}

    def follow(self, places: Iterable[Place]) -> None:
        """Watches the secrets at `places` (namespace, name), and no others any more."""
        wanted = set(places)
        with self._lock:
            gone = [self._watched.pop(place) for place in self._watched.keys() - wanted]
            new = [(place, self._informer(*place)) for place in wanted - self._watched.keys()]
            started = self._clock.monotonic()
            self._watched.update({place: (informer, started) for place, informer in new})
        for informer, _ in gone:
            informer.stop()
        for _, informer in new:
            informer.start()

    def known(self, place: Place) -> bool:
        """Whether `version` is the truth, or will not be for some time."""
        with self._lock:
            found = self._watched.get(place)
        if found is None:
            return False
        informer, started = found
        return informer.synced or self._clock.monotonic() - started >= PATIENCE_SECONDS

    def version(self, namespace: str, name: str) -> str:
        """`uid/resourceVersion` of a secret that is watched, "" while it is not there."""
        with self._lock:
            found = self._watched.get((namespace, name))
        return "" if found is None else found[0].get(namespace, name) or ""

    def stop(self) -> None:
        """Ends the watches."""
        with self._lock:
            informers = [informer for informer, _ in self._watched.values()]
        for informer in informers:
            informer.stop()

    def join(self, timeout_seconds: float) -> None:
        """Waits for the watches to end."""
        with self._lock:
            informers = [informer for informer, _ in self._watched.values()]
        for informer in informers:
            informer.join(timeout_seconds)

    def _informer(self, namespace: str, name: str) -> Informer[str]:
        return Informer(
            self._client,
            Scope(SECRET, namespace, f"metadata.name={name}", metadata_only=True),
            view=_version,
            changed=lambda _, __: self._changed(),
            clock=self._clock,
            random=self._random,
        )


def _version(obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{metadata['uid']}/{metadata['resourceVersion']}"
