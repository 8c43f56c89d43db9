"""The leading agent: informers feed a queue, workers reconcile its keys, level by level.

A key says what to look at, never what happened: the configuration, the plan it comes to with all claims, a
credential, a namespace, what is stored, what is told. What stands in memory can all be found again: credentials in
the store, proofs in the last report. A configuration that is gone or cannot be read changes nothing; the last one
stays in force. Run by `agent.brain` for each term of leadership.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import structlog

from agent.events import Events
from agent.health import Progress
from agent.metrics import Metrics
from agent.nodes.summing import Secrets
from agent.nodes.watching import Nodes
from agent.secrets import keys
from agent.secrets.duties import Claimant, Duty
from agent.secrets.fetching import Fetching
from agent.secrets.filling import Filling
from agent.secrets.identity import CredentialKey
from agent.secrets.keeping import Keeping
from agent.secrets.patience import Patience
from agent.secrets.plan import Plan
from agent.secrets.planning import Planner, Taken
from agent.secrets.pool import CredentialPool
from agent.secrets.report import Reporter
from agent.secrets.results import NamespaceResults
from agent.secrets.serving import Serving
from agent.secrets.tasks import Task, Topic
from agent.secrets.telling import Telling
from agent.secrets.verification import AwsCalls, Sources
from agent.secrets.watching import Told, Views
from kube.client import Client
from kube.errors import ApiError, Fenced, KubeError
from kube.objects import CONFIG_MAP, Object
from reconcile import outcome
from reconcile.clock import Clock, Random
from reconcile.outcome import Done, RequeueAfter, Retryable
from reconcile.queue import Backoff, Queue
from reconcile.workers import Workers
from schemas.agent_documents import (
    CONFIGURATION_NAME,
    NAMESPACE_NAME,
    load_configuration,
)
from schemas.node_documents import ReportedNodes
from schemas.pod_identity_documents import PodIdentityConfiguration
from schemas.reported import ReportedWebhook

HEALTHY_WORKERS, FAILING_WORKERS = 6, 2
STOP_SECONDS = 5.0
_BACKOFF = Backoff(base=1.0, maximum=60.0)  # who mended a trust policy waits no longer than this to see it
_SHORTEST_WAIT_SECONDS = 1.0
_SYNC_POLL_SECONDS = 0.05
# Namespaces come in crowds; the report is made once for many, and claimants are told once.
_GATHERING_SECONDS = 0.1
_TELLING_SECONDS = 0.5
# So do pods and what drivers say of their nodes; the plan is made once for many.
_PLANNING_SECONDS = 0.5

_log = structlog.get_logger(__name__)


class SecretsAgent:
    """One cluster's agent, for one term of leadership: `run` is called once.

    Args:
        client: The cluster's API, as the agent's own service account, fenced by the `stop` that `run` gets.
        aws: AWS.
        token_file: The projected web identity token, read anew for each walk.
        clock: Of the queue and of everything else.
        random: Spreads refreshes, walks and retries.
        metrics: What is counted.
        events: Tells people, on the objects concerned.
        leader: The name of this pod, for the report.
        duties: Follow the configuration and contribute to the report.
        claimants: The same, with claims; merged with the add-on's.
        webhook: What the report says of the webhooks.
        pod_identity: Whose generation the report speaks of while there is no configuration of the add-on's.
    """

    def __init__(
        self,
        client: Client,
        aws: AwsCalls,
        *,
        token_file: str,
        clock: Clock,
        random: Random,
        metrics: Metrics,
        events: Events,
        leader: str = "",
        duties: Sequence[Duty] = (),
        claimants: Sequence[Claimant] = (),
        webhook: Callable[[], ReportedWebhook | None] = lambda: None,
        pod_identity: Callable[[], PodIdentityConfiguration | None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._events = events
        self._duties: tuple[Duty, ...] = (*duties, *claimants)
        self._pod_identity = pod_identity
        self._taken: Taken | None = None
        self._plan: Plan | None = None
        self._done = 0
        self._summary: ReportedNodes | None = None  # of the moment of the plan, so that the two go together
        self._queue: Queue[Task] = Queue(clock=clock, random=random, backoff=_BACKOFF)
        self._workers = Workers(
            self._queue, self._reconcile, observer=self, healthy=HEALTHY_WORKERS, failing=FAILING_WORKERS
        )
        self._work: Mapping[Topic, Callable[[Task], outcome.Outcome]] = {
            Topic.CONFIGURATION: lambda _: self._take_configuration(),
            Topic.PLAN: lambda _: self._make_plan(),
            Topic.CREDENTIAL: lambda task: self._visit_credential(task.key),
            Topic.NAMESPACE: lambda task: self._serve_namespace(task.name),
            Topic.STORE: lambda _: self._store(),
            Topic.CLAIMANTS: lambda _: self._tell_claimants(),
            Topic.REPORT: lambda _: self._write_report(),
        }
        told = Told(
            namespace=self._namespace_changed,
            pod=lambda: self._queue.add_after(Task(Topic.PLAN), _PLANNING_SECONDS),
            configuration=lambda: self._queue.add(Task(Topic.CONFIGURATION)),
        )
        self._views = Views(client, told, clock=clock, random=random)
        self._nodes = Nodes(
            client,
            changed=lambda: self._queue.add_after(Task(Topic.PLAN), _PLANNING_SECONDS),
            clock=clock,
            random=random,
        )
        self._pool = CredentialPool(random)
        self._keeping = Keeping(client, self._pool)
        sources = Sources(token_file, lambda stored: keys.read(client, stored))
        self._fetching = Fetching(aws, self._pool, sources, random=random)
        self._planner = Planner(self._views, self._pool, claimants)
        results = NamespaceResults()
        self._serving = Serving(
            views=self._views,
            pool=self._pool,
            filling=Filling(client, self._views, Patience(clock)),
            results=results,
            metrics=metrics,
            events=events,
        )
        self._telling = Telling(
            views=self._views,
            pool=self._pool,
            fetching=self._fetching,
            results=results,
            reporter=Reporter(client),
            duties=duties,
            claimants=claimants,
            leader=leader,
            webhook=webhook,
        )

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set, then ends within a few seconds; a run that hangs is left behind."""
        now = self._clock.now
        self._metrics.watch(lambda: self._telling.credential_expiries(self._plan, now()), now)
        self._metrics.watch_secrets(lambda: self._telling.secret_expiries(self._plan), now)
        self._views.start()
        while not self._views.configuration_synced and not stop.wait(_SYNC_POLL_SECONDS):
            pass
        if not stop.is_set():
            self._workers.start()
            self._queue.add(Task(Topic.CONFIGURATION))
            self._queue.add(Task(Topic.REPORT))
            stop.wait()
        self._workers.stop(STOP_SECONDS)
        stopping: tuple[Nodes | Views | Duty, ...] = (self._nodes, *self._duties, self._views)
        for each in stopping:
            each.stop()
        for each in stopping:
            each.join(STOP_SECONDS)

    def changed(self) -> None:
        """A claimant's claims or a duty's contribution changed: they are asked anew. Returns at once."""
        self._queue.add(Task(Topic.PLAN))
        self._queue.add_after(Task(Topic.REPORT), _GATHERING_SECONDS)

    def progress(self) -> Progress:
        """How much waits, and how much was done: work that waits while nothing is done is wedged."""
        return Progress(self._queue.depth()[0], self._done)

    def finished(self, key: object, result: str, seconds: float, error: BaseException | None) -> None:
        """Hears of every run (`reconcile.workers.Observer`)."""
        self._done += 1
        if error is None:
            return
        if result == "error":
            self._metrics.failed("Unexpected")
            _log.error("unexpected failure", task=str(key), exc_info=error)
        else:
            _log.warning("will be tried again", task=str(key), error=str(error), seconds=round(seconds, 3))

    def _reconcile(self, task: Task) -> outcome.Outcome:
        try:
            return self._work[task.topic](task)
        except Fenced:
            return Done()  # another leads now
        except KubeError as error:
            self._metrics.failed(type(error).__name__)
            retry_after = error.retry_after if isinstance(error, ApiError) else None
            raise Retryable(str(error), retry_after=retry_after) from error

    def _take_configuration(self) -> outcome.Outcome:
        text = self._views.configuration()
        if text is None:
            self._queue.add(Task(Topic.REPORT))
            return Done()
        try:
            configuration = load_configuration(text)
        except ValueError as error:
            self._metrics.failed("ConfigurationUnreadable")
            _log.error("the configuration cannot be read; the last one stays in force", error=str(error))
            return Done()
        if self._taken is not None and configuration == self._taken.configuration:
            return Done()
        self._views.begin()
        if not self._views.synced:
            return RequeueAfter(_SYNC_POLL_SECONDS)
        now = self._clock.now()
        previous = None
        if self._taken is None:
            previous = self._telling.recall()
            self._keeping.recall(now)
        _log.info("configuration", generation=configuration.generation, removing=configuration.removing)
        self._taken = Taken(configuration, now, previous)
        self._nodes.follow(configuration)
        for duty in self._duties:
            duty.follow(configuration)
        self._queue.add(Task(Topic.PLAN))
        return Done()

    def _make_plan(self) -> outcome.Outcome:
        """Works out what is wanted, and has everything looked at again when that changed."""
        taken, before = self._taken, self._plan
        if taken is None:
            return Done()
        configuration, now = taken.configuration, self._clock.now()
        wide = configuration.wide_secrets
        followed = self._views.follow(wide=wide, cluster_uid=configuration.cluster_uid)
        if not self._views.secrets_synced:
            return RequeueAfter(_SYNC_POLL_SECONDS)
        secrets, nodes = self._nodes.secrets(configuration), self._nodes.summary(configuration)
        plan = self._planner.plan(taken, secrets, before, now)
        if plan is None:
            return RequeueAfter(_SHORTEST_WAIT_SECONDS)
        self._summary = nodes
        again_in = self._nodes.look_again_in(configuration)
        waits = [again_in] if again_in is not None else []
        if not followed:
            waits.append(_SHORTEST_WAIT_SECONDS)
        if plan is not before:
            if before is None and taken.previous is not None:
                self._fetching.take_over(taken.previous, plan, now)
            self._follow(plan, before, now)
        self._queue.add(Task(Topic.REPORT))
        return RequeueAfter(max(_SHORTEST_WAIT_SECONDS, min(waits))) if waits else Done()

    def _follow(self, plan: Plan, before: Plan | None, now: datetime) -> None:
        self._fetching.follow(plan.kept_keys, now)
        # While claimants have not spoken or nodes are in between, what seems unwanted may be wanted in a moment.
        if plan.complete and plan.secrets is not Secrets.HOLD:
            self._pool.keep_only(plan.kept_keys)
        self._plan = plan
        self._views.claimed({claim.secret_name for claim in plan.claims})
        # Others stand in the queue: a failing one waits its time, however often somebody else's claim changes.
        for key in plan.keys_changed_since(before):
            self._queue.add(Task(Topic.CREDENTIAL, key=key))
        for name, _ in self._views.namespaces():
            self._queue.add(Task(Topic.NAMESPACE, name))
        self._queue.add(Task(Topic.STORE))
        self._queue.add(Task(Topic.CLAIMANTS))

    def _visit_credential(self, key: CredentialKey | None) -> outcome.Outcome:
        plan = self._plan
        if plan is None or key is None or key not in plan.keys:
            return Done()
        known = self._fetching.failing().get(key)
        visit = self._fetching.visit(key, plan, self._clock.now())
        self._queue.add(Task(Topic.REPORT))
        self._queue.add_after(Task(Topic.CLAIMANTS), _GATHERING_SECONDS)
        if visit.refreshed:
            self._metrics.refreshed(key.region)
            _log.info("new credential", identity=key.identity.named, region=key.region)
            self._queue.add(Task(Topic.STORE))
            for name in self._served_with(key, plan):
                self._queue.add(Task(Topic.NAMESPACE, name))
        if visit.failure is not None:
            self._metrics.failed(visit.failure.code)
            if key in plan.own_keys and (known is None or known.code != visit.failure.code):
                self._events.say(_OUR_CONFIGURATION, visit.failure.code, visit.failure.message, warning=True)
            raise Retryable(str(visit.failure)) from visit.failure
        return RequeueAfter(max(_SHORTEST_WAIT_SECONDS, visit.come_back_in))

    def _served_with(self, key: CredentialKey, plan: Plan) -> set[str]:
        claims = [claim for claim in plan.claims if key in claim.credential_keys]
        return {name for claim in claims for name in self._views.selected(claim.selection)}

    def _serve_namespace(self, name: str) -> outcome.Outcome:
        plan = self._plan
        if plan is None:
            return Done()
        try:
            self._serving.serve(name, plan, self._clock.now())
        finally:
            self._queue.add_after(Task(Topic.REPORT), _GATHERING_SECONDS)
            self._queue.add_after(Task(Topic.CLAIMANTS), _TELLING_SECONDS)
            if not plan.configuration.wide_secrets and not self._views.narrow:
                self._queue.add_after(Task(Topic.PLAN), _PLANNING_SECONDS)
        return Done()

    def _store(self) -> outcome.Outcome:
        if self._plan is not None:
            self._keeping.keep(self._plan, self._clock.now())
        return Done()

    def _tell_claimants(self) -> outcome.Outcome:
        if self._plan is not None:
            self._telling.tell(self._plan, self._clock.now())
        return Done()

    def _write_report(self) -> outcome.Outcome:
        plan, now, pod_identity = self._plan, self._clock.now(), self._pod_identity()
        gone = self._views.configuration() is None
        if plan is not None and not (gone and plan.configuration.removing):
            again_in = self._telling.report(plan, self._summary, now)
        elif gone and pod_identity is not None:
            again_in = self._telling.report_without_add_on(pod_identity, now)
        else:
            return Done()
        return Done() if again_in is None else RequeueAfter(again_in)

    def _namespace_changed(self, name: str) -> None:
        self._queue.add(Task(Topic.NAMESPACE, name))
        if self._views.pods_are_watched:
            self._queue.add_after(Task(Topic.PLAN), _PLANNING_SECONDS)


_OUR_CONFIGURATION: Object = {
    "apiVersion": CONFIG_MAP.api_version,
    "kind": CONFIG_MAP.kind,
    "metadata": {"name": CONFIGURATION_NAME, "namespace": NAMESPACE_NAME},
}
