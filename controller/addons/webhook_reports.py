"""Whether a webhook of ours is served: by what stands in the cluster, and in the agent's own words. Pure.

Called by the add-ons that install one.
"""

from __future__ import annotations

from controller.addons.addon import Context, Evidence
from controller.addons.ecr_reports import GRACE, Finding
from kube.objects import Object, ObjectKey
from schemas.agent_documents import AgentReport
from schemas.times import format_time


def serving(
    context: Context, evidence: Evidence, key: ObjectKey, report: AgentReport | None
) -> Finding | None:
    """Of the MutatingWebhookConfiguration `key`; None where there is none."""
    configuration = evidence.get(key)
    if configuration is None:
        return None
    found = _in_the_way(context, key, configuration, report)
    if not found:
        return Finding("True", "WebhookServes", "the API server trusts the agent's certificate")
    if context.now - context.since < GRACE:
        return Finding("False", "WebhookStarting", found)
    issue = context.issue("WebhookNotServing", {"MESSAGE": found})
    return Finding("False", issue.code, issue.message, (issue,))


def _in_the_way(context: Context, key: ObjectKey, configuration: Object, report: AgentReport | None) -> str:
    """In words; "" for nothing."""
    webhooks = configuration.get("webhooks") or ()
    if not all((webhook.get("clientConfig") or {}).get("caBundle") for webhook in webhooks):
        return f"the agent has not written caBundle of MutatingWebhookConfiguration {key.name} yet"
    told = report.webhook if report is not None else None
    if told is None:
        return ""
    expires_at = told.certificate_expires_at
    if expires_at is not None and expires_at <= context.now:
        return f"the certificate ran out at {format_time(expires_at)}"
    return told.error
