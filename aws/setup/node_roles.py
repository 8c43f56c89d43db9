"""The roles of a cluster's nodes on EC2, and the one policy that lets nodes pull by them; pure.

Found by `aws.node_roles`; called by `cli` for `pullpass aws attach-node-role`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aws.arns import parse_role
from aws.setup.steps import AttachPolicy, Plan
from aws.setup.wanted import NODE_READ_ONLY, PULL_ONLY, managed_policy_arn


@dataclass(frozen=True)
class NodeRole:
    """A role that nodes have; `attached` are ARNs of its managed policies, `found_in` says by what it was found."""

    arn: str
    attached: tuple[str, ...]
    found_in: tuple[str, ...]


def plan(roles: Iterable[NodeRole]) -> Plan:
    """Attaches `AmazonEC2ContainerRegistryReadOnly` where neither it nor the narrower policy is."""
    steps: list[AttachPolicy] = []
    notes: list[str] = []
    for role in roles:
        parts = parse_role(role.arn)
        enough = {managed_policy_arn(parts.partition, name) for name in (NODE_READ_ONLY, PULL_ONLY)}
        held = sorted(enough & set(role.attached))
        if held:
            by = held[0].rpartition("/")[2]
            notes.append(f"{role.arn} ({', '.join(role.found_in)}) may pull already, by {by}")
        else:
            policy = managed_policy_arn(parts.partition, NODE_READ_ONLY)
            steps.append(AttachPolicy(role.arn, parts.name, policy))
    return Plan(tuple(steps), notes=tuple(notes))


def command(step: AttachPolicy) -> str:
    """The same by the AWS CLI, as the documentation has it."""
    return f"aws iam attach-role-policy --role-name {step.role_name} --policy-arn {step.policy_arn}"
