"""awsWorkloadIdentity: says whether AWS will believe this cluster's tokens, and gives pods the identity they ask for.

`controller.issuer` finds out the first, and other add-ons build on it. The second is the pod identity webhook, served
by the agent; where the EKS one runs already, that one is left alone and nothing is installed for ours.
"""

from __future__ import annotations

from controller.addons import ecr_reports, webhook_reports
from controller.addons.addon import AddOn, Context, Departure, Evidence, removed
from controller.addons.agent_objects import DEPLOYMENT_KEY, REPORT_KEY, agent_objects, pod_identity_objects
from controller.addons.ecr_reports import Finding
from controller.addons.webhook_objects import POD_IDENTITY_KEY
from controller.rights import EKS_WEBHOOK
from kube.objects import Object
from schemas.addons.aws_workload_identity import AwsWorkloadIdentity
from schemas.manifest import Manifest
from schemas.pod_identity_documents import PodIdentityConfiguration
from schemas.status import AddOnStatus, Issue, Json, State
from schemas.times import format_time


def enabled(manifest: Manifest) -> bool:
    """Whether `spec.addOns.awsWorkloadIdentity` stands in the manifest."""
    return manifest.aws_workload_identity is not None


def obstacles(context: Context) -> tuple[Issue, ...]:
    """What keeps AWS from believing this cluster's tokens."""
    return context.identity.issues if context.identity.blocks else ()


def desired(context: Context, _stage: str = "") -> tuple[Object, ...]:
    """The agent with its webhook, unless the webhook is off or the EKS one is there."""
    if _not_served(context):
        return ()
    wishes = _wishes(context)
    configuration = PodIdentityConfiguration(
        generation=context.generation,
        cluster_uid=context.uid,
        audience=wishes.audience,
        region=wishes.region or context.manifest.region,
        regional_sts=wishes.regional_sts,
        token_expiration_seconds=wishes.token_expiration,
    )
    return (
        *agent_objects(context.uid, audience=wishes.audience, image=context.agent_image),
        *pod_identity_objects(configuration),
    )


def observe(context: Context, evidence: Evidence) -> AddOnStatus:
    """Ready once the issuer is usable and the webhook serves; Degraded where a person should look at it."""
    identity = context.identity
    usable = Finding(identity.status, identity.reason, identity.message, identity.issues)
    webhook = None if identity.blocks or _not_served(context) else _webhook(context, evidence)
    found = [usable] if webhook is None else [usable, webhook]
    issues = tuple(issue for finding in found for issue in finding.issues)
    if identity.blocks:
        state, reason = State.BLOCKED, identity.reason
    elif issues:
        state, reason = State.DEGRADED, next(finding.reason for finding in found if finding.issues)
    elif webhook is not None and webhook.status != "True":
        state, reason = State.INSTALLING, webhook.reason
    else:
        state, reason = State.READY, identity.reason
    conditions = [context.condition("IssuerUsable", usable.status, usable.reason, usable.message)]
    if webhook is not None:
        conditions.append(
            context.condition("WebhookServing", webhook.status, webhook.reason, webhook.message)
        )
    conditions.append(context.condition("Ready", "True" if state is State.READY else "False", reason))
    return AddOnStatus(
        state=state,
        conditions=tuple(conditions),
        issues=issues,
        details=_details(context, evidence, webhook),
    )


def remove(_context: Context, _evidence: Evidence) -> Departure:
    """Pods keep what they were given, so nothing is to be given back. An agent that awsECR still needs stays."""
    return removed()


def _wishes(context: Context) -> AwsWorkloadIdentity:
    return context.manifest.aws_workload_identity or AwsWorkloadIdentity()


def _not_served(context: Context) -> str:
    """Why our webhook is not to be installed; "" where it is."""
    if _wishes(context).webhook == "off":
        return "`settings.awsWorkloadIdentity.webhook` is `off`"
    if context.server.has_eks_webhook:
        return f"the EKS pod identity webhook runs here (MutatingWebhookConfiguration {EKS_WEBHOOK}), and is left alone"
    return ""


def _webhook(context: Context, evidence: Evidence) -> Finding:
    """Whether pods get their identity: the agent runs, and the API server trusts it."""
    report = ecr_reports.report_of(evidence)
    down_since = ecr_reports.down_since(context, evidence.get(DEPLOYMENT_KEY), report)
    if down_since is not None and context.now - down_since >= ecr_reports.GRACE:
        words = f"no available pod since {format_time(down_since)}"
        issue = context.issue("AgentNotRunning", {"MESSAGE": words})
        return Finding("False", issue.code, issue.message, (issue,))
    if down_since is not None:
        return Finding("False", "AgentStarting", "the agent is starting")
    served = webhook_reports.serving(context, evidence, POD_IDENTITY_KEY, report)
    return served or Finding("False", "WebhookStarting", "the webhook is being installed")


def _details(context: Context, evidence: Evidence, webhook: Finding | None) -> Json:
    identity = context.identity
    details: Json = {}
    if identity.provider_url is not None:
        details["oidcProviderConfig"] = {
            "providerUrl": identity.provider_url,
            "audience": identity.audience,
        }
    served: Json = {
        "served": webhook is not None and webhook.status == "True",
        "reason": webhook.message if webhook is not None else _not_served(context),
    }
    report = ecr_reports.report_of(evidence)
    told = report.webhook if report is not None else None
    if webhook is not None and told is not None and told.certificate_expires_at is not None:
        served["certificateExpiresAt"] = format_time(told.certificate_expires_at)
    if not identity.blocks:
        details["webhook"] = served
    return details


ADD_ON = AddOn(
    enabled=enabled,
    obstacles=obstacles,
    desired=desired,
    observe=observe,
    remove=remove,
    evidence=(DEPLOYMENT_KEY, REPORT_KEY, POD_IDENTITY_KEY),
    kept=(REPORT_KEY,),
)
