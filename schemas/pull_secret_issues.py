"""Issues of pull secrets, of the identities behind them, and of the agent's webhooks: part of the table in `schemas.issues`."""

from __future__ import annotations

from schemas.issue_kinds import AGENT_LOG, IssueKind

_PUBLIC_READ_ONLY = (
    "aws iam attach-role-policy --role-name {ROLE_NAME}"
    " --policy-arn arn:{PARTITION}:iam::aws:policy/AmazonElasticContainerRegistryPublicReadOnly"
)
_CLAIMS = "kubectl --context CONTEXT get ecrpullsecrets.pullpass.dev"

PULL_SECRET_KINDS = (
    IssueKind(
        "SecretNotOurs",
        "Namespace {NAMESPACE} has a secret {SECRET} that Pullpass did not make, and does not touch.",
        "If nobody needs it, as after another tool that Pullpass takes the place of:"
        " kubectl --context CONTEXT -n {NAMESPACE} delete secret {SECRET}",
    ),
    IssueKind(
        "NamespaceWriteRefused",
        "The cluster refuses the pull secret {SECRET} or its reference in namespace {NAMESPACE}: {MESSAGE}",
        "Exempt the secret {SECRET} and the user system:serviceaccount:pullpass-system:pullpass-agent from the rule"
        " that says so, or leave the namespace out with `settings.awsECR.pullSecret.excludeNamespaces`.",
    ),
    IssueKind(
        "PullSecretClash",
        "Several ask for the secret {SECRET} in namespace {NAMESPACE}, and the first has it: {MESSAGE}",
        "Give one of them another secret name (`spec.secretName`, `settings.awsECR.pullSecret.name`) or other"
        " namespaces; who asks for what: " + _CLAIMS,
    ),
    IssueKind(
        "KeysMissing",
        "There are no AWS keys to use ({IDENTITY}): {MESSAGE}",
        "Make the secret with both keys, from files: kubectl --context CONTEXT -n NAMESPACE create secret generic NAME"
        " --from-file=AWS_ACCESS_KEY_ID --from-file=AWS_SECRET_ACCESS_KEY",
    ),
    IssueKind(
        "KeysRefused",
        "AWS does not accept the keys it is given ({IDENTITY}). AWS says: {MESSAGE}",
        "Make a new access key (aws iam create-access-key --user-name USER), put it into that secret, and delete the old"
        " one.",
    ),
    IssueKind(
        "MetadataUnavailable",
        "The agent gets no credentials of the instance it runs on: {MESSAGE}",
        "Give the instances a role, and let pods reach their metadata service: aws ec2 modify-instance-metadata-options"
        " --instance-id INSTANCE --http-endpoint enabled --http-put-response-hop-limit 2",
    ),
    IssueKind(
        "AssumeRoleRefused",
        "A role of a chain may not be assumed ({IDENTITY}). AWS says: {MESSAGE}",
        "Allow both sides: `sts:AssumeRole` on that role in the policy of the identity before it, and that identity (with"
        " its external id) in the role's trust policy: aws iam get-role --role-name {ROLE_NAME}",
    ),
    IssueKind(
        "PublicRefused",
        "An identity may not ask ECR Public for a login ({IDENTITY}). AWS says: {MESSAGE}",
        "Allow `ecr-public:GetAuthorizationToken` and `sts:GetServiceBearerToken`, as this policy does: "
        + _PUBLIC_READ_ONLY,
    ),
    IssueKind(
        "WebhookNotServing",
        "The agent's webhooks are not served in cluster {CLUSTER}: {MESSAGE}",
        "The API server must reach pods of pullpass-system on port 9443. What the agent says: " + AGENT_LOG,
    ),
    IssueKind(
        "AdoptedResourceMissing",
        "`settings.awsECR.pullSecret.adopt` names a resource that cluster {CLUSTER} does not know: {MESSAGE}",
        "Install its CRD (it goes away with the older operator's chart), or take it out of the settings; what is there:"
        " kubectl --context CONTEXT get crd",
    ),
    IssueKind(
        "CustomResourceRefused",
        "A custom resource cannot be served as it stands: {MESSAGE}",
        "Mend what its conditions say; where the resource itself is not known, connect the cluster again. What they say: "
        + _CLAIMS
        + " -o yaml",
    ),
)
