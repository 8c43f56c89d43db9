"""What a kind of issue consists of, and the commands that many remedies share. Used by the tables of `schemas.issues`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IssueKind:
    """`message` and `remedy` are `str.format_map` templates over the values of one cluster.

    A remedy is a sentence, or ends with the shortest command that mends it: `WORDS: COMMAND`, or the command alone.
    `of_other_role` takes its place where it is about a role that is not awsECR's own, which `pullpass aws setup` leaves alone.
    """

    code: str
    message: str
    remedy: str
    of_other_role: str = ""


CONNECT = "pullpass connect {CLUSTER} --org {ORG} --context CONTEXT"
ENABLE_ECR = "pullpass addons enable {CLUSTER} awsECR --org {ORG}"
SET_UP = "With credentials for account {ACCOUNT}: pullpass aws setup {CLUSTER} --org {ORG}"
ATTACH_PULL_ONLY = (
    "aws iam attach-role-policy --role-name {ROLE_NAME}"
    " --policy-arn arn:{PARTITION}:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"
)
AGENT_LOG = "kubectl --context CONTEXT -n pullpass-system logs deployment/pullpass-agent"
