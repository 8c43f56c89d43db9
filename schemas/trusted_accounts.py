"""Whom awsECR's role has to trust, by what is asked for: the one rule behind every trust policy.

Called by `fleet`, which keeps the answer in a column beside the role, and by `addon_api`, which writes the policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.addons import aws_ecr
from schemas.agent_documents import AGENT_ACCOUNT, NAMESPACE_NAME
from schemas.node_documents import NODE_NAME

AGENT = f"{NAMESPACE_NAME}/{AGENT_ACCOUNT}"
NODE = f"{NAMESPACE_NAME}/{NODE_NAME}"
BY_DEFAULT = (AGENT, NODE)


def of_cluster(manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[str, ...]:
    """`namespace/name` of the service accounts that assume the role, sorted; both documents have been checked.

    Pull secrets are the agent's doing, delivery by nodes the drivers'; with identity `serviceAccount` each workload
    comes for itself. Nobody, where nodes use the role of their own instances.
    """
    spec: Mapping[str, Any] = manifest.get("spec") or {}
    key = aws_ecr.SCHEMA.key
    wishes = aws_ecr.SCHEMA.view((spec.get("addOns") or {}).get(key) or {}, settings.get(key) or {})
    if wishes.by_instance_role("aws" if (spec.get("provider") or {}).get("aws") is not None else ""):
        return ()
    if wishes.identity == "serviceAccount":
        return tuple(sorted(set(wishes.service_accounts)))
    found = ((wishes.by_pull_secrets, AGENT), (wishes.by_nodes, NODE))
    return tuple(account for wanted, account in found if wanted)
