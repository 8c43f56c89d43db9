"""What the agent says of its work: the report for the hub, and how each claim fares for whoever made it.

Called by `agent.secrets.loop`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from agent.nodes.summing import Secrets
from agent.secrets import pull_secret, report
from agent.secrets.claims import Claim, ClaimKey
from agent.secrets.duties import Claimant, ClaimStatus, Duty
from agent.secrets.fetching import Fetching
from agent.secrets.plan import Plan
from agent.secrets.pool import CredentialPool
from agent.secrets.report import Found, Reporter
from agent.secrets.results import NamespaceResults, Outcome
from agent.secrets.watching import Views
from schemas.agent_documents import NAMESPACE_ERROR_LIMIT, AgentReport, NamespaceError
from schemas.node_documents import ReportedNodes
from schemas.pod_identity_documents import PodIdentityConfiguration
from schemas.reported import ReportedWebhook

# The first report after a change waits this long for all of it to be done, so that it can say so at once.
SETTLING_SECONDS = 5.0


class Telling:
    """Sums up. Used by one thread at a time for each method.

    Args:
        views: What is watched.
        pool: The credentials.
        fetching: How they fare.
        results: What came of the namespaces.
        reporter: Writes the report.
        duties: Contribute to it, claimants included.
        claimants: Hear of their claims.
        leader: The name of this pod.
        webhook: What the report says of the webhooks.
    """

    def __init__(
        self,
        *,
        views: Views,
        pool: CredentialPool,
        fetching: Fetching,
        results: NamespaceResults,
        reporter: Reporter,
        duties: Sequence[Duty],
        claimants: Sequence[Claimant],
        leader: str,
        webhook: Callable[[], ReportedWebhook | None],
    ) -> None:
        self._views = views
        self._pool = pool
        self._fetching = fetching
        self._results = results
        self._reporter = reporter
        self._duties = duties
        self._claimants = claimants
        self._leader = leader
        self._webhook = webhook
        self._told: tuple[Mapping[ClaimKey, ClaimStatus], frozenset[ClaimKey]] | None = None

    def recall(self) -> AgentReport | None:
        """The report that stands there, ours or the last leader's.

        Raises:
            kube.errors.KubeError: the cluster's API failed.
        """
        return self._reporter.recall()

    def report(self, plan: Plan, nodes: ReportedNodes | None, now: datetime) -> float | None:
        """Writes the report if there is something new; `nodes` is what the drivers said when the plan was made.

        Returns:
            In how many seconds to look again; None: on a change.

        Raises:
            kube.errors.KubeError: the cluster's API failed.
        """
        waited = (now - plan.configured_at).total_seconds()
        selected = self.own_namespaces(plan)
        ready = self._ready(plan, selected, now)
        errors = self._own_errors(plan)
        removing, uid = plan.configuration.removing, plan.configuration.cluster_uid
        if removing:
            settled = self._all_visited(plan)
        else:
            served = len(ready) + len({error.namespace for error in errors}) >= len(selected)
            complete = all(self._pool.offer_for(claim, now).complete for claim in plan.own_claims)
            settled = self._fetching.all_walked(plan) and (served or not complete)
        if not settled and waited < SETTLING_SECONDS:
            return SETTLING_SECONDS - waited
        contributions = [duty.contribution() for duty in (*self._duties, *self._claimants)]
        credentials = {key: self._pool.good(key, now) for key in plan.keys}
        found = Found(
            now=now,
            removed=removing
            and settled
            and not errors
            and not self._views.alive() & self._views.holding(uid)
            and all(contribution.left for contribution in contributions)
            and (plan.configuration.nodes == "none" or (nodes is not None and nodes.left)),
            proofs=self._fetching.proofs(),
            failing=self._fetching.failing(),
            awaiting=self._fetching.awaiting(),
            credentials={key: each for key, each in credentials.items() if each is not None},
            selected=selected,
            ready=ready,
            errors=[*errors, *self._errors_of(plan.others)],
            contributions=contributions,
            nodes=nodes,
            leader=self._leader,
            webhook=self._webhook(),
            elsewhere=self._views.elsewhere(uid),
        )
        return self._reporter.write(report.compose(plan, found), uid)

    def report_without_add_on(self, configuration: PodIdentityConfiguration, now: datetime) -> float | None:
        """The same while there is no configuration of the add-on's."""
        found = Found(now, leader=self._leader, webhook=self._webhook())
        return self._reporter.write(
            report.compose_without_add_on(configuration, found), configuration.cluster_uid
        )

    def tell(self, plan: Plan, now: datetime) -> None:
        """Tells the claimants how their claims fare, if that changed."""
        if not self._claimants:
            return
        statuses = {claim.key: self._status(claim, now) for claim in plan.others}
        remaining = self._views.remaining(plan.configuration.cluster_uid)
        if (statuses, remaining) == self._told:
            return
        self._told = (statuses, remaining)
        for claimant in self._claimants:
            claimant.tell(statuses, remaining)

    def own_namespaces(self, plan: Plan) -> frozenset[str]:
        """The namespaces that are to have the add-on's pull secrets now."""
        if not plan.own_claims:
            return frozenset()
        selected = self._views.selected(plan.own_claims[0].selection)
        if plan.secrets is Secrets.HOLD:
            return selected & self._views.holding(plan.configuration.cluster_uid)
        return selected

    def credential_expiries(self, plan: Plan | None, now: datetime) -> Mapping[str, datetime]:
        """By region: when the first credential there expires."""
        found: dict[str, datetime] = {}
        for key in plan.keys if plan is not None else ():
            credential = self._pool.good(key, now)
            if credential is not None:
                found[key.region] = min(found.get(key.region, credential.expires_at), credential.expires_at)
        return found

    def secret_expiries(self, plan: Plan | None) -> Mapping[tuple[str, str], datetime]:
        """By namespace and name: when what a pull secret holds expires."""
        if plan is None:
            return {}
        found = self._views.all_our_secrets(plan.configuration.cluster_uid)
        expiries = {(each.namespace, each.name): pull_secret.expires_at(each) for each in found}
        return {names: moment for names, moment in expiries.items() if moment is not None}

    def _ready(self, plan: Plan, selected: frozenset[str], now: datetime) -> frozenset[str]:
        ready, visited = selected, self._results.all().keys()
        for claim in plan.own_claims:
            outcomes = self._results.of(claim)
            good = {name for name, outcome in outcomes.items() if _is_good(outcome, now)}
            if plan.only_holds(claim):
                good |= visited - outcomes.keys()  # nothing stands there that could be good
            ready &= good
        return ready

    def _own_errors(self, plan: Plan) -> list[NamespaceError]:
        left = [error for result in self._results.all().values() for error in result.leftovers]
        return [*self._errors_of(plan.own_claims), *left]

    def _errors_of(self, claims: Iterable[Claim]) -> list[NamespaceError]:
        found = [outcome.error for claim in claims for outcome in self._results.of(claim).values()]
        return [error for error in found if error is not None]

    def _all_visited(self, plan: Plan) -> bool:
        visited = {name for name, result in self._results.all().items() if result.serial == plan.serial}
        return self._views.alive() <= visited

    def _status(self, claim: Claim, now: datetime) -> ClaimStatus:
        selected = self._views.selected(claim.selection)
        outcomes = {name: each for name, each in self._results.of(claim).items() if name in selected}
        errors = sorted(
            (each.error for each in outcomes.values() if each.error is not None),
            key=lambda error: error.namespace,
        )
        keys = sorted(claim.credential_keys, key=lambda key: key.region)
        failing = self._fetching.failing()
        failed = [failing[key] for key in keys if key in failing]
        good = {key.region: self._pool.good(key, now) for key in keys}
        held = {region: credential for region, credential in good.items() if credential is not None}
        return ClaimStatus(
            claim=claim,
            selected=len(selected),
            ready=sum(_is_good(each, now) for each in outcomes.values()),
            errors=tuple(errors[:NAMESPACE_ERROR_LIMIT]),
            failure=(failed[0].code, failed[0].message) if failed else None,
            refreshed_at={region: credential.issued_at for region, credential in held.items()},
            expires_at={region: credential.expires_at for region, credential in held.items()},
        )


def _is_good(outcome: Outcome, now: datetime) -> bool:
    return outcome.good_until is not None and now < outcome.good_until
