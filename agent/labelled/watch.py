"""The watch over the secrets with one label, in the namespaces with another: informers, a queue, workers.

Level based: a secret that does not hold what it should is patched, whatever the reason; the lock is its resource version,
so a change by its owner is never lost. What falls out is left as it stands. Made by `agent.labelled.duty`, one after
the other as the settings change.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import structlog

from agent.events import Events
from agent.informer import Informer, Scope
from agent.labelled import content as contents
from agent.labelled.content import TYPE, LabelledView
from agent.secrets.content import LabelledContent
from agent.secrets.duties import Contribution
from agent.secrets.patience import Patience
from agent.secrets.refusals import NotFilled, refusals_named
from kube.client import Client
from kube.errors import ApiError, Fenced, KubeError, NotFound
from kube.objects import NAMESPACE, SECRET, Object
from reconcile.clock import Clock, Random
from reconcile.outcome import Done, Outcome, RequeueAfter, Retryable
from reconcile.queue import Backoff, Queue
from reconcile.workers import Workers
from schemas.addons.aws_ecr import Label
from schemas.agent_documents import NAMESPACE_NAME, NamespaceError

CLAIM = "labelled"  # what the report says in the place of a claim
_HEALTHY_WORKERS, _FAILING_WORKERS = 2, 1
_BACKOFF = Backoff(base=1.0, maximum=300.0)
_LOOK_SECONDS = 2.0
_SYNC_SECONDS = 0.5

_log = structlog.get_logger(__name__)


class Labels(NamedTuple):
    """Of the namespaces, and of the secrets in them."""

    namespace: Label
    secret: Label


class Key(NamedTuple):
    """A secret's, for the queue."""

    namespace: str
    name: str


# Asks whether there is another content by now.
_CONTENT = Key("", "")


@dataclass(frozen=True)
class Fate:
    """How a secret fares."""

    uid: str
    filled: bool
    error: NamespaceError | None = None


class LabelledWatch:
    """One watch; the arguments are those of `agent.labelled.duty.LabelledSecrets`, and the labels."""

    def __init__(
        self,
        client: Client,
        events: Events,
        content: Callable[[], LabelledContent | None],
        labels: Labels,
        *,
        changed: Callable[[], None],
        failed: Callable[[str], None],
        clock: Clock,
        random: Random,
    ) -> None:
        self.labels = labels
        self._client = client
        self._events = events
        self._content = content
        self._changed = changed
        self._failed = failed
        self._clock = clock
        self._patience = Patience(clock)
        self._lock = threading.Lock()
        self._fates: dict[Key, Fate] = {}
        self._last: LabelledContent | None = None
        self._queue: Queue[Key] = Queue(clock=clock, random=random, backoff=_BACKOFF)
        self._workers = Workers(
            self._queue, self._reconcile, observer=self, healthy=_HEALTHY_WORKERS, failing=_FAILING_WORKERS
        )
        self._secrets = Informer(
            client,
            Scope(SECRET, label_selector="=".join(labels.secret)),
            view=contents.view,
            changed=lambda namespace, name: self._queue.add(Key(namespace, name)),
            clock=clock,
            random=random,
        )
        self._namespaces = Informer(
            client,
            Scope(NAMESPACE, metadata_only=True, label_selector="=".join(labels.namespace)),
            view=_alive,
            changed=lambda _, name: self._look_at_namespace(name),
            clock=clock,
            random=random,
        )

    def start(self) -> None:
        """Starts all threads."""
        self._namespaces.start()
        self._secrets.start()
        self._workers.start()
        self._queue.add(_CONTENT)

    def stop(self) -> None:
        """Ends all work; `join` waits for the threads."""
        self._queue.close()
        self._secrets.stop()
        self._namespaces.stop()

    def join(self, timeout_seconds: float) -> None:
        """Waits for the threads."""
        self._workers.stop(timeout_seconds)
        self._secrets.join(timeout_seconds)
        self._namespaces.join(timeout_seconds)

    def look(self) -> None:
        """There may be another content."""
        self._queue.add(_CONTENT)

    def contribution(self) -> Contribution:
        """How all of them fare."""
        with self._lock:
            fates = list(self._fates.values())
        return Contribution(
            labelled_secrets=(len(fates), sum(fate.filled for fate in fates)),
            errors=tuple(fate.error for fate in fates if fate.error is not None),
        )

    def expiries(self) -> Mapping[tuple[str, str], datetime]:
        """By namespace and name: until when what was filled is good."""
        with self._lock:
            known = tuple(self._fates)
        found = {(key.namespace, key.name): self._secrets.get(*key) for key in known}
        moments = {names: each.expires_at for names, each in found.items() if each is not None}
        return {names: moment for names, moment in moments.items() if moment is not None}

    def say_farewell(self) -> None:
        """The settings cover these secrets no longer."""
        with self._lock:
            known = dict(self._fates)
        for key in known:
            found = self._secrets.get(*key)
            if found is not None and found.filled:
                self._say_left(key, found, "the settings of Pullpass no longer cover it")

    def finished(self, key: object, result: str, seconds: float, error: BaseException | None) -> None:
        """Hears of every run (`reconcile.workers.Observer`)."""
        if error is None:
            return
        secret = "/".join(key) if isinstance(key, Key) else str(key)
        if result == "error":
            self._failed("Unexpected")
            _log.error("unexpected failure", labelled_secret=secret, exc_info=error)
        else:
            _log.warning(
                "will be tried again", labelled_secret=secret, error=str(error), seconds=round(seconds, 3)
            )

    def _look_at_namespace(self, namespace: str) -> None:
        for name in self._secrets.in_namespace(namespace):
            self._queue.add(Key(namespace, name))

    def _reconcile(self, key: Key) -> Outcome:
        if key == _CONTENT:
            return self._look_at_content()
        try:
            return self._serve(key)
        except NotFilled as no:
            self._failed(no.code)
            self._put(key, self._refused(key, no))
            if no.retry:
                raise Retryable(no.message) from no
            return Done()
        except Fenced:
            return Done()  # another leads now
        except KubeError as error:
            self._failed(type(error).__name__)
            retry_after = error.retry_after if isinstance(error, ApiError) else None
            raise Retryable(str(error), retry_after=retry_after) from error

    def _look_at_content(self) -> Outcome:
        content = self._content()
        if content != self._last:
            self._last = content
            for namespace, name, _ in self._secrets.everywhere():
                self._queue.add(Key(namespace, name))
        return RequeueAfter(_LOOK_SECONDS)

    def _serve(self, key: Key) -> Outcome:
        if not self._namespaces.synced or not self._secrets.synced:
            return RequeueAfter(_SYNC_SECONDS)
        found = self._secrets.get(*key)
        if found is None:
            self._let_go(key)
        elif found.ending or found.ours or key.namespace == NAMESPACE_NAME:
            self._put(key, None)
        elif self._namespaces.get("", key.namespace) is None:
            if self._put(key, None) is not None and found.filled:
                self._say_left(key, found, "its namespace is no longer enabled")
        else:
            self._put(key, Fate(found.uid, self._fill(key, found)))
        return Done()

    def _fill(self, key: Key, found: LabelledView) -> bool:
        """Whether it holds something good now."""
        what = f"secret {key.name} in namespace {key.namespace}"
        if found.type != TYPE:
            raise NotFilled("SecretNotOurs", f"{what} has type {found.type}, not {TYPE}", retry=False)
        content = self._content()
        if content is None:
            return found.good(self._clock.now())
        if found.holds(content):
            return True
        if found.immutable:
            message = f"{what} is immutable, so it cannot be refreshed; make it anew without `immutable`"
            raise NotFilled("SecretNotOurs", message, retry=False)
        seconds = self._patience.wait_for(key)
        if seconds > 0.0:
            raise Retryable(f"{what} is changed back again and again by somebody else", retry_after=seconds)
        with refusals_named(f"{what} cannot be written"), self._secrets.writing(*key) as written:
            body = contents.patch_to_fill(found, content)
            written(self._client.merge_patch(SECRET, key.name, body, namespace=key.namespace))
        self._patience.wrote(key)
        if not found.filled:
            self._say(
                key, found.uid, "Filled", "Pullpass filled it with ECR credentials and keeps them fresh"
            )
        return True

    def _let_go(self, key: Key) -> None:
        """It is gone from the watch: deleted, which needs no word, or without its label now."""
        fate = self._put(key, None)
        if fate is None or not fate.filled:
            return
        try:
            found = contents.view(self._client.get(SECRET, key.name, namespace=key.namespace))
        except NotFound:
            return
        if found.uid == fate.uid and not found.ending:
            self._say_left(key, found, f"its label {self.labels.secret.key} is gone")

    def _refused(self, key: Key, no: NotFilled) -> Fate:
        found = self._secrets.get(*key)
        uid = found.uid if found is not None else ""
        self._say(key, uid, no.code, no.message, warning=True)
        error = NamespaceError(key.namespace, no.code, no.message, secret=key.name, claim=CLAIM)
        return Fate(uid, filled=False, error=error)

    def _put(self, key: Key, fate: Fate | None) -> Fate | None:
        """Remembers, or for None forgets; returns what it was before."""
        with self._lock:
            before = self._fates.pop(key, None)
            if fate is not None:
                self._fates[key] = fate
        if before != fate:
            self._changed()
        return before

    def _say_left(self, key: Key, found: LabelledView, why: str) -> None:
        until = found.annotations.get(contents.EXPIRES_AT, "an unknown time")
        message = f"Pullpass refreshes it no longer: {why}. What it holds stays, and is good until {until}"
        self._say(key, found.uid, "NoLongerRefreshed", message, warning=True)

    def _say(self, key: Key, uid: str, reason: str, message: str, *, warning: bool = False) -> None:
        involved: Object = {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "metadata": {"namespace": key.namespace, "name": key.name, "uid": uid},
        }
        self._events.say(involved, reason, message, warning=warning)


def _alive(obj: Object) -> bool | None:
    """Nothing may be written into a namespace that is ending."""
    return None if "deletionTimestamp" in obj["metadata"] else True
