"""The report that the hub reads: written when it says something new, not more often than is worth reading.

`compose` is pure; `Reporter` writes ConfigMap `pullpass-status` by server-side apply and remembers what it says.
Called by `agent.secrets.telling`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypedDict

from agent.nodes.summing import Secrets
from agent.secrets.duties import Contribution
from agent.secrets.fetching import Awaiting, Failing, Proof
from agent.secrets.identity import CredentialKey
from agent.secrets.plan import Plan
from agent.secrets.pull_secret import word_of
from aws.credentials import RegistryCredential
from kube.client import Client
from kube.errors import NotFound
from kube.objects import CONFIG_MAP
from schemas.agent_documents import (
    FAILURE_LIMIT,
    NAMESPACE_ERROR_LIMIT,
    NAMESPACE_NAME,
    REPORT_KEY,
    REPORT_NAME,
    SHARED_ADD_ON,
    AgentReport,
    NamespaceError,
    ReportedCredential,
    ReportedHop,
    dump_report,
    labels,
    load_report,
)
from schemas.node_documents import ReportedNodes
from schemas.pod_identity_documents import PodIdentityConfiguration
from schemas.reported import ReportedFailure, ReportedRefusal, ReportedWebhook
from schemas.version import __version__

SHORTEST_PAUSE_SECONDS = 2.0
HEARTBEAT_SECONDS = 600.0


class _ByAll(TypedDict):
    """What does not hang on the plan."""

    custom_resources: tuple[int, int] | None
    labelled_secrets: tuple[int, int] | None
    leader: str
    webhook: ReportedWebhook | None
    elsewhere: int


@dataclass(frozen=True)
class Found:
    """What is known when a report is made.

    `credentials` are the good ones. `selected` and `ready` are namespaces of the add-on's own pull secrets. `errors`
    are those of claims, duties contribute theirs. `elsewhere` counts secrets of ours by other names than the usual.
    """

    now: datetime
    removed: bool = False
    proofs: Mapping[CredentialKey, Proof] = field(default_factory=dict)
    failing: Mapping[CredentialKey, Failing] = field(default_factory=dict)
    awaiting: Mapping[CredentialKey, Awaiting] = field(default_factory=dict)
    credentials: Mapping[CredentialKey, RegistryCredential] = field(default_factory=dict)
    selected: Collection[str] = ()
    ready: Collection[str] = ()
    errors: Collection[NamespaceError] = ()
    contributions: Collection[Contribution] = ()
    nodes: ReportedNodes | None = None
    leader: str = ""
    webhook: ReportedWebhook | None = None
    elsewhere: int = 0


def compose(plan: Plan, found: Found) -> AgentReport:
    """The report on `plan`."""
    own, proofs = plan.own_keys, found.proofs
    current = [
        proofs[key]
        for key in own
        if key in proofs and proofs[key].generation == plan.configuration.generation
    ]
    failed = [proof for proof in current if not proof.succeeded]
    # One region speaks for all: the first that failed, or any once all have succeeded.
    spoken_for = failed[0] if failed else current[0] if current and len(current) == len(own) else None
    times = [proofs[key].verified_at for key in own if key in proofs]
    verified = [moment for moment in times if moment is not None]
    awaited = [found.awaiting[key] for key in own if key in found.awaiting]
    errors = [*found.errors, *(error for each in found.contributions for error in each.errors)]
    return AgentReport(
        generation=plan.configuration.generation,
        agent_version=__version__,
        written_at=found.now,
        removed=found.removed,
        registries=tuple(registry.host for registry in plan.registries),
        hops=tuple(
            ReportedHop(hop.name.value, hop.succeeded, hop.code, hop.message)
            for hop in (spoken_for.hops if spoken_for else ())
        ),
        verified_at=min(verified) if own and len(verified) == len(own) else None,
        credentials=tuple(
            _credential(plan, key, found.credentials[key]) for key in plan.keys if key in found.credentials
        ),
        namespaces_selected=len(found.selected),
        namespaces_ready=len(found.ready),
        namespace_errors=tuple(
            sorted(errors, key=lambda error: (error.namespace, error.claim, error.code))[
                :NAMESPACE_ERROR_LIMIT
            ]
        ),
        pull_secrets=plan.secrets is Secrets.FILL
        or (plan.secrets is Secrets.HOLD and bool(plan.own_claims) and bool(plan.registries)),
        nodes=found.nodes,
        refused_so_far=ReportedRefusal(awaited[0].code, awaited[0].message, awaited[0].until)
        if awaited
        else None,
        failures=tuple(_failure(plan, key, found.failing[key]) for key in plan.keys if key in found.failing)[
            :FAILURE_LIMIT
        ],
        **_by_all(found),
    )


def compose_without_add_on(configuration: PodIdentityConfiguration, found: Found) -> AgentReport:
    """The report where there is nothing to do but to serve the pod identity webhook."""
    return AgentReport(
        generation=configuration.generation,
        agent_version=__version__,
        written_at=found.now,
        pull_secrets=False,
        **_by_all(found),
    )


def _by_all(found: Found) -> _ByAll:
    return {
        "custom_resources": _sum(each.custom_resources for each in found.contributions),
        "labelled_secrets": _sum(each.labelled_secrets for each in found.contributions),
        "leader": found.leader,
        "webhook": found.webhook,
        "elsewhere": found.elsewhere,
    }


def _sum(pairs: Iterable[tuple[int, int] | None]) -> tuple[int, int] | None:
    """(all, those that are well) over all who have any; None where nobody has."""
    counted = [pair for pair in pairs if pair is not None]
    return (sum(pair[0] for pair in counted), sum(pair[1] for pair in counted)) if counted else None


def _credential(plan: Plan, key: CredentialKey, credential: RegistryCredential) -> ReportedCredential:
    hosts = [registry.host for registry in plan.registries_of(key)]
    return ReportedCredential(
        region=key.region,
        registries=tuple(dict.fromkeys(hosts)),
        issued_at=credential.issued_at,
        expires_at=credential.expires_at,
        identity=key.identity.named,
    )


def _failure(plan: Plan, key: CredentialKey, failing: Failing) -> ReportedFailure:
    claims = [claim for claim in plan.claims if key in claim.credential_keys]
    return ReportedFailure(
        identity=key.identity.named,
        region=key.region,
        code=failing.code,
        message=failing.message,
        since=failing.since,
        claim=word_of(claims[0].key) if claims else "",
    )


class Reporter:
    """Writes the report. Used by one thread at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._last: AgentReport | None = None

    def recall(self) -> AgentReport | None:
        """The report that stands there, ours or the last agent's; None when there is none that we can read.

        Raises:
            kube.errors.KubeError: the cluster's API failed.
        """
        try:
            found = self._client.get(CONFIG_MAP, REPORT_NAME, namespace=NAMESPACE_NAME)
            report = load_report((found.get("data") or {})[REPORT_KEY])
        except (NotFound, KeyError, ValueError):
            return None
        self._last = report
        return report

    def write(self, report: AgentReport, cluster_uid: str) -> float | None:
        """Writes `report` if it says something new or the last one has grown old.

        Returns:
            Seconds until it should be looked at again: until it may be written, or until the next heartbeat. None
            once everything was given back and said so: the agent falls silent.

        Raises:
            kube.errors.KubeError: the cluster's API failed.
        """
        last = self._last
        if last is not None:
            age = (report.written_at - last.written_at).total_seconds()
            silent = _without_time(report) == _without_time(last)
            if silent and report.removed:
                return None
            if silent and 0 <= age < HEARTBEAT_SECONDS:
                return HEARTBEAT_SECONDS - age
            # What the hub waits for never waits: that its change was taken up, or that all was given back.
            awaited = report.generation != last.generation or report.removed != last.removed
            if not awaited and 0 <= age < SHORTEST_PAUSE_SECONDS:
                return SHORTEST_PAUSE_SECONDS - age
        self._client.apply(
            {
                "apiVersion": CONFIG_MAP.api_version,
                "kind": CONFIG_MAP.kind,
                "metadata": {
                    "name": REPORT_NAME,
                    "namespace": NAMESPACE_NAME,
                    "labels": dict(labels(cluster_uid, SHARED_ADD_ON)),
                },
                "data": {REPORT_KEY: dump_report(report)},
            }
        )
        self._last = report
        return None if report.removed else HEARTBEAT_SECONDS


def _without_time(report: AgentReport) -> str:
    return dump_report(replace(report, written_at=datetime.min.replace(tzinfo=report.written_at.tzinfo)))
