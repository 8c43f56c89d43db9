"""awsECR by pull secrets: installs the agent, reads its report, and asks it to give everything back.

The agent's report is the proof: the Deployment only explains why there is none.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from aws import registry_hosts
from controller.addons.addon import AddOn, Context, Departure, Evidence
from controller.addons.agent_objects import DEPLOYMENT_KEY, REPORT_KEY, agent_objects
from kube.objects import Object
from schemas import issues
from schemas.addons.aws_ecr import AwsEcr
from schemas.addons.aws_workload_identity import AwsWorkloadIdentity
from schemas.agent_documents import REPORT_KEY as REPORT_MEMBER
from schemas.agent_documents import AgentConfiguration, AgentReport, ReportedHop, load_report
from schemas.manifest import Manifest
from schemas.status import AddOnStatus, Issue, Json, State
from schemas.times import format_time, parse_time

KEY = "awsECR"

GRACE = timedelta(minutes=2)  # what an agent may take to start, and to answer a change
REPORT_LIFE = timedelta(minutes=30)  # an agent that is well writes more often

# A code of an agent newer than this hub: what is known is the hop.
_CODE_OF_HOP = {"token": "TokenUnreadable", "sts": "StsRefused", "ecr": "EcrRefused"}


@dataclass(frozen=True)
class Finding:
    """One condition's worth: `status` True, False or Unknown, why, and what a person must mend."""

    status: str
    reason: str
    message: str = ""
    issues: tuple[Issue, ...] = ()


def enabled(manifest: Manifest) -> bool:
    """Whether `spec.addOns.awsECR` stands in the manifest."""
    return manifest.aws_ecr is not None


def obstacles(context: Context) -> tuple[Issue, ...]:
    """No role to assume, or tokens that AWS will not believe."""
    found = list(context.identity.issues) if context.identity.blocks else []
    if context.manifest.aws_ecr is None or not context.manifest.aws_ecr.role_arn:
        found.insert(0, context.issue("RoleArnMissing"))
    return tuple(found)


def desired(context: Context) -> tuple[Object, ...]:
    """The agent and its configuration."""
    return _agent(context, removing=False)


def observe(context: Context, evidence: Evidence) -> AddOnStatus:
    """What the Deployment and the report say, as one status."""
    in_the_way = obstacles(context)
    report = _report(evidence)
    installed = _installed(context, evidence.get(DEPLOYMENT_KEY), report)
    verified = verify(context, report)
    namespaces = _namespace_issues(context, report)
    found = (*in_the_way, *installed.issues, *verified.issues, *namespaces)
    state, reason = _state(context, in_the_way, installed, verified, report)
    identity = context.identity
    return AddOnStatus(
        state=state,
        conditions=(
            context.condition("IssuerUsable", identity.status, identity.reason, identity.message),
            context.condition("Installed", installed.status, installed.reason, installed.message),
            context.condition("CredentialsVerified", verified.status, verified.reason, verified.message),
            context.condition("Ready", "True" if state is State.READY else "False", reason),
        ),
        issues=found,
        details=_details(report),
    )


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
            (context.issue(code, {"MESSAGE": words, **_whereabouts(context, report)}),),
        )
    if not report.registries and report.generation >= context.generation:
        issue = context.issue("RegistriesUnknown")
        return Finding("Unknown", issue.code, issue.message, (issue,))
    if report.verified_at is None:
        return Finding("Unknown", "NotVerifiedYet", "the agent has not walked the chain yet")
    return Finding("True", "Verified", "token, STS, ECR and registry answered inside the cluster")


def remove(context: Context, evidence: Evidence) -> Departure:
    """Asks the agent to take back its secrets and references, and waits until it says so."""
    report = _report(evidence)
    if report is not None and report.removed and report.generation >= context.generation:
        status = AddOnStatus(State.REMOVING, details=_details(report))
        return Departure(finished=True, status=status, last=(REPORT_KEY,))
    installed = _installed(context, evidence.get(DEPLOYMENT_KEY), report)
    waiting = "the agent takes back pull secrets and their references"
    status = AddOnStatus(
        state=State.REMOVING,
        conditions=(
            context.condition("Installed", installed.status, installed.reason, installed.message),
            context.condition("Ready", "False", "Removing", waiting),
        ),
        issues=installed.issues,
        details=_details(report),
    )
    return Departure(finished=False, status=status, objects=_agent(context, removing=True))


def _agent(context: Context, *, removing: bool) -> tuple[Object, ...]:
    wishes = context.manifest.aws_ecr or AwsEcr()
    configuration = AgentConfiguration(
        generation=context.generation,
        cluster_uid=context.uid,
        organisation=context.key.org,
        cluster=context.key.name,
        removing=removing,
        role_arn=wishes.role_arn or "",
        audience=(context.manifest.aws_workload_identity or AwsWorkloadIdentity()).audience,
        region=context.manifest.region,
        registries=_registries(context.manifest, wishes),
        verify_image=wishes.verify_image,
        pull_secret=wishes.pull_secret,
        aws=context.connection.aws,
    )
    return agent_objects(configuration, add_on=KEY, image=context.agent_image)


def _registries(manifest: Manifest, wishes: AwsEcr) -> tuple[str, ...]:
    if wishes.registries:
        return wishes.registries
    if manifest.account is not None and manifest.region is not None:
        return (registry_hosts.host_of(manifest.account, manifest.region),)
    return ()


def _report(evidence: Evidence) -> AgentReport | None:
    obj = evidence.get(REPORT_KEY)
    if obj is None:
        return None
    try:
        return load_report((obj.get("data") or {})[REPORT_MEMBER])
    except (KeyError, TypeError, ValueError):
        return None  # not what an agent writes: as good as no report


def _is_current(context: Context, report: AgentReport | None) -> bool:
    return (
        report is not None
        and report.generation >= context.generation
        and context.now - report.written_at <= REPORT_LIFE
    )


def _installed(context: Context, deployment: Object | None, report: AgentReport | None) -> Finding:
    if deployment is None:
        return Finding("False", "NotInstalled", "there is no agent in the cluster")
    current = _is_current(context, report)
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
    host = next(iter(report.registries or _registries(context.manifest, wishes)), "")
    registry = registry_hosts.parse(host)
    return {
        "REGISTRY": host,
        "REGION": registry.region if registry is not None else context.manifest.region or "",
        "IMAGE": wishes.verify_image or "",
    }


def _code(hop: ReportedHop) -> str:
    return hop.code if hop.code in issues.KINDS else _CODE_OF_HOP.get(hop.name, "RegistryUnreachable")


def _namespace_issues(context: Context, report: AgentReport | None) -> tuple[Issue, ...]:
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


def _state(
    context: Context,
    in_the_way: tuple[Issue, ...],
    installed: Finding,
    verified: Finding,
    report: AgentReport | None,
) -> tuple[State, str]:
    """The state and, in one word, why: the first of these that holds, from what only a person can mend to Ready."""
    if in_the_way:
        return State.BLOCKED, in_the_way[0].code
    if report is None:
        return (State.FAILED if installed.issues else State.INSTALLING), installed.reason
    usable = any(credential.expires_at > context.now for credential in report.credentials)
    broken = State.DEGRADED if usable else State.FAILED
    unfilled = report.namespaces_ready < report.namespaces_selected
    holds: tuple[tuple[object, State, str], ...] = (
        (installed.issues, broken, installed.reason),
        (not _is_current(context, report), State.INSTALLING, "AgentCatchesUp"),
        (verified.status == "False", broken, verified.reason),
        (verified.issues, State.BLOCKED, verified.reason),
        (report.namespace_errors, State.DEGRADED, "NamespaceErrors"),
        (verified.status != "True", State.INSTALLING, verified.reason),
        (unfilled, State.INSTALLING, "NamespacesFilling"),
    )
    return next(((state, reason) for is_so, state, reason in holds if is_so), (State.READY, "Ready"))


def _details(report: AgentReport | None) -> Json:
    details: Json = {
        "delivery": "pullSecret",
        "deliveryReason": "this version delivers by pull secrets on every cluster",
    }
    if report is None:
        return details
    expiry = min((credential.expires_at for credential in report.credentials), default=None)
    details["registries"] = list(report.registries)
    details["credentials"] = {
        "verifiedAt": format_time(report.verified_at) if report.verified_at else None,
        "verifiedFrom": "agent",
        "expiresAt": format_time(expiry) if expiry else None,
    }
    details["namespaces"] = {
        "selected": report.namespaces_selected,
        "ready": report.namespaces_ready,
        "errors": [
            {"namespace": error.namespace, "code": error.code, "message": error.message}
            for error in report.namespace_errors
        ],
    }
    return details


ADD_ON = AddOn(
    enabled=enabled,
    obstacles=obstacles,
    desired=desired,
    observe=observe,
    remove=remove,
    evidence=(DEPLOYMENT_KEY, REPORT_KEY),
)
