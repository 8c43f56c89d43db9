"""What a kind of issue consists of, and the commands that many remedies share. Used by the tables of `schemas.issues`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IssueKind:
    """`message` and `remedy` are `str.format_map` templates over the values of one cluster."""

    code: str
    message: str
    remedy: str


CONNECT = "pullpass connect {CLUSTER} --org {ORG} --context CONTEXT"
GET_TRUST_POLICY = (
    'curl -sf -H "Authorization: Bearer $PULLPASS_TOKEN"'
    ' "$PULLPASS_ENDPOINT"/org/{ORG}/mk8s/{CLUSTER}/-addons/awsECR/trustPolicy > trust-policy.json'
)
UPDATE_TRUST_POLICY = (
    f"{GET_TRUST_POLICY} && "
    "aws iam update-assume-role-policy --role-name {ROLE_NAME} --policy-document file://trust-policy.json"
)
PATCH = (
    'curl -sf -X PATCH -H "Authorization: Bearer $PULLPASS_TOKEN" -H "Content-Type: application/json"'
    ' "$PULLPASS_ENDPOINT"/org/{ORG}/mk8s/{CLUSTER} -d '
)
ATTACH_PULL_ONLY = (
    "aws iam attach-role-policy --role-name {ROLE_NAME}"
    " --policy-arn arn:{PARTITION}:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"
)
AGENT_LOG = "kubectl --context CONTEXT -n pullpass-system logs deployment/pullpass-agent"
