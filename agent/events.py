"""Events on the objects concerned: what `kubectl describe` shows to whoever looks there first.

Said by `agent.secrets`, `agent.custom_resources`, `agent.labelled` and `agent.pods`. An event is a courtesy: it never
holds anybody up, never fails, and never becomes a storm. Repeated ones are counted on one object, as `kubectl` knows it
(core/v1 Event: `count`, `lastTimestamp`).
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from kube.client import Client
from kube.errors import KubeError, NotFound, short
from kube.objects import EVENT, Object
from reconcile.clock import Clock
from schemas.times import format_time

# What waits to be written; what is said beyond it is lost.
WAITING_LIMIT = 200
# The same event is written at most this often; what is said in between is counted.
REPEAT_SECONDS = 60.0
# All events together: this many at once, then one every so often.
BURST = 25
REFILL_SECONDS = 2.0

_REMEMBERED = 1000
_NAME_LIMIT = 253 - 17  # a dot and 16 digits come behind
_ELSEWHERE = "default"  # where events on objects without a namespace go

_log = structlog.get_logger(__name__)


class Speaker(Protocol):
    """Who says what happens (`Events`), for those who only speak."""

    def say(self, involved: Object, reason: str, message: str, *, warning: bool) -> None:
        """Has an event on `involved` written; returns at once."""


@dataclass(frozen=True)
class _Said:
    """What makes two events the same."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    reason: str
    message: str
    warning: bool


@dataclass
class _Written:
    """An event that stands in the cluster; `at` is monotonic."""

    name: str
    count: int
    at: float


class Events:
    """Writes events from a thread of its own.

    Args:
        client: The cluster.
        clock: Of the times in events, and of the limits.
        reporter: Who says it.
    """

    def __init__(self, client: Client, clock: Clock, reporter: str = "pullpass-agent") -> None:
        self._client = client
        self._clock = clock
        self._reporter = reporter
        self._condition = threading.Condition()
        self._waiting: OrderedDict[_Said, int] = OrderedDict()
        self._written: OrderedDict[_Said, _Written] = OrderedDict()
        self._numbers = itertools.count()
        self._left = float(BURST)
        self._filled_at = clock.monotonic()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Ends it; what still waits is lost."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def say(self, involved: Object, reason: str, message: str, *, warning: bool) -> None:
        """Has it written soon; returns at once.

        Args:
            involved: The object, or as much of it as is known: `apiVersion`, `kind` and `metadata`.
            reason: CamelCase, one of few.
            message: For people, without secrets. One that differs each time makes an event each time.
            warning: Something is wrong; else it is mere news.
        """
        metadata = involved["metadata"]
        said = _Said(
            api_version=involved["apiVersion"],
            kind=involved["kind"],
            namespace=metadata.get("namespace") or "",
            name=metadata["name"],
            uid=metadata.get("uid", ""),
            reason=reason,
            message=short(message),
            warning=warning,
        )
        with self._condition:
            if said in self._waiting:
                self._waiting[said] += 1
            elif len(self._waiting) < WAITING_LIMIT:
                self._waiting[said] = 1
                self._condition.notify_all()

    def _run(self) -> None:
        while (found := self._next()) is not None:
            said, times = found
            try:
                self._write(said, times)
            except KubeError as error:
                _log.info("an event was not written", reason=said.reason, error=str(error))
            except Exception:  # noqa: BLE001 - a courtesy
                _log.exception("unexpected failure", reason=said.reason)

    def _next(self) -> tuple[_Said, int] | None:
        """The first that may be written now, as often as it was said; waits for one. None: to stop."""
        with self._condition:
            while not self._stopping:
                now = self._clock.monotonic()
                self._refill(now)
                due_in = [self._due_in(said, now) for said in self._waiting]
                for said, seconds in zip(self._waiting, due_in, strict=True):
                    if seconds <= 0:
                        self._left -= 1
                        return said, self._waiting.pop(said)
                self._clock.wait(self._condition, min(due_in, default=None))
        return None

    def _refill(self, now: float) -> None:
        self._left = min(BURST, self._left + (now - self._filled_at) / REFILL_SECONDS)
        self._filled_at = now

    def _due_in(self, said: _Said, now: float) -> float:
        written = self._written.get(said)
        repeat_in = 0.0 if written is None else written.at + REPEAT_SECONDS - now
        return max(repeat_in, (1 - self._left) * REFILL_SECONDS)

    def _write(self, said: _Said, times: int) -> None:
        now = self._clock.now()
        namespace = said.namespace or _ELSEWHERE
        written = self._written.get(said)
        if written is not None:
            body: Object = {"count": written.count + times, "lastTimestamp": format_time(now)}
            try:
                self._client.merge_patch(EVENT, written.name, body, namespace=namespace)
            except NotFound:
                written = None  # the API server forgets them after an hour
            else:
                written.count += times
                written.at = self._clock.monotonic()
        if written is None:
            name = f"{said.name[:_NAME_LIMIT]}.{_digits(now, next(self._numbers))}"
            self._client.create(self._event(said, name, namespace, times, now))
            self._written[said] = _Written(name, times, self._clock.monotonic())
        self._written.move_to_end(said)
        if len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)

    def _event(self, said: _Said, name: str, namespace: str, times: int, now: datetime) -> Object:
        involved = {
            "apiVersion": said.api_version,
            "kind": said.kind,
            "namespace": said.namespace,
            "name": said.name,
            "uid": said.uid,
        }
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {key: value for key, value in involved.items() if value},
            "reason": said.reason,
            "message": said.message,
            "type": "Warning" if said.warning else "Normal",
            "source": {"component": self._reporter},
            "reportingComponent": self._reporter,
            "firstTimestamp": format_time(now),
            "lastTimestamp": format_time(now),
            "count": times,
        }


def _digits(now: datetime, number: int) -> str:
    """As client-go names events: nanoseconds in 16 hexadecimal digits; `number` tells two of one moment apart."""
    return f"{int(now.timestamp() * 1_000_000) * 1000 + number % 1000:016x}"
