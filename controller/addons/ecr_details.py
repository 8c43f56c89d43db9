"""What awsECR's status tells beside state, conditions and issues: which way credentials go, whose, and until when. Pure.

Called by `controller.addons.aws_ecr`.
"""

from __future__ import annotations

from aws import registry_hosts
from aws.arns import parse_role
from aws.permissions_policy import permissions_policy
from controller.addons import ecr_nodes, ecr_reports
from controller.addons.addon import Context
from controller.addons.ecr_configuration import needs_custom_resources, serves_nodes, wishes_of
from controller.addons.ecr_reports import Finding
from schemas.agent_documents import AgentReport
from schemas.status import Json
from schemas.times import format_time


def details(context: Context, report: AgentReport | None, webhook: Finding | None = None) -> Json:
    """Members of the add-on's own in `status.addOns.awsECR`."""
    way, reason = delivery(context, report)
    found: Json = {
        "delivery": way,
        "deliveryReason": reason,
        "permissionsPolicy": _permissions_policy(context, report),
    }
    if webhook is not None:
        found["webhook"] = {"served": webhook.status == "True", "reason": webhook.message}
    if report is None:
        return found
    nodes = report.nodes
    if nodes is not None:
        found["nodes"] = ecr_nodes.details(nodes)
    expiry = min((credential.expires_at for credential in report.credentials), default=None)
    by_node = nodes.verified.at if nodes is not None else None
    verified_at = min((moment for moment in (report.verified_at, by_node) if moment), default=None)
    found["registries"] = list(report.registries)
    found["credentials"] = {
        "verifiedAt": format_time(verified_at) if verified_at else None,
        "verifiedFrom": "node" if by_node and not report.verified_at else "agent",
        "expiresAt": format_time(expiry) if expiry else None,
        "identities": _identities(report),
    }
    refused = report.refused_so_far
    if refused is not None and report.generation >= context.generation:
        found["refusedSoFar"] = {
            "code": refused.code,
            "message": refused.message,
            "until": format_time(refused.until),
        }
    if report.pull_secrets or report.namespaces_selected:
        found["namespaces"] = {
            "selected": report.namespaces_selected,
            "ready": report.namespaces_ready,
            "errors": _errors(report),
        }
    elif report.namespace_errors:
        found["namespaces"] = {"selected": 0, "ready": 0, "errors": _errors(report)}
    total, ready = report.custom_resources or (0, 0)
    if total or needs_custom_resources(wishes_of(context)):
        found["customResources"] = {"total": total, "ready": ready}
    if report.labelled_secrets is not None:
        total, filled = report.labelled_secrets
        found["labelledSecrets"] = {"total": total, "filled": filled}
    found["agent"] = {"version": report.agent_version, "leader": report.leader or None}
    return found


def _errors(report: AgentReport) -> list[Json]:
    return [
        {
            "namespace": error.namespace or None,
            "code": error.code,
            "message": error.message,
            "secret": error.secret,
            "claim": error.claim,
        }
        for error in report.namespace_errors
    ]


def _identities(report: AgentReport) -> list[Json]:
    """Each identity in each region: until when what it got is good, and since when it gets no more."""
    credentials = {(each.identity, each.region): each for each in report.credentials}
    failures = {(each.identity, each.region): each for each in report.failures}
    found = []
    for key in sorted({*credentials, *failures}):
        credential, failure = credentials.get(key), failures.get(key)
        found.append(
            {
                "identity": key[0] or None,
                "region": key[1],
                "registries": list(credential.registries) if credential else [],
                "issuedAt": format_time(credential.issued_at) if credential else None,
                "expiresAt": format_time(credential.expires_at) if credential else None,
                "failing": {
                    "since": format_time(failure.since),
                    "code": failure.code,
                    "message": failure.message,
                }
                if failure
                else None,
            }
        )
    return found


def _permissions_policy(context: Context, report: AgentReport | None) -> Json | None:
    """What the role has to be allowed; None where only identities of others are used."""
    wishes = wishes_of(context)
    if not wishes.role_arn and wishes.pull_secret.brings_identities:
        return None
    hosts = ecr_reports.registries(context.manifest, wishes) or (report.registries if report else ())
    parsed = [registry for host in hosts if (registry := registry_hosts.parse(host)) is not None]
    partition = parse_role(wishes.role_arn).partition if wishes.role_arn else "aws"
    return permissions_policy(parsed, partition=partition)


def delivery(context: Context, report: AgentReport | None) -> tuple[str, str]:
    """Which way credentials come to pods (`node`, `pullSecret`, or `mixed`), and why."""
    wishes = wishes_of(context)
    nodes = report.nodes if report is not None and serves_nodes(context) else None
    why = f"`settings.awsECR.delivery` is `{wishes.delivery}`"
    if not serves_nodes(context):
        if not wishes.role_arn and wishes.pull_secret.brings_identities:
            why += "; without a `roleArn`, only custom resources and adopted objects are served"
        return "pullSecret", why
    if wishes.by_instance_role(context.manifest.provider):
        why += "; without a `roleArn`, nodes use the role of their instances"
    if wishes.identity == "serviceAccount":
        why += "; with identity `serviceAccount` there are no pull secrets"
    if nodes is None or report is None:
        return "node", f"{why}; no driver has reported yet"
    why += f": {nodes.ready} of {nodes.desired} nodes get credentials themselves"
    if nodes.existing:
        why += f" ({nodes.existing} by an ECR provider that was there before, and was left as it is)"
    if nodes.ready < nodes.desired and nodes.not_done:
        why += f", without {ecr_nodes.named(nodes)}"
    if not report.pull_secrets:
        return "node", why
    return ("mixed" if nodes.ready else "pullSecret"), f"{why}; pull secrets serve the rest"
