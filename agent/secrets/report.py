"""The report that the hub reads: written when it says something new, not more often than is worth reading.

`compose` is pure; `Reporter` writes ConfigMap `pullpass-status` by server-side apply and remembers what it says.
Called by `agent.secrets.loop` for the key of the report.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from agent.nodes.summing import Secrets
from agent.secrets.pull_secret import ADD_ON
from agent.secrets.regions import Proof, Wanted
from aws.credentials import RegistryCredential
from kube.client import Client
from kube.errors import NotFound
from kube.objects import CONFIG_MAP
from schemas.agent_documents import (
    NAMESPACE_ERROR_LIMIT,
    NAMESPACE_NAME,
    REPORT_KEY,
    REPORT_NAME,
    AgentReport,
    NamespaceError,
    ReportedCredential,
    ReportedHop,
    dump_report,
    labels,
    load_report,
)
from schemas.node_documents import ReportedNodes
from schemas.version import __version__

SHORTEST_PAUSE_SECONDS = 2.0
HEARTBEAT_SECONDS = 600.0


def compose(
    wanted: Wanted,
    *,
    now: datetime,
    removed: bool,
    proofs: Mapping[str, Proof],
    credentials: Mapping[str, RegistryCredential],
    selected: Collection[str],
    ready: Collection[str],
    errors: Collection[NamespaceError],
    nodes: ReportedNodes | None = None,
) -> AgentReport:
    """The report on `wanted`.

    Args:
        wanted: Whose generation is spoken of.
        now: When.
        removed: Everything was given back.
        proofs: By region, of any generation; those of another are only asked when all of it last succeeded.
        credentials: By region, the good ones.
        selected: Namespaces that are to have the secret.
        ready: Those that have it.
        errors: What keeps the others from it.
        nodes: What the drivers say, where there are any.
    """
    regions = wanted.regions
    current = [
        proofs[region]
        for region in regions
        if region in proofs and proofs[region].generation == wanted.configuration.generation
    ]
    failed = [proof for proof in current if not proof.succeeded]
    # One region speaks for all: the first that failed, or any once all have succeeded.
    spoken_for = failed[0] if failed else current[0] if current and len(current) == len(regions) else None
    verified = [proof.verified_at for region, proof in proofs.items() if region in regions]
    times = [moment for moment in verified if moment is not None]
    everywhere = bool(regions) and len(times) == len(regions)
    return AgentReport(
        generation=wanted.configuration.generation,
        agent_version=__version__,
        written_at=now,
        removed=removed,
        registries=tuple(registry.host for registry in wanted.registries),
        hops=tuple(
            ReportedHop(hop.name.value, hop.succeeded, hop.code, hop.message)
            for hop in (spoken_for.hops if spoken_for else ())
        ),
        verified_at=min(times) if everywhere else None,
        credentials=tuple(
            ReportedCredential(
                region=region,
                registries=tuple(registry.host for registry in wanted.registries_of(region)),
                issued_at=credentials[region].issued_at,
                expires_at=credentials[region].expires_at,
            )
            for region in regions
            if region in credentials
        ),
        namespaces_selected=len(selected),
        namespaces_ready=len(ready),
        namespace_errors=tuple(
            sorted(errors, key=lambda error: (error.namespace, error.code))[:NAMESPACE_ERROR_LIMIT]
        ),
        pull_secrets=wanted.secrets is Secrets.FILL
        or (wanted.secrets is Secrets.HOLD and bool(wanted.registries)),
        nodes=nodes,
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
                    "labels": dict(labels(cluster_uid, ADD_ON)),
                },
                "data": {REPORT_KEY: dump_report(report)},
            }
        )
        self._last = report
        return None if report.removed else HEARTBEAT_SECONDS


def _without_time(report: AgentReport) -> str:
    return dump_report(replace(report, written_at=datetime.min.replace(tzinfo=report.written_at.tzinfo)))
