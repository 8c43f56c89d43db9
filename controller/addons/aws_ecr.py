"""awsECR: installs agent and node drivers, reads their report, and asks them to give everything back.

Delivery by nodes: drivers put the plugin and a token on every node, and the agent sums up what they say. By pull
secrets: the agent fills namespaces. `auto` installs both; the agent makes pull secrets as long as some node has no
credentials of its own (`agent.nodes`). The agent's report is the proof: the Deployment only explains why there is none.
"""

from __future__ import annotations

from aws import registry_hosts
from aws.arns import parse_role
from controller.addons import ecr_nodes, ecr_reports
from controller.addons.addon import AddOn, Context, Departure, Evidence
from controller.addons.agent_objects import DEPLOYMENT_KEY, REPORT_KEY, agent_objects
from controller.addons.ecr_reports import Finding
from controller.addons.node_objects import DAEMON_SET_KEY, node_objects
from kube.objects import Object
from schemas.addons.aws_ecr import AwsEcr
from schemas.addons.aws_workload_identity import AwsWorkloadIdentity
from schemas.agent_documents import AgentConfiguration, AgentReport
from schemas.manifest import Manifest
from schemas.node_documents import NodeConfiguration
from schemas.status import AddOnStatus, Issue, Json, State
from schemas.times import format_time

KEY = "awsECR"

_FIRST_WITH_SERVICE_ACCOUNTS = (
    1,
    34,
)  # KEP-4412: the kubelet hands workloads' tokens to credential providers
_LEAVING = "leaving"


def enabled(manifest: Manifest) -> bool:
    """Whether `spec.addOns.awsECR` stands in the manifest."""
    return manifest.aws_ecr is not None


def obstacles(context: Context) -> tuple[Issue, ...]:
    """No role to assume, tokens that AWS will not believe, or a cluster that is too old for what is asked."""
    wishes = _wishes(context)
    if wishes.by_instance_role(context.manifest.provider):
        return ()
    found = list(context.identity.issues) if context.identity.blocks else []
    if not wishes.role_arn and wishes.identity == "shared":
        found.insert(0, context.issue("RoleArnMissing"))
    if wishes.identity == "serviceAccount":
        found += _against_service_accounts(context)
    return tuple(found)


def stage(context: Context, evidence: Evidence) -> str:
    """`leaving` while drivers that are no longer wanted give back what they did."""
    if _wishes(context).by_nodes or DAEMON_SET_KEY not in evidence:
        return ""
    report = ecr_reports.report_of(evidence)
    current = report is not None and report.generation >= context.generation
    gone = current and report is not None and report.nodes is not None and report.nodes.left
    return "" if gone else _LEAVING


def desired(context: Context, stage: str = "") -> tuple[Object, ...]:
    """The agent, and the drivers where nodes are to get credentials themselves or have some to give back."""
    nodes = "serving" if _wishes(context).by_nodes else "leaving" if stage == _LEAVING else "none"
    return _objects(context, nodes=nodes, removing=False)


def observe(context: Context, evidence: Evidence) -> AddOnStatus:
    """What the Deployment and the report say, as one status."""
    wishes = _wishes(context)
    in_the_way = obstacles(context)
    report = ecr_reports.report_of(evidence)
    installed = ecr_reports.installed(context, evidence.get(DEPLOYMENT_KEY), report)
    nodes_ready = ecr_nodes.ready(context, report) if wishes.by_nodes else None
    verified = _verified(context, report)
    left = () if wishes.by_nodes else ecr_nodes.not_cleaned(context, report)
    state, reason = _state(context, in_the_way, installed, verified, nodes_ready=nodes_ready, report=report)
    identity = context.identity
    conditions = [
        context.condition("IssuerUsable", identity.status, identity.reason, identity.message),
        context.condition("Installed", installed.status, installed.reason, installed.message),
    ]
    if nodes_ready is not None:
        conditions.append(
            context.condition("NodesReady", nodes_ready.status, nodes_ready.reason, nodes_ready.message)
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
            *ecr_reports.namespace_issues(context, report),
            *left,
        ),
        details=_details(context, report),
    )


def remove(context: Context, evidence: Evidence) -> Departure:
    """Asks agent and drivers to take back what they did, and waits until the agent says that they have."""
    report = ecr_reports.report_of(evidence)
    left = ecr_nodes.not_cleaned(context, report)
    if report is not None and report.removed and report.generation >= context.generation:
        status = AddOnStatus(State.REMOVING, issues=left, details=_details(context, report))
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
        details=_details(context, report),
    )
    objects = _objects(context, nodes="leaving" if by_nodes else "none", removing=True)
    return Departure(finished=False, status=status, objects=objects)


def _wishes(context: Context) -> AwsEcr:
    return context.manifest.aws_ecr or AwsEcr()


def _against_service_accounts(context: Context) -> list[Issue]:
    server = context.server
    if server.version == (0, 0):
        return []
    if server.version < _FIRST_WITH_SERVICE_ACCOUNTS:
        return [context.issue("KubernetesTooOldForServiceAccounts")]
    audience = _audience(context)
    if server.token_audiences & {audience, "*"}:
        return []
    patch = f'[{{"op": "add", "path": "/rules/0/resources/-", "value": "{audience}"}}]'
    words = (
        f"kubelets may not ask for tokens with the audience {audience}. As an admin of the cluster:"
        f" kubectl patch clusterrole pullpass-node-audience --type=json -p '{patch}'"
    )
    return [context.issue("RightsMissing", {"MESSAGE": words})]


def _audience(context: Context) -> str:
    return (context.manifest.aws_workload_identity or AwsWorkloadIdentity()).audience


def _objects(context: Context, *, nodes: str, removing: bool) -> tuple[Object, ...]:
    wishes = _wishes(context)
    registries = ecr_reports.registries(context.manifest, wishes)
    if not wishes.by_pull_secrets or not wishes.role_arn:
        pull_secrets = "never"
    else:
        pull_secrets = "rest" if wishes.by_nodes else "always"
    configuration = AgentConfiguration(
        generation=context.generation,
        cluster_uid=context.uid,
        organisation=context.key.org,
        cluster=context.key.name,
        removing=removing,
        role_arn=wishes.role_arn or "",
        audience=_audience(context),
        region=context.manifest.region,
        registries=registries,
        verify_image=wishes.verify_image,
        pull_secret=wishes.pull_secret,
        aws=context.connection.aws,
        pull_secrets=pull_secrets,
        nodes=nodes,
        node_selector=wishes.node.selector,
    )
    found = agent_objects(configuration, add_on=KEY, image=context.agent_image)
    if nodes == "none":
        return found
    return (
        *found,
        *node_objects(
            NodeConfiguration(
                generation=context.generation,
                cluster_uid=context.uid,
                organisation=context.key.org,
                cluster=context.key.name,
                removing=removing or nodes == "leaving",
                role_arn=wishes.role_arn,
                identity=wishes.identity,
                audience=_audience(context),
                region=_region(context.manifest, registries),
                match_images=_match_images(context.manifest, wishes),
                verify_image=wishes.verify_image,
                node=wishes.node,
                aws=context.connection.aws,
            ),
            add_on=KEY,
            image=context.agent_image,
        ),
    )


def _region(manifest: Manifest, registries: tuple[str, ...]) -> str | None:
    """Where the plugin asks STS: in the provider's region, else in the first registry's."""
    first = registry_hosts.parse(registries[0]) if registries else None
    return manifest.region or (first.region if first is not None else None)


def _match_images(manifest: Manifest, wishes: AwsEcr) -> tuple[str, ...]:
    """The registries that the user named; else all of the partition, where it is known."""
    if wishes.registries:
        return wishes.registries
    if wishes.role_arn:
        return registry_hosts.kubelet_patterns(parse_role(wishes.role_arn).partition)
    region = manifest.region
    return registry_hosts.kubelet_patterns(None if region is None else registry_hosts.partition_of(region))


def _verified(context: Context, report: AgentReport | None) -> Finding:
    """The condition CredentialsVerified: from the drivers, from the agent, or from both where both deliver."""
    found = []
    nodes = report.nodes if report is not None else None
    if nodes is not None and nodes.desired and _wishes(context).by_nodes:
        found.append(ecr_nodes.verified(context, nodes))
    if report is None or report.pull_secrets:
        found.append(ecr_reports.verify(context, report))
    found = found or [Finding("Unknown", "NotVerifiedYet", "no node has run the plugin yet")]
    by_status = {finding.status: finding for finding in reversed(found)}
    return by_status.get("False") or by_status.get("True") or found[-1]


def _state(
    context: Context,
    in_the_way: tuple[Issue, ...],
    installed: Finding,
    verified: Finding,
    *,
    nodes_ready: Finding | None,
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


def _details(context: Context, report: AgentReport | None) -> Json:
    delivery, reason = _delivery(context, report)
    details: Json = {"delivery": delivery, "deliveryReason": reason}
    if report is None:
        return details
    nodes = report.nodes
    if nodes is not None:
        details["nodes"] = ecr_nodes.details(nodes)
    expiry = min((credential.expires_at for credential in report.credentials), default=None)
    by_node = nodes.verified.at if nodes is not None else None
    verified_at = min((moment for moment in (report.verified_at, by_node) if moment), default=None)
    details["registries"] = list(report.registries)
    details["credentials"] = {
        "verifiedAt": format_time(verified_at) if verified_at else None,
        "verifiedFrom": "node" if by_node and not report.verified_at else "agent",
        "expiresAt": format_time(expiry) if expiry else None,
    }
    if report.pull_secrets or report.namespaces_selected:
        details["namespaces"] = {
            "selected": report.namespaces_selected,
            "ready": report.namespaces_ready,
            "errors": [
                {"namespace": error.namespace, "code": error.code, "message": error.message}
                for error in report.namespace_errors
            ],
        }
    return details


def _delivery(context: Context, report: AgentReport | None) -> tuple[str, str]:
    """Which way credentials come to pods (`node`, `pullSecret`, or `mixed`), and why."""
    wishes = _wishes(context)
    nodes = report.nodes if report is not None and wishes.by_nodes else None
    why = f"`settings.awsECR.delivery` is `{wishes.delivery}`"
    if not wishes.by_nodes:
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


ADD_ON = AddOn(
    enabled=enabled,
    obstacles=obstacles,
    desired=desired,
    observe=observe,
    remove=remove,
    evidence=(DEPLOYMENT_KEY, DAEMON_SET_KEY, REPORT_KEY),
    kept=(REPORT_KEY,),
    stage=stage,
)
