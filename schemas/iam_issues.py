"""What the hub found missing in AWS before a pull failed of it. One of the tables of `schemas.issues`."""

from __future__ import annotations

from schemas.issue_kinds import SET_UP, IssueKind

IAM_KINDS = (
    IssueKind(
        "IamProviderDiffers",
        "Account {ACCOUNT} does not know the tokens of cluster {CLUSTER}: {MESSAGE}",
        SET_UP,
    ),
    IssueKind(
        "IamTrustDiffers",
        "The role {ROLE_ARN} does not let cluster {CLUSTER} in: {MESSAGE}",
        SET_UP,
    ),
    IssueKind(
        "IamPermissionsDiffer",
        "The role {ROLE_ARN} may not pull what cluster {CLUSTER} needs: {MESSAGE}",
        SET_UP,
    ),
    IssueKind(
        "RegistryPolicyDiffers",
        "The owner of a registry that cluster {CLUSTER} pulls from does not let {ROLE_ARN} in: {MESSAGE}",
        "With credentials for account {REGISTRY_ACCOUNT}: aws ecr set-repository-policy --region {REGION}"
        " --repository-name {REPOSITORY} --policy-text {POLICY}",
    ),
)
