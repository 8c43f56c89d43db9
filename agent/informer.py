"""A small informer: what a cluster holds of one kind, kept in memory by list and watch, stripped to what matters.

Level based: whoever is told of a change gets only a key and reads the store. A watch that breaks goes on where it
was; one that is too old lists anew; a server that does not answer is asked again with growing pauses.
Used by everything in `agent` that watches.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from kube.client import Client
from kube.errors import Expired, KubeError
from kube.objects import Kind, Object
from kube.watch import Watch, WatchEvent
from reconcile.clock import Clock, Random
from reconcile.queue import Backoff

View = TypeVar("View")
Changed = Callable[[str, str], None]

_BACKOFF = Backoff(base=0.5, maximum=30.0)
# Each end of a watch is a request. A connection that died meanwhile is found out by its keep-alive (`kube.transport`).
_WATCH_SECONDS = 900
# A server that ends a watch sooner than this is not asked again at once.
_SHORTEST_WATCH_SECONDS = 1.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Scope:
    """What is listed and watched of `kind`; `metadata_only` asks for PartialObjectMetadata."""

    kind: Kind
    namespace: str | None = None
    field_selector: str | None = None
    metadata_only: bool = False
    label_selector: str | None = None


class Informer(Generic[View]):
    """The store of one kind, and the thread that keeps it.

    Args:
        client: The cluster.
        scope: What to list and watch.
        view: Strips an object to what is kept; None keeps nothing of it. Views are compared to tell a change.
        changed: Called with namespace ("" for a kind without) and name after a view came, changed or went.
        clock: For the pauses after a failure.
        random: Spreads those.
        list_by: The namespaces to list one after the other, where all at once would take too much memory; the watch
            covers all of them, and those that come later.
    """

    def __init__(
        self,
        client: Client,
        scope: Scope,
        *,
        view: Callable[[Object], View | None],
        changed: Changed,
        clock: Clock,
        random: Random,
        list_by: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        self._client = client
        self._scope = scope
        self._list_by = list_by
        self._view = view
        self._changed = changed
        self._clock = clock
        self._random = random
        self._condition = threading.Condition()
        self._store: dict[str, dict[str, View]] = {}
        self._writing: dict[tuple[str, str], bool] = {}
        self._synced = False
        self._stopping = False
        self._watch: Watch | None = None
        self._version: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"informer-{scope.kind.plural}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the watch under way; `join` waits for the thread."""
        with self._condition:
            self._stopping = True
            watch = self._watch
            self._condition.notify_all()
        if watch is not None:
            watch.close()

    def join(self, timeout_seconds: float) -> bool:
        """False when the thread still runs."""
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    @property
    def synced(self) -> bool:
        """Whether a whole list has been read: from then on the store is the cluster's recent past, never a part."""
        with self._condition:
            return self._synced

    def get(self, namespace: str, name: str) -> View | None:
        """One view."""
        with self._condition:
            return self._store.get(namespace, {}).get(name)

    def in_namespace(self, namespace: str) -> dict[str, View]:
        """Views by name."""
        with self._condition:
            return dict(self._store.get(namespace, {}))

    def everywhere(self) -> list[tuple[str, str, View]]:
        """Every view with its namespace and name."""
        with self._condition:
            return [
                (namespace, name, view)
                for namespace, views in self._store.items()
                for name, view in views.items()
            ]

    @contextmanager
    def writing(self, namespace: str, name: str) -> Iterator[Callable[[Object], None]]:
        """Around a write of our own: hand what the server answered to the function, and the store has it at once.

        Where the watch told of the object meanwhile, its word stands: it may be newer than the answer.
        """
        key = (namespace, name)
        with self._condition:
            self._writing[key] = False

        def answered(obj: Object) -> None:
            with self._condition:
                if not self._writing[key]:
                    self._put(namespace, name, self._view(obj))

        try:
            yield answered
        finally:
            with self._condition:
                del self._writing[key]

    def _run(self) -> None:
        failures = 0
        while not self._stopping:
            try:
                if self._version is None:
                    self._list()
                    failures = 0
                if self._watch_on():
                    failures = 0
                    continue
                pause = _SHORTEST_WATCH_SECONDS
            except KubeError as error:
                if isinstance(error, Expired):
                    self._version = None
                pause = _BACKOFF.delay(failures, self._random)
                failures += 1
                if not self._stopping:
                    _log.warning(
                        "cannot watch",
                        kind=self._scope.kind.plural,
                        error=str(error),
                        retry_seconds=round(pause, 1),
                    )
            except Exception:  # noqa: BLE001 - a thread that died would leave the store standing still, unseen
                _log.exception("unexpected failure", kind=self._scope.kind.plural)
                self._version = None
                pause = _BACKOFF.delay(failures, self._random)
                failures += 1
            self._pause(pause)

    def _pause(self, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        with self._condition:
            while not self._stopping and (left := until - self._clock.monotonic()) > 0:
                self._clock.wait(self._condition, left)

    def _list(self) -> None:
        scope = self._scope
        parts: list[str | None] = [*self._list_by()] if self._list_by is not None else []
        version: str | None = None
        fresh: dict[str, dict[str, View]] = {}
        for part in parts or [scope.namespace]:
            found = self._client.list(
                scope.kind,
                namespace=part,
                field_selector=scope.field_selector,
                label_selector=scope.label_selector,
                metadata_only=scope.metadata_only,
            )
            # The oldest: what changed in a part after it was listed is told once more, which does no harm.
            version = version or found.resource_version
            for obj in found.items:
                view = self._view(obj)
                if view is not None:
                    namespace, name = _key(obj)
                    fresh.setdefault(namespace, {})[name] = view
        with self._condition:
            changed = _differences(self._store, fresh)
            self._store = fresh
            self._synced = True
            for key in self._writing:
                self._writing[key] = True
            self._version = version
        for namespace, name in changed:
            self._changed(namespace, name)

    def _watch_on(self) -> bool:
        """Reads one watch to its end; False when it ended at once without an event."""
        scope, started, events = self._scope, self._clock.monotonic(), 0
        assert self._version is not None  # noqa: S101 - `_run` has listed; told to mypy
        watch = self._client.watch(
            scope.kind,
            resource_version=self._version,
            namespace=scope.namespace,
            field_selector=scope.field_selector,
            label_selector=scope.label_selector,
            metadata_only=scope.metadata_only,
            timeout_seconds=_WATCH_SECONDS,
        )
        with watch:
            with self._condition:
                self._watch = watch
                if self._stopping:
                    return True
            try:
                for event in watch:
                    events += 1
                    self._take(event)
            finally:
                with self._condition:
                    self._watch = None
        return events > 0 or self._clock.monotonic() - started >= _SHORTEST_WATCH_SECONDS

    def _take(self, event: WatchEvent) -> None:
        version = event.object["metadata"]["resourceVersion"]
        if event.type == "BOOKMARK":
            self._version = version
            return
        namespace, name = key = _key(event.object)
        view = None if event.type == "DELETED" else self._view(event.object)
        with self._condition:
            if key in self._writing:
                self._writing[key] = True
            changed = self._put(namespace, name, view)
        # Only now: a change that could not be told is told again.
        if changed:
            self._changed(namespace, name)
        self._version = version

    def _put(self, namespace: str, name: str, view: View | None) -> bool:
        """Stores or, for None, drops; whether that changed anything. Held: the condition."""
        views = self._store.get(namespace, {})
        if views.get(name) == view:
            return False
        if view is not None:
            self._store.setdefault(namespace, {})[name] = view
            return True
        del views[name]
        if not views:
            del self._store[namespace]
        return True


class Follower(Generic[View]):
    """Who keeps one informer and answers questions of what it knows: `start`, `stop` and `join` are the informer's."""

    def __init__(self, informer: Informer[View]) -> None:
        self._informer = informer

    def start(self) -> None:
        """Begins to watch."""
        self._informer.start()

    def stop(self) -> None:
        """Ends the watch; `join` waits for it."""
        self._informer.stop()

    def join(self, timeout_seconds: float) -> None:
        """Waits for the watch to end after `stop`."""
        self._informer.join(timeout_seconds)

    @property
    def synced(self) -> bool:
        """Whether a whole list was read: until then that something is not known means nothing."""
        return self._informer.synced


def _key(obj: Object) -> tuple[str, str]:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _differences(
    before: dict[str, dict[str, View]], after: dict[str, dict[str, View]]
) -> list[tuple[str, str]]:
    return [
        (namespace, name)
        for namespace in {**before, **after}
        for name in {**before.get(namespace, {}), **after.get(namespace, {})}
        if before.get(namespace, {}).get(name) != after.get(namespace, {}).get(name)
    ]
