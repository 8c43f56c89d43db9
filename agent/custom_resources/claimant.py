"""Custom resources as claims: those of `pullpass.dev`, with finalizer, status and events, and adopted ones as they are.

A key of the queue says what to look at, never what happened: whether a kind is installed, what all objects claim, one
object. An object is claimed for once our finalizer is on it, and let go once the loop says that nothing of its claim
is left. Driven by `agent.secrets.loop`, composed in `agent.brain`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import structlog

from agent.custom_resources import reckoning, resource, status
from agent.custom_resources.installed import Installed
from agent.custom_resources.keys import KeyVersions
from agent.custom_resources.reckoning import Sum, Understood, Watched
from agent.custom_resources.resource import Reading, Resource
from agent.events import Speaker
from agent.secrets.claims import Claim, ClaimKey, ClaimSource
from agent.secrets.duties import ClaimStatus, Contribution
from kube.client import Client
from kube.errors import ApiError, Fenced, KubeError, NotFound
from kube.objects import ALCHEMY_PULL_SECRET, ECR_PULL_SECRET, Object
from reconcile.clock import Clock, Random
from reconcile.outcome import Done, Outcome, RequeueAfter, Retryable
from reconcile.queue import Backoff, Queue
from reconcile.workers import Workers
from schemas.agent_documents import AgentConfiguration

_HEALTHY_WORKERS, _FAILING_WORKERS = 2, 1
_BACKOFF = Backoff(base=0.5, maximum=60.0)
# Objects, keys and statuses come in crowds.
_GATHERING_SECONDS = 0.05
_TELLING_SECONDS = 0.2
_SYNC_POLL_SECONDS = 0.5
# A status that changes with every namespace is written this often at most.
_STATUS_SECONDS = 2.0

_log = structlog.get_logger(__name__)


class Matter(StrEnum):
    """What a task is about."""

    KIND = "kind"
    CLAIMS = "claims"
    OBJECT = "object"


@dataclass(frozen=True)
class Task:
    """The queue's key: `key` is an object's claim, or has no name and stands for all of its source."""

    matter: Matter
    key: ClaimKey


_CLAIMS = Task(Matter.CLAIMS, ClaimKey(ClaimSource.CUSTOM))


class CustomResources:
    """The claimant (`agent.secrets.duties.Claimant`) of custom resources.

    Args:
        client: The cluster.
        events: For the objects' events.
        changed: Called when claims or the contribution changed.
        failed: Counts what fails, by its reason.
        clock: Of everything.
        random: Spreads looks and retries.
    """

    def __init__(
        self,
        client: Client,
        events: Speaker,
        *,
        changed: Callable[[], None],
        failed: Callable[[str], None],
        clock: Clock,
        random: Random,
    ) -> None:
        self._events = events
        self._changed = changed
        self._failed = failed
        self._clock = clock
        self._random = random
        self._queue: Queue[Task] = Queue(clock=clock, random=random, backoff=_BACKOFF)
        self._workers = Workers(
            self._queue, self._work, observer=self, healthy=_HEALTHY_WORKERS, failing=_FAILING_WORKERS
        )
        self._kinds = {
            source: Installed(client, kind, changed=self._seen(source), clock=clock, random=random)
            for source, kind in (
                (ClaimSource.CUSTOM, ECR_PULL_SECRET),
                (ClaimSource.ADOPTED, ALCHEMY_PULL_SECRET),
            )
        }
        self._custom = self._kinds[ClaimSource.CUSTOM]
        self._keys = KeyVersions(client, changed=self._look_at_claims, clock=clock, random=random)
        self._watched = Watched(self._custom, self._kinds[ClaimSource.ADOPTED], self._keys)
        self._lock = threading.Lock()
        self._stopped = False
        self._configuration: AgentConfiguration | None = None
        self._let_go = False
        self._sum = Sum()
        self._told = False
        self._statuses: dict[ClaimKey, ClaimStatus] = {}
        self._remaining: frozenset[ClaimKey] = frozenset()
        self._written_at: dict[str, float] = {}
        self._happened: dict[str, Object] = {}  # the last state of an adopted object, which has no status

    def follow(self, configuration: AgentConfiguration) -> None:
        with self._lock:
            if self._stopped or configuration == self._configuration:
                return
            first = self._configuration is None
            self._let_go = self._let_go and not reckoning.serves(configuration)
            self._configuration = configuration
        if first:
            self._workers.start()
        for source in self._kinds:
            self._queue.add(Task(Matter.KIND, ClaimKey(source)))
        self._queue.add(_CLAIMS)
        for name in self._custom.objects():
            self._queue.add_after(Task(Matter.OBJECT, ClaimKey(ClaimSource.CUSTOM, name)), _GATHERING_SECONDS)

    @property
    def synced(self) -> bool:
        return self._sum.synced

    def claims(self) -> tuple[Claim, ...]:
        return self._sum.claims

    def tell(self, statuses: Mapping[ClaimKey, ClaimStatus], remaining: frozenset[ClaimKey]) -> None:
        ours = {key: told for key, told in statuses.items() if key.source in self._kinds}
        left = frozenset(key for key in remaining if key.source in self._kinds)
        with self._lock:
            before, stayed, first = self._statuses, self._remaining, not self._told
            self._statuses, self._remaining, self._told = ours, left, True
        touched = {key for key in ours.keys() | before.keys() if ours.get(key) != before.get(key)}
        touched |= left ^ stayed
        if first:
            touched |= {ClaimKey(ClaimSource.CUSTOM, name) for name in self._custom.objects()}
        for key in touched:
            self._queue.add_after(Task(Matter.OBJECT, key), _TELLING_SECONDS)

    def contribution(self) -> Contribution:
        known, now = self._sum, self._clock.now()
        with self._lock:
            told = [self._statuses.get(claim.key) for claim in known.claims]
        well = sum(each is not None and status.is_well(each, now) for each in told)
        return Contribution(
            custom_resources=None if known.total is None else (known.total, well),
            errors=known.errors,
            left=known.left,
        )

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
        self._queue.close()
        for kind in self._kinds.values():
            kind.stop()
        self._keys.stop()

    def join(self, timeout_seconds: float) -> None:
        self._workers.stop(timeout_seconds)
        for kind in self._kinds.values():
            kind.join(timeout_seconds)
        self._keys.join(timeout_seconds)

    def finished(self, key: object, result: str, seconds: float, error: BaseException | None) -> None:
        """Hears of every run (`reconcile.workers.Observer`)."""
        if error is None:
            return
        task = f"{key.matter.value} {key.key.name}".rstrip() if isinstance(key, Task) else str(key)
        if result == "error":
            self._failed("Unexpected")
            _log.error("unexpected failure", task=task, exc_info=error)
        else:
            _log.warning("will be tried again", task=task, error=str(error), seconds=round(seconds, 3))

    def _look_at_claims(self) -> None:
        self._queue.add_after(_CLAIMS, _GATHERING_SECONDS)

    def _seen(self, source: ClaimSource) -> Callable[[str], None]:
        """Of an object that came, changed or went, the claims hear first."""

        def changed(name: str) -> None:
            self._look_at_claims()
            self._queue.add_after(Task(Matter.OBJECT, ClaimKey(source, name)), _TELLING_SECONDS)

        return changed

    def _work(self, task: Task) -> Outcome:
        configuration = self._configuration
        if configuration is None:
            return Done()
        try:
            match task.matter:
                case Matter.KIND:
                    return self._look_at_kind(task.key.source, configuration)
                case Matter.CLAIMS:
                    return self._reckon(configuration)
                case Matter.OBJECT:
                    return self._look_at_object(task.key, configuration)
        except NotFound:
            return Done()  # it went meanwhile; the watch tells
        except Fenced:
            return Done()  # another leads now
        except KubeError as error:
            self._failed(type(error).__name__)
            retry_after = error.retry_after if isinstance(error, ApiError) else None
            raise Retryable(str(error), retry_after=retry_after) from error

    def _look_at_kind(self, source: ClaimSource, configuration: AgentConfiguration) -> Outcome:
        """Whether a kind is installed. Ours is looked at, too, where it is not served until nothing of ours is held."""
        kind = self._kinds[source]
        if source is ClaimSource.ADOPTED and reckoning.adopted(configuration) is None:
            kind.leave()
            return Done()
        if source is ClaimSource.CUSTOM and self._let_go:
            return Done()
        seconds = kind.look()
        self._look_at_claims()
        return RequeueAfter(seconds * self._random.uniform(0.9, 1.1))

    def _reckon(self, configuration: AgentConfiguration) -> Outcome:
        """Works out all claims, and tells whom it concerns."""
        waits = not reckoning.serves(configuration) and not self._let_go
        if waits and reckoning.nothing_held(self._custom):
            self._custom.leave()
            self._let_go, waits = True, False
        before, found = self._sum, reckoning.reckon(configuration, self._watched, let_go=self._let_go)
        self._sum = found
        for key in found.understood.keys() | before.understood.keys():
            if found.understood.get(key) != before.understood.get(key):
                self._queue.add(Task(Matter.OBJECT, key))
        for error in found.errors:
            if error not in before.errors:
                self._failed(error.code)
        if found != before:
            self._changed()
        settled = found.synced and (not waits or self._custom.synced)
        return Done() if settled else RequeueAfter(_SYNC_POLL_SECONDS)

    def _look_at_object(self, key: ClaimKey, configuration: AgentConfiguration) -> Outcome:
        found = self._kinds[key.source].get(key.name)
        if found is None:
            if key.source is ClaimSource.CUSTOM:
                self._written_at.pop(key.name, None)
            else:
                self._happened.pop(key.name, None)
            return Done()
        understood = self._sum.understood.get(key)
        if key.source is ClaimSource.CUSTOM and (found.deleting or not reckoning.serves(configuration)):
            return self._release(key, found)
        if understood is None or (found.uid, found.generation) != (understood.uid, understood.generation):
            return Done()  # the claims hear of it first, and have it looked at again
        if key.source is ClaimSource.ADOPTED:
            return self._tell_of_adopted(key, found, understood)
        return self._bring(key, found, understood.reading)

    def _bring(self, key: ClaimKey, found: Resource, reading: Reading) -> Outcome:
        """Puts the finalizer on, and the status where it belongs."""
        now = self._clock.now()
        if reading.claim is None:
            return self._write(found, status.refused(found, reading.problems, now))
        if not found.held:
            self._custom.patch(found, resource.finalizer_patch(found, held=True))
            self._look_at_claims()
            return Done()
        with self._lock:
            told = self._statuses.get(key)
        if told is None or told.claim != reading.claim:
            return Done()
        outcome = self._write(found, status.served(found, told, reading.problems, now))
        until = status.expiry(told)
        if isinstance(outcome, Done) and until is not None and until > now:
            return RequeueAfter((until - now).total_seconds() + 1.0)
        return outcome

    def _release(self, key: ClaimKey, found: Resource) -> Outcome:
        """Takes the finalizer off once nothing of the claim is left in the cluster."""
        with self._lock:
            gone = self._told and key not in self._statuses and key not in self._remaining
        if not found.held or not gone or any(key == claim.key for claim in self._sum.claims):
            return Done()
        if not found.deleting:
            says = status.not_served(found, self._clock.now())
            if status.differs(found.status, says):
                self._custom.write_status(found, says)
                found = self._custom.get(found.name) or found
        self._custom.patch(found, resource.finalizer_patch(found, held=False))
        self._say(
            key,
            found,
            status.Happening("CleanedUp", "its secrets and the references to them were taken back"),
        )
        self._look_at_claims()
        return Done()

    def _write(self, found: Resource, wanted: Object) -> Outcome:
        if not status.differs(found.status, wanted):
            return Done()
        now = self._clock.monotonic()
        rest = self._written_at.get(found.name, now - _STATUS_SECONDS) + _STATUS_SECONDS - now
        if rest > 0:
            return RequeueAfter(rest)
        self._custom.write_status(found, wanted)
        self._written_at[found.name] = now
        for happening in status.happenings(found.status, wanted):
            self._say(ClaimKey(ClaimSource.CUSTOM, found.name), found, happening)
        return Done()

    def _tell_of_adopted(self, key: ClaimKey, found: Resource, understood: Understood) -> Outcome:
        """Events alone: the older definition has no status."""
        with self._lock:
            told = self._statuses.get(key)
        if told is None or told.claim != understood.reading.claim:
            return Done()
        state = status.served(found, told, understood.reading.problems, self._clock.now())
        for happening in status.happenings(self._happened.get(key.name, {}), state):
            self._say(key, found, happening)
        self._happened[key.name] = state
        return Done()

    def _say(self, key: ClaimKey, found: Resource, happening: status.Happening) -> None:
        kind = self._kinds[key.source].kind
        involved = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": found.name, "uid": found.uid},
        }
        self._events.say(involved, happening.reason, happening.message, warning=happening.warning)
