"""What the drivers prove, as the agent sums it up: which nodes have credentials, which do not, and whether AWS gives any.

Pure. Called by `controller.addons.aws_ecr`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

from aws import registry_hosts
from aws.trust_policy import subject
from controller.addons.addon import Context
from controller.addons.ecr_reports import Finding
from schemas import issues
from schemas.addons.aws_ecr import AwsEcr
from schemas.agent_documents import NAMESPACE_NAME, AgentReport
from schemas.node_documents import NODE_NAME, ReportedNode, ReportedNodes
from schemas.status import Issue, Json
from schemas.times import format_time

ROLLING = timedelta(minutes=10)  # after a change, nodes that take turns are only on their way
NODES_DEADLINE = timedelta(minutes=10)  # nodes that have given nothing back by then are named
NODE_SUBJECT = subject(NAMESPACE_NAME, NODE_NAME)

_CODE_OF_STATE = {
    "unsupported": "NodeUnsupported",
    "refused": "NodeRefused",
    "rolledBack": "NodeRolledBack",
    "failed": "NodeFailed",
}
# A driver's reason that says more than its state: nothing is wrong with the node's files then.
_CODE_OF_REASON = {
    "PluginCannotRun": "PluginFailed",
    "TokenUnreadable": "TokenUnreadable",
    "Cordoned": "NodeWaiting",
    "DeviceNode": "NodeWaiting",
}
_NAMED = 3  # in a sentence


def ready(context: Context, report: AgentReport | None) -> Finding:
    """The condition NodesReady, with an issue for each kind of trouble; its resources are the nodes."""
    nodes = report.nodes if report is not None else None
    if nodes is None:
        return Finding("Unknown", "NoReport", "no driver has reported yet")
    found = troubles(context, nodes.not_done)
    if nodes.late and not found and report is not None and not report.pull_secrets:
        # Nothing else delivers, and no driver says what is in the way.
        found = (_issue(context, "NodesLate", nodes.not_done),) if nodes.not_done else ()
    counts = f"{nodes.ready} of {nodes.desired} nodes get credentials themselves"
    if nodes.ready >= nodes.desired:
        return Finding(
            "True" if nodes.desired else "Unknown", "NodesReady" if nodes.desired else "NoNodes", counts
        )
    reason = found[0].code if found else "NodesChanging"
    return Finding("False", reason, f"{counts}: {named(nodes)}", found)


def troubles(context: Context, not_done: Iterable[ReportedNode]) -> tuple[Issue, ...]:
    """One issue a code, that of the first node of its kind."""
    by_code: dict[str, list[ReportedNode]] = defaultdict(list)
    for node in not_done:
        code = _CODE_OF_REASON.get(node.reason) or _CODE_OF_STATE.get(node.state)
        if code is not None:
            by_code[code].append(node)
    return tuple(_issue(context, code, nodes) for code, nodes in sorted(by_code.items()))


def verified(context: Context, nodes: ReportedNodes) -> Finding:
    """Whether the plugin that is installed gets credentials, run on the nodes as their kubelets run it."""
    proof = nodes.verified
    if proof.failed:
        code = proof.code if proof.code in issues.KINDS else "PluginFailed"
        if code == "EcrAccessDenied" and not (context.manifest.aws_ecr or AwsEcr()).role_arn:
            code = "NodeRoleMayNotPull"
        message = proof.message or "the plugin gives no credentials"
        values = {
            "MESSAGE": message,
            "NODE": proof.node,
            "SUBJECT": NODE_SUBJECT,
            "REGION": _region(context),
        }
        issue = context.issue(code, values, resources=(f"Node/{proof.node}",))
        words = f"the plugin on {proof.failed} nodes, {proof.node} for one: {message}"
        return Finding("False", code, words, (issue,))
    if proof.at is not None:
        return Finding("True", "Verified", "the plugin gets credentials on the nodes")
    if nodes.ready:
        return Finding("Unknown", "NothingToVerify", "nothing says which registry to ask: set verifyImage")
    return Finding("Unknown", "NotVerifiedYet", "no node has run the plugin yet")


def not_cleaned(context: Context, report: AgentReport | None) -> tuple[Issue, ...]:
    """The nodes that still have something of ours, once they had their time to give it back."""
    nodes = report.nodes if report is not None else None
    if nodes is None or not nodes.not_done:
        return ()
    if context.now - context.since < NODES_DEADLINE and not nodes.left:
        return ()
    return (_issue(context, "NodesNotCleaned", nodes.not_done),)


def details(nodes: ReportedNodes) -> Json:
    """The member `nodes` of the status."""
    expiry = nodes.token_expires_at
    return {
        "desired": nodes.desired,
        "ready": nodes.ready,
        "existing": nodes.existing,
        "restarting": nodes.restarting,
        "waiting": nodes.waiting,
        "rolledBack": nodes.rolled_back,
        "unsupported": nodes.unsupported,
        "refused": nodes.refused,
        "failed": nodes.failed,
        "pending": nodes.pending,
        "removed": nodes.removed,
        "notReady": [
            {
                "name": node.name,
                "state": node.state,
                "reason": node.reason,
                "message": node.message,
                "distribution": node.distribution,
            }
            for node in nodes.not_done
        ],
        "tokenExpiresAt": format_time(expiry) if expiry else None,
    }


def named(nodes: ReportedNodes) -> str:
    """The nodes that are not ready, the first few by name with their reasons."""
    words = [f"{node.name} ({_why(node)})" for node in nodes.not_done[:_NAMED]]
    more = nodes.desired - nodes.ready - len(words)
    return ", ".join(words) + (f" and {more} more" if words and more > 0 else "")


def _why(node: ReportedNode) -> str:
    return ": ".join(part for part in (node.state, node.reason or node.message) if part)


def _issue(context: Context, code: str, nodes: Iterable[ReportedNode]) -> Issue:
    found = list(nodes)
    first = found[0]
    message = first.message or first.reason or f"its driver's last word was `{first.state}`"
    return context.issue(
        code,
        {"NODE": first.name, "MESSAGE": message, "SUBJECT": NODE_SUBJECT},
        resources=tuple(f"Node/{node.name}" for node in found),
    )


def _region(context: Context) -> str:
    wishes = context.manifest.aws_ecr or AwsEcr()
    image = registry_hosts.of_image(wishes.verify_image) if wishes.verify_image else None
    return context.manifest.region or (image.region if image is not None else "")
