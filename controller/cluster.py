"""One reconcile: brings one cluster to what its manifest says, and its status to what the cluster shows.

Takes a uid, never an event, and may be killed at any point: everything is read again the next time. The steps are
modules of their own; here is only their order. Called by `controller.engine`'s workers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from controller import (
    applying,
    conditions,
    connecting,
    issuer,
    metrics,
    ownership,
    pacing,
    planning,
    removal,
    renewal,
)
from controller.addons import ADD_ONS
from controller.addons.addon import Context, Evidence, Identity
from controller.applying import Seen
from controller.budget import Budget
from controller.entrance import Entrance
from controller.iam_checks import IamChecks
from controller.memory import Memories, Memory
from controller.outcomes import Failure, Obstacle, judge
from controller.ownership import OWNER_KEY
from controller.role_policies import RolePolicies
from controller.settings import ControllerSettings
from fleet import clusters, connections, statuses
from fleet.database import Database
from fleet.errors import DatabaseUnavailable, StaleEpoch
from fleet.events import NewEvent
from fleet.records import Cluster
from kube.client import Access, Client
from kube.errors import NotFound
from kube.objects import ObjectKey
from reconcile.clock import Clock
from reconcile.outcome import Done, Outcome, ReconcileError, RequeueAfter, Retryable
from schemas.connection import Connection
from schemas.status import AddOnStatus, ClusterStatus, State, with_transition_times

# How long what was found out about a cluster (version, rights, issuer, owner) is believed.
_BELIEVED = timedelta(hours=1)
_BELIEVED_UNSETTLED = timedelta(seconds=25)
_IAM_STOP_SECONDS = 1.0  # for each thread that asks AWS: who asked may ask again

_UNREACHABLE = frozenset({"ClusterUnreachable", "HubAwsUnreachable"})


@dataclass(frozen=True)
class Run:
    """How a run ended.

    `generation` is the change that it acted on, None where it acted on none. `gone`: there is no such cluster (any
    more), so nobody need ever look at it again. `answered`: its API server answered, and let us in.
    """

    generation: int | None
    outcome: Outcome | ReconcileError
    gone: bool = False
    answered: bool = False


@dataclass(frozen=True)
class Finding:
    """What a run found out; `gone`: the removal phase is over; `answered`: as in `Run`."""

    status: ClusterStatus
    outcome: Outcome | ReconcileError
    events: list[NewEvent] = field(default_factory=list)
    gone: bool = False
    answered: bool = False


class Reconciler:
    """Reconciles any cluster of `database`, one at a time per uid.

    Args:
        database: The fleet.
        settings: Of the controller.
        clock: The time.
        dial: Makes the client of a cluster; tests wrap it.
        changed: Told the uid of a cluster of which something new is known that no cluster tells.
    """

    def __init__(
        self,
        database: Database,
        settings: ControllerSettings,
        *,
        clock: Clock,
        dial: Callable[[Access], Client] = Client,
        changed: Callable[[str], None] = lambda _uid: None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._hub = database.hub_id()
        self._shelf = issuer.FleetShelf(database)
        self._entrance = Entrance(database, settings, clock, dial)
        self._iam = IamChecks(database, settings.iam_check_role, clock=clock, changed=changed)
        self._role_policies = RolePolicies(database, settings.trust_policy_quota)
        self._memories = Memories(clock)

    def reconcile(self, uid: str, *, shard: int, epoch: int, in_healthy_lane: bool = False) -> Run:
        """One run; its status is written under `epoch`, and only where something changed.

        With `in_healthy_lane` a cluster that this process has not dialled yet, and that was unreachable when it was
        last dialled, is not waited for: it is to be tried again among the failing ones.

        Raises whatever nobody expected: a bug, which the queue retries.
        """
        with self._memories.running(uid):
            return self._reconcile(uid, shard=shard, epoch=epoch, in_healthy_lane=in_healthy_lane)

    def _reconcile(self, uid: str, *, shard: int, epoch: int, in_healthy_lane: bool) -> Run:
        try:
            cluster = clusters.load(self._database, uid)
            if cluster is None:
                self.drop([uid])
                return Run(None, Done(), gone=True)
            if in_healthy_lane and uid not in self._memories and _was_unreachable(cluster):
                return Run(None, Retryable("it was unreachable when it was last tried"))
            finding = self._find(cluster)
            self._write(cluster, finding, shard=shard, epoch=epoch)
            self._role_policies.pass_on(cluster)
            gone = finding.gone and clusters.forget(
                self._database, uid, shard=shard, epoch=epoch, now=self._clock.now()
            )
            if gone:
                self.drop([uid])
        except StaleEpoch:
            self.drop([uid])
            return Run(None, Done())
        except DatabaseUnavailable as error:
            return Run(None, Retryable(str(error)))
        return Run(cluster.generation, finding.outcome, gone=gone, answered=finding.answered)

    def drop(self, uids: Iterable[str]) -> None:
        """Forgets clusters that are gone, or another process's now; a run under way keeps its client to its end."""
        uids = tuple(uids)
        self._iam.drop(uids)
        self._role_policies.drop(uids)
        self._memories.drop(uids)

    def close(self) -> None:
        """Forgets all."""
        self._iam.stop(_IAM_STOP_SECONDS)
        self._memories.drop(self._memories.uids())

    def _find(self, cluster: Cluster) -> Finding:
        failure: Failure | None
        try:
            memory = self._remember(cluster)
        except Exception as error:
            failure = judge(error)
            if failure is None or not failure.code:
                raise
            # The connection does not open: the rest is known all the same.
            memory = self._memories.recall(cluster, None)
            return self._cut_short(cluster, memory, failure)
        try:
            finding = self._work(cluster, memory)
        except Exception as error:
            failure = judge(error)
            memory.unsettle()
            if failure is None:
                raise
            finding = self._cut_short(cluster, memory, self._entrance.explained(cluster, memory, failure))
        metrics.REQUESTS.inc(memory.new_requests())
        return finding

    def _remember(self, cluster: Cluster) -> Memory:
        memory = self._memories.get(cluster.uid)
        if memory is not None and memory.generation == cluster.generation and not memory.stale:
            return memory
        return self._memories.recall(cluster, connections.read(self._database, cluster.uid))

    def _context(self, cluster: Cluster, memory: Memory) -> Context:
        connection = memory.connection or Connection(server="")
        if connection.eks is not None and memory.eks is not None:
            connection = replace(connection, server=memory.eks.server)
        return Context(
            uid=cluster.uid,
            key=cluster.key,
            generation=cluster.generation,
            manifest=memory.manifest,
            connection=connection,
            agent_image=connection.agent_image or self._settings.agent_image,
            now=self._clock.now(),
            since=memory.since,
            identity=memory.identity,
            server=memory.server,
        )

    def _work(self, cluster: Cluster, memory: Memory) -> Finding:
        wanted = _wanted(cluster, memory)
        if memory.connection is None:
            memory.hang_up()
            return self._unconnected(cluster, wanted)
        client = self._entrance.client(cluster, memory, memory.connection)
        budget = Budget(self._clock, self._settings.reconcile_seconds)
        client = client.within(budget.left)
        expected = applying.CLUSTER_SCOPED if memory.expected is None else memory.expected
        with budget.step("looking at what is there"):
            seen = applying.look(client, cluster.uid, expected=expected)
        with budget.step("renewing the hub's token"):
            self._entrance.renew(cluster, memory, client)
        if wanted:
            with budget.step("asking for version, rights and issuer"):
                self._check(cluster, memory, client, seen)
        elif cluster.removal is not None:
            # Nobody asks any more; what was known goes on being shown.
            memory.identity = Identity(provider_url=cluster.status.oidc_provider_url)
        return self._converge(cluster, memory, client, budget, seen=seen, wanted=wanted)

    def _unconnected(self, cluster: Cluster, wanted: Collection[str]) -> Finding:
        if cluster.removal is not None:
            return Finding(cluster.status, Done(), gone=True)
        if wanted:
            raise Obstacle("ConnectionMissing", "no connection is stored")
        return Finding(ClusterStatus(observed_generation=cluster.generation), Done())

    def _check(self, cluster: Cluster, memory: Memory, client: Client, seen: Seen) -> None:
        """What is asked on a change, once an hour where all is well, and every half minute where it is not."""
        now = self._clock.now()
        believed = _BELIEVED if memory.settled else _BELIEVED_UNSETTLED
        owner = seen.get(OWNER_KEY)
        owner_stands = owner is not None and applying.version_of(owner) == memory.owner_version
        if memory.checked_at is not None and now - memory.checked_at < believed and owner_stands:
            return
        server = connecting.check_version(client)
        memory.owner_version = ownership.claim(
            client,
            hub=self._hub,
            uid=cluster.uid,
            is_known=lambda uid: clusters.load(self._database, uid) is not None,
        )
        memory.server = connecting.check_rights(client, server)
        memory.identity = issuer.discover(
            self._context(cluster, memory),
            client,
            self._shelf,
            public_url=self._settings.public_url,
            by_eks=memory.eks.description.issuer if memory.eks is not None else "",
        )
        memory.checked_at = now

    def _converge(
        self,
        cluster: Cluster,
        memory: Memory,
        client: Client,
        budget: Budget,
        *,
        seen: Seen,
        wanted: tuple[str, ...],
    ) -> Finding:
        context = self._context(cluster, memory)
        interested = (*wanted, *removal.leaving(seen, wanted))
        with budget.step("reading the agent's report"):
            evidence = _evidence(client, memory, seen, interested)
        plan = planning.plan(context, memory, seen, wanted=wanted, evidence=evidence)
        with budget.step("applying objects"):
            applied = applying.apply(client, plan.desired, seen, memory.remembered)
        with budget.step("deleting objects"):
            pruned = applying.prune(
                client, cluster.uid, seen, keep=plan.keep, last=plan.last, remembered=memory.remembered
            )
        shown = planning.evidence_keys(wanted)
        memory.evidence |= {key: obj for key, obj in applied.objects.items() if key in shown}
        observed = {key: ADD_ONS[key].observe(context, memory.evidence) for key in wanted}
        add_ons = self._iam.told(context, cluster, self._role_policies.told(context, cluster, observed))
        gone = set(pruned)
        left = [key for key in seen if key not in gone]
        memory.expected = frozenset([*left, *plan.desired.objects]) & frozenset(applying.CLUSTER_SCOPED)
        add_ons |= {key: step.status for key, step in plan.departing.items() if not step.finished}
        undone = conditions.undone(plan.departing)
        finding = self._found(cluster, memory, context, add_ons, applied=applied, pruned=pruned, left=left)
        return replace(finding, events=[*undone, *finding.events]) if undone else finding

    def _found(
        self,
        cluster: Cluster,
        memory: Memory,
        context: Context,
        add_ons: Mapping[str, AddOnStatus],
        *,
        applied: applying.Applied,
        pruned: Collection[ObjectKey],
        left: Collection[ObjectKey],
    ) -> Finding:
        memory.misses = 0
        quiet = not (applied.changed or applied.repaired or pruned)
        states = {status.state for status in add_ons.values()}
        memory.settled = quiet and states <= {State.READY}
        expiring = renewal.expiring(context, memory.renewal_failure)
        status = conditions.reached(context, add_ons, issues=(expiring,) if expiring else ())
        events = conditions.changes(applied, pruned)
        if cluster.removal is not None and not add_ons and not left:
            return Finding(status, Done(), events, gone=True, answered=True)
        if cluster.removal is not None:
            status = conditions.all_removing(context, status, cluster.status)
        outcome = pacing.after(
            add_ons,
            attempts=memory.attempts,
            connection=context.connection,
            now=context.now,
            look_seconds=self._settings.look_seconds,
        )
        memory.attempts = memory.attempts + 1 if pacing.waits_for_the_cluster(states) else 0
        if cluster.removal is not None and isinstance(outcome, Done):
            outcome = RequeueAfter(pacing.REMOVING_SECONDS[0])
        return Finding(status, outcome, events, answered=True)

    def _cut_short(self, cluster: Cluster, memory: Memory, failure: Failure) -> Finding:
        """Tells the failure; the first miss of a cluster that answered a moment ago is only tried again."""
        old = cluster.status
        memory.stale = failure.code in {"CredentialRefused", "ConnectionMissing"}
        if failure.code and not failure.reached:
            memory.eks = None  # a cluster that was made anew has another address
        if not failure.waits_for_a_person:
            memory.misses += 1
            known = old.observed_generation == cluster.generation and old.issues == ()
            if not failure.code or (known and memory.misses == 1):
                return Finding(old, failure.error)
        removing = cluster.removal is not None
        keys = dict.fromkeys(old.add_ons if removing else _wanted(cluster, memory))
        keys |= dict.fromkeys(key for key, was in old.add_ons.items() if was.state is State.REMOVING)
        context = self._context(cluster, memory)
        status = conditions.cut_short(context, failure, old, keys, removing=removing)
        return Finding(status, failure.error, answered=failure.reached)

    def _write(self, cluster: Cluster, finding: Finding, *, shard: int, epoch: int) -> None:
        now = self._clock.now()
        status = with_transition_times(finding.status, cluster.status)
        if status != cluster.status or finding.events:
            events = [*finding.events, *conditions.events(cluster.status, status)]
            statuses.write(
                self._database,
                cluster.uid,
                status,
                events,
                shard=shard,
                epoch=epoch,
                now=now,
                answered=finding.answered,
            )


def _was_unreachable(cluster: Cluster) -> bool:
    return any(issue.code in _UNREACHABLE for issue in cluster.status.issues)


def _wanted(cluster: Cluster, memory: Memory) -> tuple[str, ...]:
    if cluster.removal is not None:
        return ()
    return tuple(key for key, add_on in ADD_ONS.items() if add_on.enabled(memory.manifest))


def _evidence(client: Client, memory: Memory, seen: Seen, add_ons: Collection[str]) -> Evidence:
    """What the add-ons want to see whole, read again where it is not the version we know."""
    known = memory.evidence
    memory.evidence = {}
    for key in planning.evidence_keys(add_ons) & seen.keys():
        old = known.get(key)
        if old is not None and applying.version_of(old) == applying.version_of(seen[key]):
            memory.evidence[key] = old
            continue
        try:
            kind = applying.kind_named(key)
            memory.evidence[key] = client.get(kind, key.name, namespace=key.namespace or None)
        except NotFound:
            continue  # gone since the look
    return memory.evidence
