"""One namespace brought to what the plan says, and what came of it remembered and told. Called by `agent.secrets.loop`."""

from __future__ import annotations

from datetime import datetime

from agent.events import Events
from agent.metrics import Metrics
from agent.secrets import pull_secret
from agent.secrets.claims import ClaimSource
from agent.secrets.filling import Brought, Filling, Leftover, Share
from agent.secrets.plan import Plan
from agent.secrets.pool import CredentialPool
from agent.secrets.pull_secret import SecretView
from agent.secrets.results import NamespaceResult, NamespaceResults, Outcome
from agent.secrets.watching import Views
from kube.objects import SECRET, Object
from reconcile.outcome import Retryable
from schemas.agent_documents import NamespaceError

_UNTOUCHABLE = (ClaimSource.CUSTOM, ClaimSource.ADOPTED)


class Serving:
    """Serves namespaces. Safe for several threads, one per namespace at a time.

    Args:
        views: What is watched.
        pool: The credentials.
        filling: Writes.
        results: Where it is remembered.
        metrics: Counts what fails.
        events: Tells it, on the objects concerned.
    """

    def __init__(
        self,
        *,
        views: Views,
        pool: CredentialPool,
        filling: Filling,
        results: NamespaceResults,
        metrics: Metrics,
        events: Events,
    ) -> None:
        self._views = views
        self._pool = pool
        self._filling = filling
        self._results = results
        self._metrics = metrics
        self._events = events

    def serve(self, name: str, plan: Plan, now: datetime) -> None:
        """Does all that is to be done in one namespace.

        Raises:
            kube.errors.KubeError: the cluster's API failed.
            reconcile.outcome.Retryable: something was refused that may be let through later.
        """
        view = self._views.namespace(name)
        if view is None or view.terminating:
            # What is in it goes with it, and nothing may be made in it.
            self._results.drop(name)
            return
        brought = self._filling.bring(
            name,
            [
                Share(claim, self._pool.offer_for(claim, now), plan.only_holds(claim))
                for claim in plan.claims_in(name, view.labels)
            ],
            cluster_uid=plan.configuration.cluster_uid,
            untouchable=lambda found: _may_be_claimed(found, plan),
            now=now,
        )
        self._note(name, plan, brought)
        if brought.failure is not None:
            raise brought.failure
        if brought.to_retry:
            raise Retryable("; ".join({refusal.message for refusal in brought.to_retry}))

    def _note(self, namespace: str, plan: Plan, brought: Brought) -> None:
        """Remembers what came of a namespace, and says what is new and wrong."""
        claims = {claim.key: claim for claim in plan.claims}
        outcomes = {}
        for key in brought.good_until.keys() | brought.refused.keys():
            refusal = brought.refused.get(key)
            secret, word = claims[key].secret_name, pull_secret.word_of(key)
            outcomes[key] = Outcome(
                claims[key],
                brought.good_until.get(key),
                NamespaceError(namespace, refusal.code, refusal.message, secret, word) if refusal else None,
            )
        leftovers = tuple(_not_taken_back(namespace, left) for left in brought.leftovers)
        result = NamespaceResult(plan.serial, outcomes, leftovers)
        before = self._results.put(namespace, result)
        known = set(before.errors) if before is not None else set()
        for error in result.errors:
            self._metrics.failed(error.code)
            if error not in known:
                self._events.say(_secret(namespace, error.secret), error.code, error.message, warning=True)


def _not_taken_back(namespace: str, left: Leftover) -> NamespaceError:
    code, message = left.refusal.code, left.refusal.message
    if left.secret is None:
        return NamespaceError(namespace, code, message)
    claim = pull_secret.word_of(pull_secret.claim_of(left.secret))
    return NamespaceError(namespace, code, message, left.secret.name, claim)


def _secret(namespace: str, name: str) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": SECRET.api_version, "kind": SECRET.kind, "metadata": metadata}


def _may_be_claimed(found: SecretView, plan: Plan) -> bool:
    """Whether a secret may be a claimant's who has not spoken yet, or is one's who wants nothing taken back now."""
    claim = pull_secret.claim_of(found)
    return claim in plan.suspended or (not plan.complete and claim.source in _UNTOUCHABLE)
