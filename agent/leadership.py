"""One of several replicas works, the others stand by: a Lease as client-go's leader election uses it.

The Lease is `pullpass-agent` in `pullpass-system` (coordination.k8s.io/v1). Whoever holds it renews it; whoever does
not takes it once its record has not changed for as long as the record says. Only changes that were observed count,
by the observer's own monotonic clock: what time the holder believes it to be is never compared, so skewed clocks do
no harm. Every write names the resource version that was read, so of two that take it at once one is refused.

A standby watches the Lease. What the watch says only tells when to try: before a Lease is taken it is read, so a watch
that is late, broken or forbidden costs requests and never a second leader. When the watch is silent for longer than a
leader that lives would be, the standby looks by itself until the watch speaks again.

A leader stops before anybody could have taken its place: it counts from the moment it *sent* its last successful
renewal, others from when they saw it, and it gives up `_MARGIN_SECONDS` early. Run by `agent.brain`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import structlog

from agent.informer import Informer, Scope
from kube.client import Client
from kube.errors import Conflict, KubeError, NotFound
from kube.objects import LEASE, Object
from reconcile.clock import Clock, Random
from schemas.agent_documents import LEASE_NAME, NAMESPACE_NAME

# As long as 15 s for the next to lead allow, with `RETRY_SECONDS` for a standby whose watch says nothing: each renewal is
# a request, and in a quiet cluster most of all that are sent.
LEASE_SECONDS = 13
RENEW_SECONDS = 8.0
# Between two looks of a standby whose watch says nothing, and after a failure.
RETRY_SECONDS = 1.5
# The client's: a renewal that takes longer than this is better tried again, and there is time for one more.
TIMEOUT_SECONDS = 2.0
_RENEW_AGAIN_SECONDS = 0.5
_QUIET_SECONDS = RENEW_SECONDS + 1.0
_MARGIN_SECONDS = 2.0
_JITTER = 0.2
# The election has been silent for too long, or work that was told to end goes on: only a restart mends either.
_SILENCE_SECONDS = 60.0
_JOIN_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Leadership:
    """One replica's part in the election.

    Args:
        client: The cluster; its time-out should be `TIMEOUT_SECONDS`.
        holder: This replica's name, never another's: the pod's.
        clock: For all waiting; its wall time is only shown.
        random: Spreads retries.
    """

    def __init__(self, client: Client, holder: str, *, clock: Clock, random: Random) -> None:
        self._client = client
        self._holder = holder
        self._clock = clock
        self._random = random
        self._condition = threading.Condition()
        self._stopping = False
        self._term: _Term | None = None
        self._observed = _Observed({}, clock.monotonic())
        self._watch: Informer[Mapping[str, Any]] | None = None
        self._told_at = clock.monotonic() - _QUIET_SECONDS  # by the watch
        self._heard_at = clock.monotonic()

    @property
    def leading(self) -> bool:
        """Whether this replica leads now."""
        term = self._term
        return term is not None and not term.lost.is_set()

    @property
    def stuck(self) -> bool:
        """Whether the election was silent for a minute, or what it led goes on a minute after it was to end."""
        return self._clock.monotonic() - self._heard_at > _SILENCE_SECONDS

    def run(self, stop: threading.Event, lead: Callable[[threading.Event], None]) -> None:
        """Stands by, and calls `lead` in this thread whenever this replica has become the leader, until `stop`.

        Args:
            stop: Ends it. What `lead` does is waited for, then the Lease is released for another to take at once.
            lead: Works until the event that it is given is set: when leadership is lost, or with `stop`. What it raises
                comes out of here, after the Lease was released.
        """
        threading.Thread(target=self._end_with, args=(stop,), name="leadership-stop", daemon=True).start()
        while not self._stopping:
            watch = self._begin_to_watch()
            try:
                term = self._stand_by()
                watch.stop()  # and is not waited for: the term has begun
                if term is not None:
                    self._serve(term, lead)
            finally:
                watch.stop()
                watch.join(_JOIN_SECONDS)

    def _end_with(self, stop: threading.Event) -> None:
        stop.wait()
        with self._condition:
            self._stopping = True
            if self._term is not None:
                self._term.lost.set()
            self._condition.notify_all()

    def _begin_to_watch(self) -> Informer[Mapping[str, Any]]:
        self._told_at = self._clock.monotonic() - _QUIET_SECONDS
        self._watch = Informer(
            self._client,
            Scope(LEASE, NAMESPACE_NAME, f"metadata.name={LEASE_NAME}"),
            view=_spec,
            changed=lambda _, __: self._told(),
            clock=self._clock,
            random=self._random,
        )
        self._watch.start()
        return self._watch

    def _told(self) -> None:
        """Hears from the watch, in its thread."""
        spec = self._watch.get(NAMESPACE_NAME, LEASE_NAME) if self._watch is not None else None
        if spec is not None:
            with self._condition:
                self._told_at = self._clock.monotonic()
                self._observe(spec)
                self._condition.notify_all()

    def _stand_by(self) -> _Term | None:
        """Waits for this replica's term; None: to stop."""
        failing = False
        while not self._stopping:
            try:
                term = self._attempt()
                if term is not None:
                    return term
                failing = False
            except KubeError as error:
                if not failing:
                    _log.warning("cannot stand for leader", error=str(error))
                failing = True
            self._wait_for_a_chance()
        return None

    def _wait_for_a_chance(self) -> None:
        """Until the Lease has run out, or it is time to look: the watch is silent, or the Lease was free and not ours."""
        retry_at = self._clock.monotonic() + self._retry_seconds(RETRY_SECONDS)
        with self._condition:
            refused = self._held_for() <= 0
            while not self._stopping:
                now = self._heard_at = self._clock.monotonic()
                look_at = max(self._told_at + _QUIET_SECONDS, retry_at)
                left = (retry_at if refused else min(now + self._held_for(), look_at)) - now
                if left <= 0:
                    return
                self._clock.wait(self._condition, left)

    def _attempt(self) -> _Term | None:
        """Takes the Lease if it is free. One that is gone stays its last holder's until it would have run out."""
        lease = self._read()
        if lease is None and self._held_for() <= 0:
            lease = self._client.apply(_EMPTY)  # where another was faster, this answers with its Lease
        if lease is None or self._observe(_spec(lease)) > 0:
            return None
        sent_at = self._clock.monotonic()
        try:
            return _Term(self._clock, sent_at, self._put_name(lease))
        except Conflict:
            return None  # another was faster

    def _serve(self, term: _Term, lead: Callable[[threading.Event], None]) -> None:
        with self._condition:
            self._term = term
            if self._stopping:
                term.lost.set()
        threads = [
            threading.Thread(target=work, args=(term,), name=f"leadership-{name}", daemon=True)
            for name, work in (("renew", self._keep), ("deadline", self._watch_deadline))
        ]
        for thread in threads:
            thread.start()
        _log.info("leading", holder=self._holder)
        try:
            lead(term.lost)
        finally:
            self._end(term)
            for thread in threads:
                thread.join(_JOIN_SECONDS)
            self._term = None
            self._heard_at = self._clock.monotonic()
            self._release()
            _log.info("leading no longer", holder=self._holder)

    def _keep(self, term: _Term) -> None:
        """Renews until the term ends."""
        seconds = RENEW_SECONDS
        while self._pause(seconds, term):
            try:
                if not self._renew(term):
                    _log.warning("another has taken the Lease")
                    self._end(term)
                    return
                seconds = RENEW_SECONDS
            except KubeError as error:
                _log.warning("cannot renew the Lease", error=str(error))
                seconds = self._retry_seconds(_RENEW_AGAIN_SECONDS)
            self._heard_at = self._clock.monotonic()

    def _renew(self, term: _Term) -> bool:
        """False when another has it."""
        sent_at = self._clock.monotonic()
        try:
            lease = self._put_name(term.lease)
        except (Conflict, NotFound):
            found = self._read() or self._client.apply(_EMPTY)
            if _holder(found) not in ("", self._holder):
                return False
            sent_at = self._clock.monotonic()
            lease = self._put_name(found)
        with self._condition:
            term.renewed(sent_at, lease)
        return True

    def _watch_deadline(self, term: _Term) -> None:
        """Ends the term when it was not renewed in time, whatever the renewal waits for."""
        with self._condition:
            while not term.lost.is_set():
                self._clock.wait(self._condition, term.seconds_left)
        self._end(term)

    def _end(self, term: _Term) -> None:
        with self._condition:
            term.lost.set()
            self._condition.notify_all()

    def _release(self) -> None:
        """So that another need not wait; where that fails, it waits."""
        try:
            lease = self._read()
            if lease is not None and _holder(lease) == self._holder:
                self._patch(
                    lease, {"holderIdentity": None, "leaseDurationSeconds": 1, "renewTime": self._now()}
                )
        except KubeError as error:
            _log.warning("cannot release the Lease", error=str(error))

    def _read(self) -> Object | None:
        try:
            return self._client.get(LEASE, LEASE_NAME, namespace=NAMESPACE_NAME)
        except NotFound:
            return None

    def _observe(self, spec: Mapping[str, Any]) -> float:
        """Notes when it changed. Answers `_held_for` of exactly this, whatever the watch says at the same time.

        An empty one is about to be written anew, by its holder or by whoever made it: it changes nothing.
        """
        with self._condition:
            if spec and self._observed.spec != spec:
                self._observed = _Observed(spec, self._clock.monotonic())
            return self._held_for()

    def _held_for(self) -> float:
        """For how many seconds another may still believe that it leads; 0: for none."""
        spec = self._observed.spec
        if spec.get("holderIdentity", "") in ("", self._holder):
            return 0.0
        runs_out_at = self._observed.at + int(spec.get("leaseDurationSeconds", 0))
        return max(0.0, runs_out_at - self._clock.monotonic())

    def _put_name(self, lease: Object) -> Object:
        """Ours on the Lease, or a new time behind it."""
        spec: dict[str, Any] = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": self._now(),
        }
        if _holder(lease) != self._holder:
            spec["acquireTime"] = spec["renewTime"]
            spec["leaseTransitions"] = lease.get("spec", {}).get("leaseTransitions", 0) + 1
        return self._patch(lease, spec)

    def _patch(self, lease: Object, spec: dict[str, Any]) -> Object:
        lock = {"resourceVersion": lease["metadata"]["resourceVersion"]}
        body = {"metadata": lock, "spec": spec}
        return self._client.merge_patch(LEASE, LEASE_NAME, body, namespace=NAMESPACE_NAME)

    def _now(self) -> str:
        """As a MicroTime."""
        return self._clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _retry_seconds(self, seconds: float) -> float:
        return seconds * self._random.uniform(1 - _JITTER, 1 + _JITTER)

    def _pause(self, seconds: float, term: _Term) -> bool:
        """False when it was cut short: by the end of everything, or of the term."""
        until = self._clock.monotonic() + seconds
        with self._condition:
            while not self._stopping and not term.lost.is_set():
                left = until - self._clock.monotonic()
                if left <= 0:
                    return True
                self._clock.wait(self._condition, left)
        return False


@dataclass(frozen=True)
class _Observed:
    """What the Lease said, and when that was first seen (monotonic)."""

    spec: Mapping[str, Any]
    at: float


class _Term:
    """A time of leading. `lease` is as it was last written."""

    def __init__(self, clock: Clock, sent_at: float, lease: Object) -> None:
        self._clock = clock
        self._until = _until(sent_at)
        self.lease = lease
        self.lost = _Lost(lambda: self.seconds_left <= 0)

    @property
    def seconds_left(self) -> float:
        return self._until - self._clock.monotonic()

    def renewed(self, sent_at: float, lease: Object) -> None:
        """A renewal that comes too late changes nothing."""
        if not self.lost.is_set():
            self._until = _until(sent_at)
            self.lease = lease


class _Lost(threading.Event):
    """Set also by time alone: a process that was paused must not write before its threads have noticed."""

    def __init__(self, too_late: Callable[[], bool]) -> None:
        super().__init__()
        self._too_late = too_late

    def is_set(self) -> bool:
        return super().is_set() or self._too_late()


def _until(sent_at: float) -> float:
    return sent_at + LEASE_SECONDS - _MARGIN_SECONDS


def _spec(lease: Object) -> Mapping[str, Any]:
    return dict(lease.get("spec") or {})


def _holder(lease: Object) -> str:
    return str(lease.get("spec", {}).get("holderIdentity", ""))


# Applied, it makes the Lease and nothing more: the fields of `spec` are patched, each time under the lock.
_EMPTY: Object = {
    "apiVersion": LEASE.api_version,
    "kind": LEASE.kind,
    "metadata": {
        "name": LEASE_NAME,
        "namespace": NAMESPACE_NAME,
        "labels": {"app.kubernetes.io/managed-by": "pullpass"},
    },
}
