"""awsECR: installs agent and node drivers, reads their report, and asks them to give everything back.

Delivery by nodes: drivers put the plugin and a token on every node, and the agent sums up what they say. By pull
secrets: the agent fills namespaces. `auto` installs both; the agent makes pull secrets as long as some node has no
credentials of its own (`agent.nodes`). The agent's report is the proof: the Deployment only explains why there is none.
"""

from __future__ import annotations

from controller.addons import ecr_nodes, ecr_reports, webhook_reports
from controller.addons.addon import AddOn, Context, Departure, Evidence
from controller.addons.agent_objects import DEPLOYMENT_KEY, REPORT_KEY, SHARED_KEYS
from controller.addons.ecr_configuration import (
    KEY,
    audience_of,
    ecr_objects,
    needs_custom_resources,
    needs_wide_secrets,
    serves_nodes,
    wishes_of,
)
from controller.addons.ecr_details import details
from controller.addons.ecr_reports import Finding
from controller.addons.node_objects import DAEMON_SET_KEY
from controller.addons.webhook_objects import WEBHOOK_KEY
from controller.agent_rights import CUSTOM_RESOURCES_ROLE, WIDE_SECRETS_ROLE
from kube.objects import CLUSTER_ROLE_BINDING, Object, ObjectKey
from schemas.agent_documents import AgentReport
from schemas.manifest import Manifest
from schemas.status import AddOnStatus, Issue, State

__all__ = ["ADD_ON", "KEY"]

_FIRST_WITH_SERVICE_ACCOUNTS = (
    1,
    34,
)  # KEP-4412: the kubelet hands workloads' tokens to credential providers
_WIDE_KEY = ObjectKey(CLUSTER_ROLE_BINDING.api_version, CLUSTER_ROLE_BINDING.kind, "", WIDE_SECRETS_ROLE)
_CUSTOM_KEY = ObjectKey(
    CLUSTER_ROLE_BINDING.api_version, CLUSTER_ROLE_BINDING.kind, "", CUSTOM_RESOURCES_ROLE
)

# Words of a stage: what is on its way out, and what the agent or the drivers need until it is gone.
_LEAVING = "leaving"  # drivers
_NARROWING = "narrowing"  # pull secrets by other names than the agent's own
_RELEASING = "releasing"  # custom resources, which carry a finalizer


def enabled(manifest: Manifest) -> bool:
    """Whether `spec.addOns.awsECR` stands in the manifest."""
    return manifest.aws_ecr is not None


def obstacles(context: Context) -> tuple[Issue, ...]:
    """No role to assume, tokens that AWS will not believe, or a cluster that is too old for what is asked."""
    wishes = wishes_of(context)
    if wishes.by_instance_role(context.manifest.provider):
        return ()
    found = list(context.identity.issues) if context.identity.blocks else []
    if not wishes.role_arn and wishes.identity == "shared":
        if wishes.pull_secret.brings_identities:
            return ()  # whether AWS believes those, they say themselves
        found.insert(0, context.issue("RoleArnMissing"))
    if wishes.identity == "serviceAccount":
        found += _against_service_accounts(context)
    return tuple(found)


def stage(context: Context, evidence: Evidence) -> str:
    """What is no longer wanted and must be given back before rights or drivers go, in words; "" for nothing."""
    wishes = wishes_of(context)
    report = ecr_reports.report_of(evidence)
    current = report if report is not None and report.generation >= context.generation else None
    words = []
    if DAEMON_SET_KEY in evidence and not serves_nodes(context):
        left = current is not None and current.nodes is not None and current.nodes.left
        words += [] if left else [_LEAVING]
    if _WIDE_KEY in evidence and not needs_wide_secrets(wishes):
        words += [] if current is not None and not current.elsewhere else [_NARROWING]
    if _CUSTOM_KEY in evidence and not needs_custom_resources(wishes):
        released = current is not None and not (current.custom_resources or (0, 0))[0]
        words += [] if released else [_RELEASING]
    return " ".join(words)


def desired(context: Context, stage: str = "") -> tuple[Object, ...]:
    """The agent, and the drivers where nodes are to get credentials themselves or have some to give back."""
    wishes = wishes_of(context)
    words = stage.split()
    return ecr_objects(
        context,
        nodes="serving" if serves_nodes(context) else "leaving" if _LEAVING in words else "none",
        removing=False,
        # Secrets of custom resources have other names.
        wide_secrets=needs_wide_secrets(wishes) or bool({_NARROWING, _RELEASING} & set(words)),
        custom_resources=needs_custom_resources(wishes) or _RELEASING in words,
    )


def observe(context: Context, evidence: Evidence) -> AddOnStatus:
    """What the Deployment and the report say, as one status."""
    in_the_way = obstacles(context)
    report = ecr_reports.report_of(evidence)
    installed = ecr_reports.installed(context, evidence.get(DEPLOYMENT_KEY), report)
    by_nodes = serves_nodes(context)
    nodes_ready = ecr_nodes.ready(context, report) if by_nodes else None
    verified = _verified(context, report)
    webhook = None if in_the_way else webhook_reports.serving(context, evidence, WEBHOOK_KEY, report)
    left = () if by_nodes else ecr_nodes.not_cleaned(context, report)
    failures = ecr_reports.failure_issues(context, report, told={issue.code for issue in verified.issues})
    state, reason = _state(
        context, in_the_way, installed, verified, nodes_ready=nodes_ready, webhook=webhook, report=report
    )
    identity = context.identity
    conditions = [
        context.condition("IssuerUsable", identity.status, identity.reason, identity.message),
        context.condition("Installed", installed.status, installed.reason, installed.message),
    ]
    if nodes_ready is not None:
        conditions.append(
            context.condition("NodesReady", nodes_ready.status, nodes_ready.reason, nodes_ready.message)
        )
    if webhook is not None:
        conditions.append(
            context.condition("WebhookServing", webhook.status, webhook.reason, webhook.message)
        )
    conditions += [
        context.condition("CredentialsVerified", verified.status, verified.reason, verified.message),
        context.condition("Ready", "True" if state is State.READY else "False", reason),
    ]
    return AddOnStatus(
        state=state,
        conditions=tuple(conditions),
        issues=(
            *in_the_way,
            *installed.issues,
            *(nodes_ready.issues if nodes_ready is not None else ()),
            *verified.issues,
            *failures,
            *ecr_reports.namespace_issues(context, report),
            *(webhook.issues if webhook is not None else ()),
            *left,
        ),
        details=details(context, report, webhook),
    )


def remove(context: Context, evidence: Evidence) -> Departure:
    """Asks agent and drivers to take back what they did, and waits until the agent says that they have."""
    report = ecr_reports.report_of(evidence)
    left = ecr_nodes.not_cleaned(context, report)
    if report is not None and report.removed and report.generation >= context.generation:
        status = AddOnStatus(State.REMOVING, issues=left, details=details(context, report))
        return Departure(finished=True, status=status, last=(REPORT_KEY,))
    installed = ecr_reports.installed(context, evidence.get(DEPLOYMENT_KEY), report)
    by_nodes = DAEMON_SET_KEY in evidence
    waiting = "the agent takes back pull secrets and their references"
    if by_nodes:
        waiting += ", and nodes give back what was put there"
    status = AddOnStatus(
        state=State.REMOVING,
        conditions=(
            context.condition("Installed", installed.status, installed.reason, installed.message),
            context.condition("Ready", "False", "Removing", waiting),
        ),
        issues=(*installed.issues, *left),
        details=details(context, report),
    )
    objects = ecr_objects(
        context,
        nodes="leaving" if by_nodes else "none",
        removing=True,
        wide_secrets=_WIDE_KEY in evidence,
        custom_resources=_CUSTOM_KEY in evidence,
    )
    return Departure(finished=False, status=status, objects=objects)


def _against_service_accounts(context: Context) -> list[Issue]:
    server = context.server
    if server.version == (0, 0):
        return []
    if server.version < _FIRST_WITH_SERVICE_ACCOUNTS:
        return [context.issue("KubernetesTooOldForServiceAccounts")]
    audience = audience_of(context)
    if server.token_audiences & {audience, "*"}:
        return []
    patch = f'[{{"op": "add", "path": "/rules/0/resources/-", "value": "{audience}"}}]'
    words = (
        f"kubelets may not ask for tokens with the audience {audience}. As an admin of the cluster:"
        f" kubectl patch clusterrole pullpass-node-audience --type=json -p '{patch}'"
    )
    return [context.issue("RightsMissing", {"MESSAGE": words})]


def _verified(context: Context, report: AgentReport | None) -> Finding:
    """The condition CredentialsVerified: from the drivers, from the agent, or from both where both deliver."""
    found = []
    nodes = report.nodes if report is not None else None
    if nodes is not None and nodes.desired and serves_nodes(context):
        found.append(ecr_nodes.verified(context, nodes))
    if report is None or report.pull_secrets:
        found.append(ecr_reports.verify(context, report))
    if not found and serves_nodes(context):
        found.append(Finding("Unknown", "NotVerifiedYet", "no node has run the plugin yet"))
    elif not found:
        brought = wishes_of(context).pull_secret.brings_identities
        words = "each custom resource says whether its identity works" if brought else "there is no role yet"
        found.append(Finding("Unknown", "NothingToVerify", words))
    by_status = {finding.status: finding for finding in reversed(found)}
    return by_status.get("False") or by_status.get("True") or found[-1]


def _state(
    context: Context,
    in_the_way: tuple[Issue, ...],
    installed: Finding,
    verified: Finding,
    *,
    nodes_ready: Finding | None,
    webhook: Finding | None,
    report: AgentReport | None,
) -> tuple[State, str]:
    """The state and, in one word, why: the first of these that holds, from what only a person can mend to Ready."""
    if in_the_way:
        return State.BLOCKED, in_the_way[0].code
    if report is None:
        return (State.FAILED if installed.issues else State.INSTALLING), installed.reason
    usable = any(credential.expires_at > context.now for credential in report.credentials)
    delivered = report.nodes is not None and report.nodes.ready > 0
    broken = State.DEGRADED if usable or delivered else State.FAILED
    holds: list[tuple[object, State, str]] = [
        (installed.issues, broken, installed.reason),
        (not ecr_reports.is_current(context, report), State.INSTALLING, "AgentCatchesUp"),
        (verified.status == "False", broken, verified.reason),
    ]
    if report.pull_secrets:
        unfilled = report.namespaces_ready < report.namespaces_selected
        holds += [
            (verified.issues, State.BLOCKED, verified.reason),
            (report.namespace_errors, State.DEGRADED, "NamespaceErrors"),
            (verified.status != "True", State.INSTALLING, verified.reason),
            (unfilled, State.INSTALLING, "NamespacesFilling"),
        ]
    elif nodes_ready is not None:
        holds += _nodes_in_the_way(context, nodes_ready, report)
    holds += [
        (report.failures, State.DEGRADED, "CredentialsFailing"),
        (report.namespace_errors, State.DEGRADED, "NamespaceErrors"),
    ]
    if webhook is not None:
        holds += [
            (webhook.issues, State.DEGRADED, webhook.reason),
            (webhook.status != "True", State.INSTALLING, webhook.reason),
        ]
    return next(((state, reason) for is_so, state, reason in holds if is_so), (State.READY, "Ready"))


def _nodes_in_the_way(
    context: Context, nodes_ready: Finding, report: AgentReport
) -> list[tuple[object, State, str]]:
    """Where nothing but nodes deliver. A node that has just joined does not make a cluster less ready."""
    nodes = report.nodes
    if nodes is None:
        return [(True, State.INSTALLING, nodes_ready.reason)]
    missing = nodes.ready < nodes.desired
    rolling = not nodes.ready or context.now - context.since < ecr_nodes.ROLLING
    broken = State.DEGRADED if nodes.ready else State.FAILED
    return [
        (missing and nodes_ready.issues, broken, nodes_ready.reason),
        (missing and nodes.late, broken, nodes_ready.reason),
        (missing and rolling, State.INSTALLING, nodes_ready.reason),
    ]


ADD_ON = AddOn(
    enabled=enabled,
    obstacles=obstacles,
    desired=desired,
    observe=observe,
    remove=remove,
    evidence=(DEPLOYMENT_KEY, DAEMON_SET_KEY, REPORT_KEY, WEBHOOK_KEY, _WIDE_KEY, _CUSTOM_KEY),
    # The agent is labelled as the other add-on's, and stays with whichever is held or on its way out.
    kept=(REPORT_KEY, *SHARED_KEYS),
    stage=stage,
)
