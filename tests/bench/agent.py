"""What an agent would write into its cluster when all is well: the benchmarks run none, but the hub waits for its word."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from kube.objects import CONFIG_MAP, MUTATING_WEBHOOK, Object
from schemas.agent_documents import (
    CONFIGURATION_KEY,
    NAMESPACE_NAME,
    REPORT_KEY,
    REPORT_NAME,
    AgentReport,
    ReportedCredential,
    ReportedHop,
    dump_report,
    labels,
    load_configuration,
)


def report_on(configuration: Object) -> Object:
    """The report ConfigMap for the configuration ConfigMap that the hub applied."""
    read = load_configuration(configuration["data"][CONFIGURATION_KEY])
    now = datetime.now(UTC).replace(microsecond=0)
    report = AgentReport(
        generation=read.generation,
        agent_version="0.1.0",
        written_at=now,
        registries=read.registries,
        hops=tuple(ReportedHop(name, succeeded=True) for name in ("token", "sts", "ecr", "registry")),
        verified_at=now,
        credentials=(ReportedCredential("eu-central-1", read.registries, now, now + timedelta(hours=12)),),
        namespaces_selected=1,
        namespaces_ready=1,
    )
    metadata = {
        "name": REPORT_NAME,
        "namespace": NAMESPACE_NAME,
        "labels": dict(labels(read.cluster_uid, "awsECR")),
    }
    return {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.kind,
        "metadata": metadata,
        "data": {REPORT_KEY: dump_report(report)},
    }


def trust_of(configuration: Object, certificate_authority: str) -> Object:
    """The `caBundle` (PEM) of every webhook in a MutatingWebhookConfiguration of the hub's."""
    bundle = base64.b64encode(certificate_authority.encode()).decode()
    return {
        "apiVersion": MUTATING_WEBHOOK.api_version,
        "kind": MUTATING_WEBHOOK.kind,
        "metadata": {"name": configuration["metadata"]["name"]},
        "webhooks": [
            {"name": webhook["name"], "clientConfig": {"caBundle": bundle}}
            for webhook in configuration["webhooks"]
        ],
    }
