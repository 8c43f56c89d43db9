"""A driver's report, as the agent reads it off the Lease of its node.

Whoever rules a node wrote it: what cannot be read counts as no report. Called by `agent.nodes.watching`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kube.objects import Object
from schemas.node_documents import NODE_REPORT_ANNOTATION, NODE_REPORT_PREFIX
from schemas.stored import read_text

_VERSION = 1


@dataclass(frozen=True)
class NodeVerification:
    """How the installed plugin answered when the driver ran it."""

    at: datetime
    succeeded: bool
    code: str
    message: str


@dataclass(frozen=True)
class NodeReport:
    """One driver's word on its node; `state` and `reason` as in `agent.node.report`."""

    node: str
    generation: int
    state: str
    reason: str
    message: str
    distribution: str
    written_at: datetime
    token_expires_at: datetime | None = None
    verified: NodeVerification | None = None


def read(lease: Object) -> NodeReport | None:
    """The report on a Lease; None for a slot's, another's, or one that is not to be read."""
    metadata = lease["metadata"]
    node = str(metadata["name"]).removeprefix(NODE_REPORT_PREFIX)
    text = (metadata.get("annotations") or {}).get(NODE_REPORT_ANNOTATION)
    if text is None or node == metadata["name"]:
        return None
    try:
        members = read_text(text)
        if members.integer("version") != _VERSION:
            return None
        verified = members.member("verified")
        return NodeReport(
            node=node,
            generation=members.integer("generation"),
            state=members.text("state"),
            reason=members.text("reason", ""),
            message=members.text("message", ""),
            distribution=members.text("distribution", ""),
            written_at=members.time("writtenAt"),
            token_expires_at=members.optional_time("tokenExpiresAt"),
            verified=NodeVerification(
                at=verified.time("at"),
                succeeded=verified.boolean("ok"),
                code=verified.text("code", ""),
                message=verified.text("message", ""),
            )
            if members.has("verified")
            else None,
        )
    except ValueError:
        return None
