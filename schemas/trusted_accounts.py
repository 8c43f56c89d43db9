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
    comes for itself. A custom resource names a role of its own, which trusts the agent likewise. Nobody, where nodes use
    the role of their own instances, or where stored keys are all there is.
    """
    spec: Mapping[str, Any] = manifest.get("spec") or {}
    key = aws_ecr.SCHEMA.key
    wishes = aws_ecr.SCHEMA.view((spec.get("addOns") or {}).get(key) or {}, settings.get(key) or {})
    pull_secret = wishes.pull_secret
    if wishes.identity == "serviceAccount":
        return tuple(sorted(set(wishes.service_accounts)))
    on_aws = (spec.get("provider") or {}).get("aws") is not None
    if wishes.by_instance_role("aws" if on_aws else "") or (
        not wishes.role_arn and pull_secret.brings_identities
    ):
        return (AGENT,) if pull_secret.custom_resources else ()
    by_agent = (
        wishes.by_pull_secrets
        or pull_secret.labelled is not None
        or pull_secret.custom_resources
        or any(adopted.keys is None for adopted in pull_secret.adopt)
    )
    found = ((by_agent, AGENT), (wishes.by_nodes, NODE))
    return tuple(account for wanted, account in found if wanted)
