"""What hub and agent say of nodes: the drivers' configuration, and the sum of what they report.

The hub writes `NodeConfiguration` into ConfigMap `pullpass-node` (key `configuration.json`), every driver reads it.
Each driver reports in a Lease of its node; the agent sums them up as `ReportedNodes`, a member of its own report
(`schemas.agent_documents`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from schemas.addons.aws_ecr import NodeDelivery
from schemas.connection import AwsAccess, aws_access_to_json
from schemas.stored import Members, canonical_text
from schemas.times import format_time

NODE_DOCUMENT_VERSION = 1
NODE_NAME = (
    "pullpass-node"  # of the drivers' ServiceAccount, ConfigMap, DaemonSet, ResourceQuota and ClusterRole
)
NODE_COMPONENT = "app.kubernetes.io/component=node"  # a label of every Lease that drivers write
NODE_REPORT_PREFIX = "pullpass-node-"  # of a Lease; the Node's name follows
NODE_REPORT_ANNOTATION = "pullpass.dev/report"

REPORTED_NODE_LIMIT = 20
_NAME_LIMIT = 253
_MESSAGE_LIMIT = 500


@dataclass(frozen=True)
class NodeConfiguration:
    """What every node's driver is to do: `configuration.json` of ConfigMap `pullpass-node`.

    `role_arn` None: the node's own role. `match_images` are the kubelet's patterns of the images it asks us about.
    The driver reads it itself (`agent.node.configuration`), strictly: a member it does not know is refused.
    """

    generation: int
    cluster_uid: str
    organisation: str
    cluster: str
    removing: bool
    role_arn: str | None
    identity: str
    audience: str
    region: str | None
    match_images: tuple[str, ...]
    verify_image: str | None = None
    node: NodeDelivery = field(default_factory=NodeDelivery)
    aws: AwsAccess = field(default_factory=AwsAccess)


@dataclass(frozen=True)
class ReportedNode:
    """One node that is not as it should be: its driver's words, or ours where there is no driver.

    `state` is the driver's, or `pending` where it has not answered this generation. `silent` tells that nothing was
    heard of it for ten minutes.
    """

    name: str
    state: str
    reason: str = ""
    message: str = ""
    distribution: str = ""
    silent: bool = False


@dataclass(frozen=True)
class ReportedVerification:
    """The drivers running the installed plugin as the kubelet would: `failed` nodes of those that tried.

    `at` is the oldest success (None: there is none); `node`, `code` and `message` are the first failure's.
    """

    at: datetime | None = None
    failed: int = 0
    node: str = ""
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class ReportedNodes:
    """The sum over the drivers' Leases.

    `desired` counts the nodes that are to have credentials of their own; while drivers leave, those that may still
    have something of ours. Each is in one of the counts after it, by its driver's state; `pending` are those whose
    driver has not answered this generation. `existing` of the `ready` ones had an ECR provider before; `late` of the
    others have not been ready for ten minutes. At most 20 that are not done stand in `not_done`. `left` tells that drivers have nothing more to give back, or that those which
    have are given up.
    """

    desired: int = 0
    ready: int = 0
    existing: int = 0
    restarting: int = 0
    waiting: int = 0
    rolled_back: int = 0
    unsupported: int = 0
    refused: int = 0
    failed: int = 0
    pending: int = 0
    removed: int = 0
    late: int = 0
    not_done: tuple[ReportedNode, ...] = ()
    token_expires_at: datetime | None = None
    verified: ReportedVerification = field(default_factory=ReportedVerification)
    left: bool = False


# Of version 1; drivers refuse members that they do not know, and pull from private registries with these.
_AWS_MEMBERS = ("stsEndpoint", "ecrEndpoint", "registryEndpoint", "httpsProxy", "noProxy", "caBundle")


def dump_node_configuration(configuration: NodeConfiguration) -> str:
    """Canonical JSON text (sorted keys), every member of version 1 there."""
    given = aws_access_to_json(configuration.aws)
    return canonical_text(
        {
            "version": NODE_DOCUMENT_VERSION,
            "generation": configuration.generation,
            "cluster": {
                "uid": configuration.cluster_uid,
                "organisation": configuration.organisation,
                "name": configuration.cluster,
            },
            "removing": configuration.removing,
            "selector": dict(configuration.node.selector),
            "roleArn": configuration.role_arn,
            "identity": configuration.identity,
            "audience": configuration.audience,
            "region": configuration.region,
            "matchImages": list(configuration.match_images),
            "maxUnavailable": configuration.node.max_unavailable,
            "restartDeviceNodes": configuration.node.restart_device_nodes,
            "verifyImage": configuration.verify_image,
            "aws": {name: given.get(name) for name in _AWS_MEMBERS},
        }
    )


def reported_nodes_to_json(nodes: ReportedNodes) -> dict[str, Any]:
    """The member `nodes` of the agent's report."""
    return {
        **{wire: getattr(nodes, name) for wire, name in _COUNTS.items()},
        "notDone": [
            {
                "name": node.name,
                "state": node.state,
                "reason": node.reason,
                "message": node.message,
                "distribution": node.distribution,
                "silent": node.silent,
            }
            for node in nodes.not_done
        ],
        "tokenExpiresAt": _time(nodes.token_expires_at),
        "verified": {
            "at": _time(nodes.verified.at),
            "failed": nodes.verified.failed,
            "node": nodes.verified.node,
            "code": nodes.verified.code,
            "message": nodes.verified.message,
        },
        "left": nodes.left,
    }


def reported_nodes_from_json(members: Members) -> ReportedNodes:
    """The inverse, cut to sizes that are safe to store and show.

    Raises:
        ValueError: a member is of another type; the message names it.
    """
    verified = members.member("verified")
    return ReportedNodes(
        **{name: members.integer(wire, 0) for wire, name in _COUNTS.items()},
        not_done=tuple(
            ReportedNode(
                name=node.text("name")[:_NAME_LIMIT],
                state=node.text("state")[:_NAME_LIMIT],
                reason=node.text("reason", "")[:_NAME_LIMIT],
                message=node.text("message", "")[:_MESSAGE_LIMIT],
                distribution=node.text("distribution", "")[:_NAME_LIMIT],
                silent=node.boolean("silent", default=False),
            )
            for node in islice(members.list_of_members("notDone"), REPORTED_NODE_LIMIT)
        ),
        token_expires_at=members.optional_time("tokenExpiresAt"),
        verified=ReportedVerification(
            at=verified.optional_time("at"),
            failed=verified.integer("failed", 0),
            node=verified.text("node", "")[:_NAME_LIMIT],
            code=verified.text("code", "")[:_NAME_LIMIT],
            message=verified.text("message", "")[:_MESSAGE_LIMIT],
        ),
        left=members.boolean("left", default=False),
    )


_COUNTS = {
    "desired": "desired",
    "ready": "ready",
    "existing": "existing",
    "restarting": "restarting",
    "waiting": "waiting",
    "rolledBack": "rolled_back",
    "unsupported": "unsupported",
    "refused": "refused",
    "failed": "failed",
    "pending": "pending",
    "removed": "removed",
    "late": "late",
}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)
