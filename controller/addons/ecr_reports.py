"""What the agent's report and Deployment prove: whether it runs, whether the chain to AWS opens, what is in its way.

Pure. Called by `controller.addons.aws_ecr`; what drivers say of nodes is in `controller.addons.ecr_nodes`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from aws import registry_hosts
from aws.arns import parse_role
from aws.trust_policy import subject
from controller.addons.addon import Context, Evidence
from controller.addons.agent_objects import REPORT_KEY
from kube.objects import Object
from schemas import issues
from schemas.addons.aws_ecr import AwsEcr
from schemas.agent_documents import (
    AGENT_ACCOUNT,
    NAMESPACE_NAME,
    AgentReport,
    NamespaceError,
    ReportedHop,
    load_report,
)
from schemas.agent_documents import REPORT_KEY as REPORT_MEMBER
from schemas.manifest import Manifest
from schemas.reported import ReportedFailure
from schemas.status import Issue
from schemas.times import format_time, parse_time

GRACE = timedelta(minutes=2)  # what an agent may take to start, and to answer a change
REPORT_LIFE = timedelta(minutes=30)  # an agent that is well writes more often

AGENT_SUBJECT = subject(NAMESPACE_NAME, AGENT_ACCOUNT)

_OWN_CLAIMS = frozenset({"", "add-on", "public"})
_HOP_NAMES = {"sts": "STS", "ecr": "ECR"}
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
    stopped_at = down_since(context, deployment, report)
    if stopped_at is not None and context.now - stopped_at >= GRACE:
        issue = context.issue(
            "AgentNotRunning", {"MESSAGE": f"no available pod since {format_time(stopped_at)}"}
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
        return Finding("True" if stopped_at is None else "False", issue.code, issue.message, (issue,))
    if stopped_at is None:
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
        until = pulls_until(context, report)
        return Finding(
            "False",
            code,
            f"{_HOP_NAMES.get(failed.name, failed.name)}: {words}",
            (
                context.issue(
                    code,
                    {
                        "MESSAGE": words + (f" (pulls go on until {format_time(until)})" if until else ""),
                        "SUBJECT": AGENT_SUBJECT,
                        "IDENTITY": (context.manifest.aws_ecr or AwsEcr()).role_arn or "",
                        **_whereabouts(context, report),
                    },
                ),
            ),
        )
    if not report.registries and report.generation >= context.generation:
        issue = context.issue("RegistriesUnknown")
        return Finding("Unknown", issue.code, issue.message, (issue,))
    refused = report.refused_so_far
    if refused is not None and report.generation >= context.generation:
        words = f"AWS refuses so far: {refused.message}; asked again every few seconds until {format_time(refused.until)}"
        return Finding("Unknown", "RefusedSoFar", words)
    if report.verified_at is None:
        return Finding("Unknown", "NotVerifiedYet", "the agent has not walked the chain yet")
    return Finding("True", "Verified", "token, STS, ECR and registry answered inside the cluster")


def namespace_issues(context: Context, report: AgentReport | None) -> tuple[Issue, ...]:
    """One issue per code, with the namespaces as its resources."""
    by_code: dict[str, list[NamespaceError]] = defaultdict(list)
    for error in report.namespace_errors if report is not None else ():
        by_code[error.code if error.code in issues.KINDS else "NamespaceWriteRefused"].append(error)
    return tuple(
        context.issue(
            code,
            {"NAMESPACE": found[0].namespace, "SECRET": found[0].secret, "MESSAGE": found[0].message},
            resources=tuple(dict.fromkeys(_resource(error) for error in found)),
        )
        for code, found in sorted(by_code.items())
    )


def failure_issues(
    context: Context, report: AgentReport | None, *, told: Collection[str]
) -> tuple[Issue, ...]:
    """One issue per code for identities that get no credentials now; the add-on's own are not `told` twice."""
    by_code: dict[str, list[ReportedFailure]] = defaultdict(list)
    for failure in report.failures if report is not None else ():
        code = failure.code if failure.code in issues.KINDS else "StsRefused"
        if failure.claim not in _OWN_CLAIMS or code not in told:
            by_code[code].append(failure)
    return tuple(
        context.issue(
            code,
            {
                **_of_identity(found[0].identity),
                "MESSAGE": found[0].message + _until(context, report, found[0]),
                "REGION": registry_hosts.PUBLIC_REGION
                if found[0].region == registry_hosts.PUBLIC
                else found[0].region,
                "SUBJECT": AGENT_SUBJECT,
            },
            resources=tuple(dict.fromkeys(_claimant(failure.claim) for failure in found if failure.claim)),
        )
        for code, found in sorted(by_code.items())
    )


def pulls_until(context: Context, report: AgentReport | None) -> datetime | None:
    """Until when pulls go on with what the add-on's own pull secrets hold; None where nothing good is held."""
    wishes = context.manifest.aws_ecr or AwsEcr()
    own = {wishes.role_arn, ""}
    times = [each.expires_at for each in (report.credentials if report else ()) if each.identity in own]
    return min((moment for moment in times if moment > context.now), default=None)


def _until(context: Context, report: AgentReport | None, failure: ReportedFailure) -> str:
    for credential in report.credentials if report is not None else ():
        same = (credential.identity, credential.region) == (failure.identity, failure.region)
        if same and credential.expires_at > context.now:
            return f" (pulls go on until {format_time(credential.expires_at)})"
    return ""


def _of_identity(identity: str) -> dict[str, str]:
    """The values that name it; a role's ARN is taken apart."""
    values = {"IDENTITY": identity, "ROLE_ARN": identity}
    try:
        role = parse_role(identity)
    except ValueError:
        return values | {"ROLE_NAME": "", "ACCOUNT": "", "PARTITION": ""}
    return values | {"ROLE_NAME": role.name, "ACCOUNT": role.account, "PARTITION": role.partition}


def _resource(error: NamespaceError) -> str:
    if error.namespace:
        return f"Namespace/{error.namespace}"
    return _claimant(error.claim)


def _claimant(claim: str) -> str:
    """`ECRPullSecret/NAME` for a custom resource's claim, the add-on's key for its own."""
    source, _, name = claim.partition("/")
    return f"ECRPullSecret/{name}" if name and source in {"custom", "adopted"} else "awsECR"


def registries(manifest: Manifest, wishes: AwsEcr) -> tuple[str, ...]:
    """The hosts that the user named, else the registry of the provider's own account; else none is known."""
    if wishes.registries:
        return wishes.registries
    if manifest.account is not None and manifest.region is not None:
        return (registry_hosts.host_of(manifest.account, manifest.region),)
    return ()


def down_since(context: Context, deployment: Object | None, report: AgentReport | None) -> datetime | None:
    """Since when the agent does not run: by the Deployment, unless a later report proves the contrary.

    A Deployment that says nothing yet, or is not there yet, counts as down until the agent was heard of.
    """
    current = report if is_current(context, report) else None
    status = (deployment or {}).get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Available":
            told = condition.get("lastTransitionTime")  # optional in apps/v1
            since = parse_time(told) if told else context.since
            proven = current is not None and current.written_at >= since
            return None if condition.get("status") == "True" or proven else since
    return None if report is not None else context.since


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
