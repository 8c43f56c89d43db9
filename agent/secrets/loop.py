"""The agent that keeps pull secrets: informers feed a queue, workers reconcile its keys, level by level.

A key says what to look at, never what happened: the configuration, the registries it comes to, a region, a
namespace, the report. What stands in memory can all be found again: credentials in the secrets, proofs in the
last report. A configuration that is gone or cannot be read changes nothing; the last one stays in force.
Started by `agent.__main__`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import structlog

from agent.metrics import Metrics
from agent.informer import Informer, Scope
from agent.nodes.summing import Secrets
from agent.nodes.watching import Nodes
from agent.secrets import duties, pull_secret, registries, service_accounts
from agent.secrets.credentials import CredentialCache
from agent.secrets.filling import Filling, NotFilled, Offer
from agent.secrets.patience import Patience
from agent.secrets.recovery import recover
from agent.secrets.regions import Regions, Wanted
from agent.secrets.report import Reporter, compose
from agent.secrets.results import NamespaceResult, NamespaceResults
from agent.secrets.selection import selects_namespace
from agent.secrets.verification import AwsCalls
from aws.registry_hosts import RegistryHost
from kube.client import Client
from kube.errors import ApiError, KubeError
from kube.objects import CONFIG_MAP, NAMESPACE, POD, SECRET, SERVICE_ACCOUNT, Object
from reconcile.clock import Clock, Random
from reconcile.outcome import Done, Outcome, RequeueAfter, Retryable
from reconcile.queue import Backoff, Queue
from reconcile.workers import Workers
from schemas.agent_documents import (
    CONFIGURATION_KEY,
    CONFIGURATION_NAME,
    NAMESPACE_NAME,
    SECRET_NAME,
    AgentConfiguration,
    AgentReport,
    NamespaceError,
    load_configuration,
)

if TYPE_CHECKING:
    from agent.events import Events
    from schemas.pod_identity_documents import PodIdentityConfiguration
    from schemas.reported import ReportedWebhook

HEALTHY_WORKERS, FAILING_WORKERS = 6, 2
STOP_SECONDS = 5.0
# After a trust policy was mended nobody should wait longer than this to see it.
_BACKOFF = Backoff(base=1.0, maximum=60.0)
# The first report after a change waits this long for all of it to be done, so that it can say so at once.
_SETTLING_SECONDS = 5.0
_SHORTEST_WAIT_SECONDS = 1.0
_SYNC_POLL_SECONDS = 0.05
# Namespaces come in crowds; the report is made once for many.
_GATHERING_SECONDS = 0.1
# So do pods; which registries they use is worked out once for many.
_POD_SECONDS = 0.5
# And what drivers say of their nodes.
_NODE_SECONDS = 0.5

_log = structlog.get_logger(__name__)


class Duty(StrEnum):
    """What a task is about."""

    CONFIGURATION = "configuration"
    REGISTRIES = "registries"
    REGION = "region"
    NAMESPACE = "namespace"
    REPORT = "report"


@dataclass(frozen=True)
class Task:
    """The queue's key; `name` is a region's or a namespace's."""

    duty: Duty
    name: str = ""


@dataclass(frozen=True)
class NamespaceView:
    """A namespace as far as it matters here."""

    labels: Mapping[str, str]
    terminating: bool


@dataclass(frozen=True)
class Taken:
    """A configuration, and when it was taken up."""

    configuration: AgentConfiguration
    at: datetime


class SecretsAgent:
    """One cluster's agent, for one term of leadership: `run` is called once.

    Args:
        client: The cluster's API, as the agent's own service account, fenced by the `stop` that `run` gets.
        aws: AWS.
        token_file: The projected web identity token, read anew for each walk.
        clock: Of the queue and of everything else.
        random: Spreads refreshes, walks and retries.
        metrics: What is counted.
        leader: The name of this pod, for the report.
        events: Tells people, on the objects concerned.
        duties: Follow the configuration and contribute to the report.
        claimants: The same, with claims; merged with the add-on's.
        webhook: What the report says of the webhooks.
        pod_identity: Whose generation the report speaks of while there is no configuration of ours.
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
        leader: str = "",
        events: Events | None = None,
        duties: Sequence[duties.Duty] = (),
        claimants: Sequence[duties.Claimant] = (),
        webhook: Callable[[], ReportedWebhook | None] = lambda: None,
        pod_identity: Callable[[], PodIdentityConfiguration | None] = lambda: None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._random = random
        self._metrics = metrics
        self._taken: Taken | None = None
        self._wanted: Wanted | None = None
        self._previous: AgentReport | None = None
        self._known: tuple[RegistryHost, ...] = ()
        self._pods: Informer[registries.Hosts] | None = None
        self._queue: Queue[Task] = Queue(clock=clock, random=random, backoff=_BACKOFF)
        self._workers = Workers(
            self._queue, self._reconcile, observer=self, healthy=HEALTHY_WORKERS, failing=FAILING_WORKERS
        )
        self._namespaces = Informer(
            client,
            Scope(NAMESPACE, metadata_only=True),
            view=_namespace_view,
            changed=lambda _, name: self._namespace_changed(name),
            clock=clock,
            random=random,
        )
        self._secrets = Informer(
            client,
            Scope(SECRET, field_selector=f"metadata.name={SECRET_NAME}"),
            view=pull_secret.view,
            changed=lambda namespace, _: self._queue.add(Task(Duty.NAMESPACE, namespace)),
            clock=clock,
            random=random,
        )
        self._accounts = Informer(
            client,
            Scope(SERVICE_ACCOUNT),
            view=service_accounts.read,
            changed=lambda namespace, _: self._queue.add(Task(Duty.NAMESPACE, namespace)),
            clock=clock,
            random=random,
        )
        self._configurations = Informer(
            client,
            Scope(CONFIG_MAP, NAMESPACE_NAME, f"metadata.name={CONFIGURATION_NAME}"),
            view=_configuration_text,
            changed=lambda _, __: self._queue.add(Task(Duty.CONFIGURATION)),
            clock=clock,
            random=random,
        )
        self._nodes = Nodes(
            client,
            changed=lambda: self._queue.add_after(Task(Duty.REGISTRIES), _NODE_SECONDS),
            clock=clock,
            random=random,
        )
        self._cache = CredentialCache(random)
        self._regions = Regions(aws, self._cache, token_file=token_file, random=random)
        self._filling = Filling(client, self._secrets, self._accounts, Patience(clock))
        self._results = NamespaceResults()
        self._reporter = Reporter(client)
        metrics.watch(self._expiries, clock.now)

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set, then ends within a few seconds; a run that hangs is left behind."""
        for informer in self._informers:
            informer.start()
        while not self.ready() and not stop.wait(_SYNC_POLL_SECONDS):
            pass
        if not stop.is_set():
            _log.info("the first lists are read")
            self._workers.start()
            self._queue.add(Task(Duty.CONFIGURATION))
            stop.wait()
        self._workers.stop(STOP_SECONDS)
        self._nodes.stop()
        for informer in self._informers:
            informer.stop()
        self._nodes.join(STOP_SECONDS)
        for informer in self._informers:
            informer.join(STOP_SECONDS)

    def changed(self) -> None:
        """A claimant's claims or a duty's contribution changed: they are asked anew. Returns at once."""

    def ready(self) -> bool:
        """Whether everything that is watched from the start has been read once."""
        return all(
            informer.synced
            for informer in (self._namespaces, self._secrets, self._accounts, self._configurations)
        )

    def finished(self, key: object, result: str, seconds: float, error: BaseException | None) -> None:
        """Hears of every run (`reconcile.workers.Observer`)."""
        if error is None:
            return
        task = f"{key.duty.value} {key.name}".rstrip() if isinstance(key, Task) else str(key)
        if result == "error":
            self._metrics.failed("Unexpected")
            _log.error("unexpected failure", task=task, exc_info=error)
        else:
            _log.warning("will be tried again", task=task, error=str(error), seconds=round(seconds, 3))

    @property
    def _informers(self) -> tuple[Informer[Any], ...]:
        always = (self._namespaces, self._secrets, self._accounts, self._configurations)
        return (*always, self._pods) if self._pods is not None else always

    def _reconcile(self, task: Task) -> Outcome:
        try:
            match task.duty:
                case Duty.CONFIGURATION:
                    return self._take_configuration()
                case Duty.REGISTRIES:
                    return self._settle_registries()
                case Duty.REGION:
                    return self._visit_region(task.name)
                case Duty.NAMESPACE:
                    return self._serve_namespace(task.name)
                case Duty.REPORT:
                    return self._write_report()
        except KubeError as error:
            self._metrics.failed(type(error).__name__)
            retry_after = error.retry_after if isinstance(error, ApiError) else None
            raise Retryable(str(error), retry_after=retry_after) from error

    def _take_configuration(self) -> Outcome:
        text = self._configurations.get(NAMESPACE_NAME, CONFIGURATION_NAME)
        if text is None:
            return Done()
        try:
            configuration = load_configuration(text)
        except ValueError as error:
            self._metrics.failed("ConfigurationUnreadable")
            _log.error("the configuration cannot be read; the last one stays in force", error=str(error))
            return Done()
        if self._taken is not None and configuration == self._taken.configuration:
            return Done()
        now = self._clock.now()
        if self._taken is None:
            self._previous = self._reporter.recall()
            self._known = recover(self._client, self._secrets, self._cache, configuration, now)
        _log.info("configuration", generation=configuration.generation, removing=configuration.removing)
        self._taken = Taken(configuration, now)
        self._nodes.follow(configuration)
        self._queue.add(Task(Duty.REGISTRIES))
        return Done()

    def _watch_pods(self, *, wanted: bool) -> None:
        if not wanted and self._pods is not None:
            self._pods.stop()
            self._pods = None
        elif wanted and self._pods is None:
            self._pods = Informer(
                self._client,
                Scope(POD),
                view=registries.hosts_of_pod,
                changed=lambda _, __: self._queue.add_after(Task(Duty.REGISTRIES), _POD_SECONDS),
                clock=self._clock,
                random=self._random,
                list_by=lambda: [name for _, name, _ in self._namespaces.everywhere()],
            )
            self._pods.start()

    def _settle_registries(self) -> Outcome:
        """Works out what is wanted, and has everything looked at again when that changed."""
        taken, before = self._taken, self._wanted
        if taken is None:
            return Done()
        configuration, now = taken.configuration, self._clock.now()
        secrets = self._nodes.secrets(configuration)
        self._watch_pods(wanted=not configuration.registries and secrets is not Secrets.GIVE_BACK)
        pods = self._pods
        idle = secrets is Secrets.HOLD and (
            configuration.pull_secrets == "never" or not self._filling.holds_ours(configuration.cluster_uid)
        )
        if idle or (secrets is Secrets.GIVE_BACK and not configuration.removing):
            hosts: tuple[RegistryHost, ...] = ()
        elif configuration.registries or configuration.removing:
            hosts = registries.configured(configuration)
        elif pods is None or not pods.synced:
            return RequeueAfter(_SHORTEST_WAIT_SECONDS)
        else:
            known = before.registries if before is not None else self._known
            hosts = registries.seen(
                configuration,
                [(namespace, hosts) for namespace, _, hosts in pods.everywhere()],
                selected=self._is_selected,
                known=known,
                served_regions=self._cache.regions(),
            )
        self._queue.add(Task(Duty.REPORT))
        wanted = Wanted(configuration, taken.at, hosts, secrets)
        again_in = self._nodes.look_again_in(configuration)
        outcome = Done() if again_in is None else RequeueAfter(max(_SHORTEST_WAIT_SECONDS, again_in))
        if wanted == before:
            return outcome
        if before is None and self._previous is not None:
            self._regions.take_over(self._previous, wanted, now)
        if not configuration.removing:
            self._regions.keep_only(wanted.regions)
        self._wanted = wanted
        for region in wanted.regions:
            self._queue.add(Task(Duty.REGION, region))
        for _, name, _view in self._namespaces.everywhere():
            self._queue.add(Task(Duty.NAMESPACE, name))
        return outcome

    def _visit_region(self, region: str) -> Outcome:
        wanted = self._wanted
        if wanted is None or region not in wanted.regions:
            return Done()
        if wanted.configuration.removing or not wanted.configuration.role_arn:
            return Done()
        visit = self._regions.visit(region, wanted, self._clock.now())
        self._queue.add(Task(Duty.REPORT))
        if visit.refreshed:
            self._metrics.refreshed(region)
            _log.info("new credential", region=region)
            for name in self._served(wanted):
                self._queue.add(Task(Duty.NAMESPACE, name))
        if visit.failure is not None:
            self._metrics.failed(visit.failure.code)
            raise Retryable(str(visit.failure)) from visit.failure
        return RequeueAfter(max(_SHORTEST_WAIT_SECONDS, visit.come_back_in))

    def _serve_namespace(self, name: str) -> Outcome:
        wanted, view = self._wanted, self._namespaces.get("", name)
        if wanted is None:
            return Done()
        try:
            if view is None or view.terminating:
                # What is in it goes with it, and nothing may be made in it.
                self._results.drop(name)
            else:
                self._results.put(name, self._bring(name, wanted))
        except NotFilled as no:
            self._results.put(name, NamespaceResult(wanted, error=NamespaceError(name, no.code, no.message)))
            self._metrics.failed(no.code)
            if no.retry:
                raise Retryable(no.message) from no
        finally:
            self._queue.add_after(Task(Duty.REPORT), _GATHERING_SECONDS)
        return Done()

    def _bring(self, name: str, wanted: Wanted) -> NamespaceResult:
        configuration = wanted.configuration
        if wanted.secrets is Secrets.GIVE_BACK or not self._is_selected(name):
            self._filling.give_back(name, configuration.cluster_uid)
            return NamespaceResult(wanted)
        if wanted.secrets is Secrets.HOLD and name not in self._filling.holds_ours(configuration.cluster_uid):
            return NamespaceResult(wanted)
        return NamespaceResult(wanted, ready=self._filling.fill(name, configuration, self._offer(wanted)))

    def _write_report(self) -> Outcome:
        wanted = self._wanted
        if wanted is None:
            return Done()
        now, removing = self._clock.now(), wanted.configuration.removing
        alive, results, offer = self._alive(), self._results.of(wanted), self._offer(wanted)
        nodes = self._nodes.summary(wanted.configuration)
        selected = self._served(wanted)
        errors = [result.error for result in results.values() if result.error is not None]
        # What was given has expired where there is none that is good.
        ready = [name for name in selected if offer.complete and name in results and results[name].ready]
        waited = (now - wanted.changed_at).total_seconds()
        if removing:
            settled = alive <= results.keys()
        else:
            served = len(ready) + len(errors) >= len(selected)
            settled = self._regions.all_proven(wanted) and (served or not offer.complete)
        if not settled and waited < _SETTLING_SECONDS:
            return RequeueAfter(_SETTLING_SECONDS - waited)
        report = compose(
            wanted,
            now=now,
            removed=removing
            and settled
            and not errors
            and not alive & self._filling.holds_ours(wanted.configuration.cluster_uid)
            and (wanted.configuration.nodes == "none" or (nodes is not None and nodes.left)),
            proofs=self._regions.proofs(),
            credentials=offer.credentials,
            selected=selected,
            ready=ready,
            errors=errors,
            nodes=nodes,
        )
        again_in = self._reporter.write(report, wanted.configuration.cluster_uid)
        return Done() if again_in is None else RequeueAfter(again_in)

    def _offer(self, wanted: Wanted) -> Offer:
        credentials = self._cache.good(wanted.regions, self._clock.now())
        return Offer(wanted.registries, credentials, self._cache.role_of(credentials))

    def _served(self, wanted: Wanted) -> frozenset[str]:
        """The namespaces that are to have a pull secret now."""
        match wanted.secrets:
            case Secrets.GIVE_BACK:
                return frozenset()
            case Secrets.HOLD:
                return self._selected() & self._filling.holds_ours(wanted.configuration.cluster_uid)
            case Secrets.FILL:
                return self._selected()

    def _is_selected(self, name: str) -> bool:
        taken, view = self._taken, self._namespaces.get("", name)
        return (
            taken is not None
            and view is not None
            and not view.terminating
            and selects_namespace(taken.configuration.pull_secret, name, view.labels)
        )

    def _alive(self) -> frozenset[str]:
        return frozenset(name for _, name, view in self._namespaces.everywhere() if not view.terminating)

    def _selected(self) -> frozenset[str]:
        return frozenset(name for name in self._alive() if self._is_selected(name))

    def _namespace_changed(self, name: str) -> None:
        self._queue.add(Task(Duty.NAMESPACE, name))
        if self._pods is not None:
            self._queue.add_after(Task(Duty.REGISTRIES), _POD_SECONDS)

    def _expiries(self) -> Mapping[str, datetime]:
        wanted = self._wanted
        if wanted is None:
            return {}
        held = self._cache.good(wanted.regions, self._clock.now())
        return {region: credential.expires_at for region, credential in held.items()}


def _namespace_view(obj: Object) -> NamespaceView:
    metadata = obj["metadata"]
    return NamespaceView(dict(metadata.get("labels") or {}), "deletionTimestamp" in metadata)


def _configuration_text(obj: Object) -> str:
    return str((obj.get("data") or {}).get(CONFIGURATION_KEY, ""))
