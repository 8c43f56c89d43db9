"""What a driver says of its node: one annotation on one Lease a node, read by the agent's sum and by other drivers.

Lease `pullpass-node-<node name>` in `pullpass-system`, annotation `pullpass.dev/report`, JSON, version 1. `loop` writes
it, `slots` reads those of other nodes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from agent.node.kubernetes import NAMESPACE, Object
from agent.node.plugin import Verification

VERSION = 1
DRIVER_VERSION = 1  # of what this driver does to a node
ANNOTATION = "pullpass.dev/report"
PREFIX = "pullpass-node-"
LEASE_SECONDS = 900

NodeState = Literal[
    "ready", "restarting", "waiting", "rolledBack", "unsupported", "refused", "removed", "failed"
]


@dataclass(frozen=True)
class Report:
    """One look's result. `reason` is a CamelCase word, empty where there is nothing to say."""

    generation: int
    node: str
    distribution: str
    state: NodeState
    reason: str = ""
    message: str = ""
    hash: str = ""
    token_expires_at: datetime | None = None
    verified: Verification | None = None

    def document(self, written_at: datetime) -> dict[str, Any]:
        """The JSON object of the annotation."""
        verified = self.verified
        return {
            "version": VERSION,
            "generation": self.generation,
            "node": self.node,
            "distribution": self.distribution,
            "state": self.state,
            "reason": self.reason,
            "message": self.message,
            "hash": self.hash,
            "tokenExpiresAt": self.token_expires_at and rfc3339(self.token_expires_at),
            "verified": verified
            and {
                "at": rfc3339(verified.at),
                "ok": verified.ok,
                "code": verified.code,
                "message": verified.message,
            },
            "driverVersion": DRIVER_VERSION,
            "writtenAt": rfc3339(written_at),
        }

    def lease(self, cluster_uid: str, written_at: datetime) -> Object:
        """The Lease that carries it."""
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": f"{PREFIX}{self.node}",
                "namespace": NAMESPACE,
                "labels": {
                    "app.kubernetes.io/managed-by": "pullpass",
                    "app.kubernetes.io/component": "node",
                    **({"pullpass.dev/cluster": cluster_uid} if cluster_uid else {}),
                },
                "annotations": {ANNOTATION: json.dumps(self.document(written_at), separators=(",", ":"))},
            },
            "spec": {
                "holderIdentity": self.node,
                "leaseDurationSeconds": LEASE_SECONDS,
                "renewTime": written_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }


def of_leases(leases: list[Object]) -> dict[str, dict[str, Any]]:
    """The reports in these Leases, node to document; what cannot be read is left out."""
    found: dict[str, dict[str, Any]] = {}
    for lease in leases:
        metadata = lease.get("metadata", {})
        if not str(metadata.get("name", "")).startswith(PREFIX):
            continue
        try:
            document = json.loads((metadata.get("annotations") or {})[ANNOTATION])
            found[document["node"]] = document
        except (ValueError, KeyError, TypeError):
            continue
    return found


def rfc3339(moment: datetime) -> str:
    """`2026-11-22T05:40:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
