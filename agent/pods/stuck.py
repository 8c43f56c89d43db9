"""Retries pods that are stuck because they were made before our pull secret was of use to them.

A pod that came before its service account referred to our secret has no secret, and waits for ever: the kubelet tries
again and again, with nothing. Such pods are evicted where their controller makes new ones, and where `decide` says that
a new one would fare better. Evicted, not deleted: a Job's controller then knows it for no failure of the work, and a
PodDisruptionBudget is heeded should the pod have begun to run.
By choice (`settings.awsECR.pullSecret.retryPods`). A duty (`agent.secrets.duties`), composed by `agent.brain`.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import structlog

from agent.events import Speaker
from agent.informer import Informer, Scope
from agent.pods.deciding import ReadySecret, Verdict, decide, ready_secret
from agent.pods.owners import Rounds, is_job, job_bears_a_failure, replaces
from agent.pods.waiting import Owner, StuckPod, view
from agent.secrets.duties import Contribution
from kube.client import Client
from kube.errors import ApiError, Conflict, Fenced, Forbidden, KubeError, NotFound
from kube.objects import JOB, POD, SECRET, SERVICE_ACCOUNT, Object
from reconcile.clock import Clock, Random
from reconcile.outcome import Done, Outcome, RequeueAfter, Retryable
from reconcile.queue import Backoff, Queue
from reconcile.workers import Workers
from schemas.agent_documents import AgentConfiguration

RETRIED, NOT_RETRIED = "PullRetried", "PullNotRetried"
# What is evicted of one namespace at once, and how long until the next.
MOST_AT_ONCE = 10
_NEXT_SECONDS = 2.0
# The pods of one owner come together, and the secret and its reference with a new namespace.
_GATHERING_SECONDS = 1.0
# How often a namespace is looked at again while our secret is not there, or the API server says no.
_BACKOFF = Backoff(base=5.0, maximum=300.0)

_log = structlog.get_logger(__name__)


class StuckPods:
    """The duty.

    Args:
        client: The cluster.
        events: Where it is told what was done, or why nothing was.
        failed: Counts what fails, by its reason.
        clock: Of everything.
        random: Spreads retries.
    """

    def __init__(
        self, client: Client, events: Speaker, *, failed: Callable[[str], None], clock: Clock, random: Random
    ) -> None:
        self._client = client
        self._events = events
        self._failed = failed
        self._clock = clock
        self._random = random
        self._watching: _Watching | None = None

    def follow(self, configuration: AgentConfiguration) -> None:
        """Begins to watch pods, or ends it, as `retry_pods` says."""
        if not configuration.pull_secret.retry_pods or configuration.removing:
            self.stop()
            self._watching = None
        elif self._watching is None:
            self._watching = _Watching(
                self._client,
                self._events,
                configuration,
                failed=self._failed,
                clock=self._clock,
                random=self._random,
            )
            self._watching.start()
        else:
            self._watching.follow(configuration)

    def contribution(self) -> Contribution:
        """Nothing: what it does is told in events, and leaves nothing behind."""
        return Contribution()

    def stop(self) -> None:
        """Ends the watch; `join` waits for it."""
        if self._watching is not None:
            self._watching.stop()

    def join(self, timeout_seconds: float) -> None:
        """Waits for the threads after `stop`."""
        if self._watching is not None:
            self._watching.join(timeout_seconds)


class _Watching:
    """One stretch of time in which pods are retried. The queue's keys are namespaces."""

    def __init__(
        self,
        client: Client,
        events: Speaker,
        configuration: AgentConfiguration,
        *,
        failed: Callable[[str], None],
        clock: Clock,
        random: Random,
    ) -> None:
        self._client = client
        self._events = events
        self._failed = failed
        self._configuration = configuration
        self._clock = clock
        self._rounds = Rounds(random)
        self._lock = threading.Lock()
        # Hosts by pod and its uid, for kubelets that name the reason only now and then.
        self._refused: dict[tuple[str, str], tuple[str, frozenset[str]]] = {}
        self._queue: Queue[str] = Queue(clock=clock, random=random, backoff=_BACKOFF)
        self._workers = Workers(self._queue, self._look, observer=self, healthy=1, failing=1)
        # A pod that waits for its first image is Pending: few are, however many pods there are.
        self._pods = Informer(
            client,
            Scope(POD, field_selector="status.phase=Pending"),
            view=view,
            changed=self._changed,
            clock=clock,
            random=random,
        )

    def start(self) -> None:
        self._workers.start()
        self._pods.start()

    def follow(self, configuration: AgentConfiguration) -> None:
        self._configuration = configuration
        for namespace, _, _pod in self._pods.everywhere():
            self._queue.add(namespace)

    def stop(self) -> None:
        self._queue.close()
        self._pods.stop()

    def join(self, timeout_seconds: float) -> None:
        self._pods.join(timeout_seconds)
        self._workers.stop(timeout_seconds)

    def finished(self, key: object, result: str, seconds: float, error: BaseException | None) -> None:
        """Hears of every look (`reconcile.workers.Observer`)."""
        if result == "error":
            self._failed("Unexpected")
            _log.error("unexpected failure", namespace=key, seconds=round(seconds, 3), exc_info=error)
        elif error is not None and isinstance(error.__cause__, KubeError):
            _log.warning("stuck pods will be looked at again", namespace=key, error=str(error))

    def _changed(self, namespace: str, name: str) -> None:
        pod, key = self._pods.get(namespace, name), (namespace, name)
        with self._lock:
            if pod is None:
                self._refused.pop(key, None)
                return
            uid, before = self._refused.get(key, (pod.uid, frozenset()))
            kept = before & pod.silent if uid == pod.uid else frozenset[str]()
            self._refused[key] = (pod.uid, pod.refused | kept)
        self._queue.add_after(namespace, _GATHERING_SECONDS)

    def _look(self, namespace: str) -> Outcome:
        try:
            return self._retry(namespace)
        except Fenced:
            return Done()  # another leads now
        except KubeError as error:
            self._failed(type(error).__name__)
            retry_after = error.retry_after if isinstance(error, ApiError) else None
            raise Retryable(str(error), retry_after=retry_after) from error

    def _retry(self, namespace: str) -> Outcome:
        stuck = self._stuck(namespace)
        if not stuck:
            return Done()
        configuration, now = self._configuration, self._clock.now()
        secrets = self._secrets(namespace, configuration, now)
        if not secrets:
            raise Retryable("no pull secret is ready")
        inherited = {
            account: self._inherited(namespace, account) for account in {pod.account for _, pod, _ in stuck}
        }
        verdicts = [
            (
                name,
                pod,
                decide(
                    pod,
                    hosts,
                    secrets,
                    inherited=inherited[pod.account],
                    append=configuration.pull_secret.append_to_pods,
                ),
            )
            for name, pod, hosts in stuck
        ]
        retried = [(name, pod) for name, pod, verdict in verdicts if self._is_retried(pod, verdict)]
        for name, pod, verdict in verdicts:
            if (name, pod) not in retried:
                self._explain(namespace, name, pod, verdict, secrets)
        wait = self._evict_of(namespace, retried)
        if any(verdict is Verdict.WAIT for _, _, verdict in verdicts):
            raise Retryable("a pull secret, or a reference to it, is not there yet")
        return RequeueAfter(wait) if wait else Done()

    def _is_retried(self, pod: StuckPod, verdict: Verdict) -> bool:
        """Once, a pod goes that has all and is turned away: another node may do better, and at once."""
        if verdict is not Verdict.TURNED_AWAY:
            return verdict is Verdict.RETRY
        owner = pod.owner
        return (
            owner is not None
            and replaces(owner)
            and self._rounds.is_first(owner.uid, pod.uid, self._clock.monotonic())
        )

    def _stuck(self, namespace: str) -> list[tuple[str, StuckPod, frozenset[str]]]:
        """Name, view and refusing hosts, by name: a StatefulSet's first pod goes first."""
        views = self._pods.in_namespace(namespace)
        with self._lock:
            known = {name: self._refused.get((namespace, name)) for name in views}
        found = []
        for name, pod in sorted(views.items()):
            refused = known[name]
            if refused is not None and refused[0] == pod.uid and refused[1]:
                found.append((name, pod, refused[1]))
        return found

    def _secrets(self, namespace: str, configuration: AgentConfiguration, now: datetime) -> list[ReadySecret]:
        wanted, found = configuration.pull_secret, []
        for name in (wanted.name, *((wanted.public_name,) if wanted.public_name else ())):
            try:
                secret = self._client.get(SECRET, name, namespace=namespace)
            except NotFound:
                continue
            ready = ready_secret(secret, configuration.cluster_uid, now)
            if ready is not None:
                found.append(ready)
        return found

    def _inherited(self, namespace: str, account: str) -> frozenset[str]:
        try:
            found = self._client.get(SERVICE_ACCOUNT, account, namespace=namespace)
        except NotFound:
            return frozenset()
        return frozenset(each.get("name", "") for each in found.get("imagePullSecrets") or ())

    def _evict_of(self, namespace: str, pods: Iterable[tuple[str, StuckPod]]) -> float:
        """Evicts what may go now; seconds until the rest may (0: there is none)."""
        by_owner: dict[Owner, dict[str, tuple[str, StuckPod]]] = defaultdict(dict)
        for name, pod in pods:
            if pod.owner is None or not self._makes_a_new_one(namespace, pod.owner):
                self._say(_pod(namespace, name, pod), NOT_RETRIED, _by_hand(pod))
            else:
                by_owner[pod.owner][pod.uid] = (name, pod)
        waits, left = [], MOST_AT_ONCE
        for owner, owned in by_owner.items():
            going, wait = self._rounds.admitted(owner.uid, owned.keys(), self._clock.monotonic())
            if wait:
                waits.append(wait)
            for uid, (name, pod) in owned.items():
                if uid in going and left:
                    left -= 1
                    self._evict(namespace, name, pod, owner)
                elif uid in going:
                    waits.append(_NEXT_SECONDS)
        return min(waits, default=0.0)

    def _evict(self, namespace: str, name: str, pod: StuckPod, owner: Owner) -> None:
        try:
            self._client.evict(namespace, name, uid=pod.uid, resource_version=pod.resource_version)
        except (Conflict, NotFound):
            return  # it changed or went meanwhile, which the watch tells
        _log.info("pod evicted so that a new one can pull", namespace=namespace, pod=name, owner=owner.name)
        message = f"pod {name} could not pull before the pull secret was of use to it; it was evicted for a new one to pull"
        self._events.say(_owner(namespace, owner), RETRIED, message, warning=False)

    def _makes_a_new_one(self, namespace: str, owner: Owner) -> bool:
        if not is_job(owner):
            return replaces(owner)
        try:
            return job_bears_a_failure(self._client.get(JOB, owner.name, namespace=namespace))
        except (NotFound, Forbidden):
            return False

    def _explain(
        self, namespace: str, name: str, pod: StuckPod, verdict: Verdict, secrets: Iterable[ReadySecret]
    ) -> None:
        names = ", ".join(secret.name for secret in secrets)
        if verdict is Verdict.TURNED_AWAY:
            why = (
                f"the pod has the pull secret ({names}) and the registry turns it away: check what the role may pull, "
                "and the repository's policy; the kubelet tries again by itself"
            )
        elif verdict is Verdict.OWN_SECRETS:
            why = (
                f"the pod names pull secrets of its own, so that it inherits none: add {names} to its "
                "imagePullSecrets, or set pullSecret.appendToPods"
            )
        else:
            return
        self._say(_pod(namespace, name, pod), NOT_RETRIED, why)

    def _say(self, involved: Object, reason: str, message: str) -> None:
        self._events.say(involved, reason, message, warning=True)


def _by_hand(pod: StuckPod) -> str:
    if pod.owner is None:
        return "the pod was made before the pull secret was of use to it, and nothing makes a new one: delete it and make it anew"
    return (
        f"the pod was made before the pull secret was of use to it; its {pod.owner.kind} {pod.owner.name} may take a "
        "deletion for a failure: delete the pod, or start the work anew, yourself"
    )


def _pod(namespace: str, name: str, pod: StuckPod) -> Object:
    return _reference("v1", "Pod", namespace, name, pod.uid)


def _owner(namespace: str, owner: Owner) -> Object:
    return _reference(owner.api_version, owner.kind, namespace, owner.name, owner.uid)


def _reference(api_version: str, kind: str, namespace: str, name: str, uid: str) -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": name, "uid": uid}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}
