"""What may stand between the hub and an EKS cluster that it enters by a role. One of the tables of `schemas.issues`."""

from __future__ import annotations

from schemas.eks import HUB_GROUP
from schemas.issue_kinds import IssueKind

_CLUSTER_AND_REGION = "--cluster-name {EKS_CLUSTER} --region {REGION}"
_ENTRY = f"{_CLUSTER_AND_REGION} --principal-arn {{DEPLOY_ROLE}} --kubernetes-groups {HUB_GROUP}"
_RECONNECT = "pullpass connect {CLUSTER} --org {ORG} --eks {EKS_CLUSTER} --region {REGION}"
_TRUST_THE_HUB = (
    """'{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "sts:AssumeRole","""
    """ "Principal": {{"AWS": "'{HUB_PRINCIPAL}'"}},"""
    """ "Condition": {{"StringEquals": {{"sts:ExternalId": "'{EXTERNAL_ID}'"}}}}}}]}}'"""
)

EKS_KINDS = (
    IssueKind(
        "HubIdentityMissing",
        "The hub has no AWS identity of its own with which it could reach EKS clusters: {MESSAGE}",
        "Give the hub's controller AWS credentials of its own (an instance's or a pod's role, a profile, or variables)"
        " that may do nothing but sts:AssumeRole on the roles of its clusters; or connect this cluster with a token:"
        " pullpass connect {CLUSTER} --org {ORG} --context CONTEXT",
    ),
    IssueKind(
        "HubAwsUnreachable",
        "The hub gets no answer of use from AWS in region {REGION}: {MESSAGE}",
        "This passes by itself when AWS was away for a moment; else let the hub's controller reach STS and EKS in"
        " {REGION} over https (HTTPS_PROXY, where there is a proxy).",
    ),
    IssueKind(
        "DeployRoleRefused",
        "The hub may not assume {DEPLOY_ROLE}, or the role does not exist. AWS says: {MESSAGE}",
        "Let the hub's identity assume the role, and let the role's trust policy hold this statement (a role for the"
        " hub alone needs no other): aws iam update-assume-role-policy --role-name {DEPLOY_ROLE_NAME} --policy-document "
        + _TRUST_THE_HUB,
    ),
    IssueKind(
        "DeployRoleOpen",
        "The role {DEPLOY_ROLE} lets the hub in without the external id, so every organisation of this hub could use it.",
        "Have the role's trust policy ask for it: aws iam update-assume-role-policy --role-name {DEPLOY_ROLE_NAME}"
        " --policy-document " + _TRUST_THE_HUB,
    ),
    IssueKind(
        "EksAccessDenied",
        "The role {DEPLOY_ROLE} may not ask EKS for the cluster {EKS_CLUSTER} in region {REGION}. AWS says: {MESSAGE}",
        "aws iam put-role-policy --role-name {DEPLOY_ROLE_NAME} --policy-name pullpass-eks --policy-document"
        """ '{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "eks:DescribeCluster","""
        """ "Resource": "*"}}]}}'""",
    ),
    IssueKind(
        "EksClusterNotFound",
        "EKS has no cluster {EKS_CLUSTER} that is ready in region {REGION} of the account of {DEPLOY_ROLE}. It says: {MESSAGE}",
        "Name the right one (aws eks list-clusters --region {REGION}): " + _RECONNECT,
    ),
    IssueKind(
        "EksNoAccessEntry",
        "The EKS cluster {EKS_CLUSTER} does not know {DEPLOY_ROLE} (401): {MESSAGE}",
        f"In the cluster's account: aws eks create-access-entry {_ENTRY}",
    ),
    IssueKind(
        "EksRightsMissing",
        "The role {DEPLOY_ROLE} gets into the EKS cluster {EKS_CLUSTER} and lacks rights there: {MESSAGE}",
        "Install the hub's rights as an admin of the cluster, and have the access entry name their group:"
        " pullpass connect {CLUSTER} --eks {EKS_CLUSTER} --print | kubectl --context CONTEXT apply --server-side -f -"
        f" && aws eks update-access-entry {_ENTRY}",
    ),
    IssueKind(
        "EksIssuerDiffers",
        "EKS says that {ISSUER} signs the tokens of {EKS_CLUSTER}; the API server itself says {OLD_ISSUER}.",
        "Look whether a proxy of the connection leads to another cluster, then connect again: " + _RECONNECT,
    ),
)
