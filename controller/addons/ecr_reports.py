"""What the agent's report and Deployment prove: whether it runs, whether the chain to AWS opens, what is in its way.

Pure. Called by `controller.addons.aws_ecr`; what drivers say of nodes is in `controller.addons.ecr_nodes`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from aws import registry_hosts
from aws.trust_policy import subject
from controller.addons.addon import Context, Evidence
from controller.addons.agent_objects import REPORT_KEY
from kube.objects import Object
from schemas import issues
from schemas.addons.aws_ecr import AwsEcr
from schemas.agent_documents import AGENT_ACCOUNT, NAMESPACE_NAME, AgentReport, ReportedHop, load_report
from schemas.agent_documents import REPORT_KEY as REPORT_MEMBER
from schemas.manifest import Manifest
from schemas.status import Issue
from schemas.times import format_time, parse_time

GRACE = timedelta(minutes=2)  # what an agent may take to start, and to answer a change
REPORT_LIFE = timedelta(minutes=30)  # an agent that is well writes more often

AGENT_SUBJECT = subject(NAMESPACE_NAME, AGENT_ACCOUNT)

# A code of an agent newer than this hub: what is known is the hop.
_CODE_OF_HOP = {"token": "TokenUnreadable", "sts": "StsRefused", "ecr": "EcrRefused"}


@dataclass(frozen=True)
class Finding:
    """One condition's worth: `status` True, False or Unknown, why, and what a person must mend."""

    status: str
    reason: str
    message: str = ""
    issues: tuple[Issue, ...] = ()


def report_of(evidence: Evidence) -> AgentReport | None:
    """The agent's report; None where there is none that can be read."""
    obj = evidence.get(REPORT_KEY)
    if obj is None:
        return None
    try:
        return load_report((obj.get("data") or {})[REPORT_MEMBER])
    except (KeyError, TypeError, ValueError):
        return None  # not what an agent writes: as good as no report


def is_current(context: Context, report: AgentReport | None) -> bool:
    """Whether it speaks of this generation, and is not too old to be believed."""
    return (
        report is not None
        and report.generation >= context.generation
        and context.now - report.written_at <= REPORT_LIFE
    )


def installed(context: Context, deployment: Object | None, report: AgentReport | None) -> Finding:
    """Whether the agent runs."""
    if deployment is None:
        return Finding("False", "NotInstalled", "there is no agent in the cluster")
    current = is_current(context, report)
    down_since = _down_since(context, deployment, report if current else None, heard=report is not None)
    if down_since is not None and context.now - down_since >= GRACE:
        issue = context.issue(
            "AgentNotRunning", {"MESSAGE": f"no available pod since {format_time(down_since)}"}
        )
        return Finding("False", issue.code, issue.message, (issue,))
    if current:
        return Finding("True", "AgentReports", "the agent runs and reports")
    if report is not None and context.now - report.written_at > REPORT_LIFE:
        late = context.now - max(report.written_at + REPORT_LIFE, context.since) >= GRACE
    else:
        late = context.now - context.since >= GRACE
    if late:
        words = f"its last report is of {format_time(report.written_at)}" if report else "it never did"
        issue = context.issue("AgentNotReporting", {"MESSAGE": words})
        return Finding("True" if down_since is None else "False", issue.code, issue.message, (issue,))
    if down_since is None:
        return Finding("True", "AgentRuns", "the agent runs and has not reported on the last change yet")
    return Finding("False", "AgentStarting", "the agent is starting")


def verify(context: Context, report: AgentReport | None) -> Finding:
    """Whether the walk token → STS → ECR → registry succeeded inside the cluster, else the hop that did not."""
    if report is None:
        return Finding("Unknown", "NoReport", "the agent has not reported yet")
    failed = next((hop for hop in report.hops if not hop.succeeded), None)
    if failed is not None:
        code = _code(failed)
        words = failed.message or f"hop {failed.name} failed"
        return Finding(
            "False",
            code,
            f"{failed.name}: {words}",
            (
                context.issue(
                    code, {"MESSAGE": words, "SUBJECT": AGENT_SUBJECT, **_whereabouts(context, report)}
                ),
            ),
        )
    if not report.registries and report.generation >= context.generation:
        issue = context.issue("RegistriesUnknown")
        return Finding("Unknown", issue.code, issue.message, (issue,))
    if report.verified_at is None:
        return Finding("Unknown", "NotVerifiedYet", "the agent has not walked the chain yet")
    return Finding("True", "Verified", "token, STS, ECR and registry answered inside the cluster")


def namespace_issues(context: Context, report: AgentReport | None) -> tuple[Issue, ...]:
    """One issue per code, with the namespaces as its resources."""
    by_code: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for error in report.namespace_errors if report is not None else ():
        code = error.code if error.code in issues.KINDS else "NamespaceWriteRefused"
        by_code[code].append((error.namespace, error.message))
    return tuple(
        context.issue(
            code,
            {"NAMESPACE": found[0][0], "MESSAGE": found[0][1]},
            resources=tuple(f"Namespace/{namespace}" for namespace, _ in found),
        )
        for code, found in sorted(by_code.items())
    )


def registries(manifest: Manifest, wishes: AwsEcr) -> tuple[str, ...]:
    """The hosts that the user named, else the registry of the provider's own account; else none is known."""
    if wishes.registries:
        return wishes.registries
    if manifest.account is not None and manifest.region is not None:
        return (registry_hosts.host_of(manifest.account, manifest.region),)
    return ()


def _down_since(
    context: Context, deployment: Object, current: AgentReport | None, *, heard: bool
) -> datetime | None:
    """Since when the agent does not run: by the Deployment, unless a later report proves the contrary.

    A Deployment that says nothing yet counts as down until the agent was `heard` of.
    """
    status = deployment.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Available":
            told = condition.get("lastTransitionTime")  # optional in apps/v1
            since = parse_time(told) if told else context.since
            proven = current is not None and current.written_at >= since
            return None if condition.get("status") == "True" or proven else since
    return None if heard else context.since


def _whereabouts(context: Context, report: AgentReport) -> dict[str, str]:
    """Region, registry and image of the walk: that of the first registry, as the agent walks it."""
    wishes = context.manifest.aws_ecr or AwsEcr()
    host = next(iter(report.registries or registries(context.manifest, wishes)), "")
    registry = registry_hosts.parse(host)
    return {
        "REGISTRY": host,
        "REGION": registry.region if registry is not None else context.manifest.region or "",
        "IMAGE": wishes.verify_image or "",
    }


def _code(hop: ReportedHop) -> str:
    return hop.code if hop.code in issues.KINDS else _CODE_OF_HOP.get(hop.name, "RegistryUnreachable")
