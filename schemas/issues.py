"""Codes, messages and remedies of issues: one table, documented in docs/reference/issues.md.

The controller and the agent's chain speak in codes; this table turns a code and the values of one cluster
into the `Issue` that a person reads. A test holds that each code has a section in the documentation, and that
templates name no other values than those of `VALUES`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from schemas.eks_issues import EKS_KINDS
from schemas.iam_issues import IAM_KINDS
from schemas.issue_kinds import (
    AGENT_LOG,
    ATTACH_PULL_ONLY,
    CONNECT,
    ENABLE_ECR,
    SET_UP,
    IssueKind,
)
from schemas.node_issues import NODE_KINDS
from schemas.pull_secret_issues import PULL_SECRET_KINDS
from schemas.status import Issue

# What a template may name. A value that is missing (or empty) stays as `${NAME}`, for the user to fill in.
VALUES: Mapping[str, str] = {
    "CLUSTER": "the cluster's name",
    "ORG": "the organisation's name",
    "SERVER": "the API server's URL as the hub dials it",
    "ISSUER": "the https:// URL of the IAM OIDC provider: the cluster's issuer, or the published one",
    "ISSUER_HOST": "ISSUER without https://, path kept",
    "OLD_ISSUER": "the issuer that the API server names now, where ISSUER is to replace it",
    "FLAGS": "flags for the API server",
    "FINGERPRINT": "the fingerprint of the keys that wait for an admin",
    "AUDIENCE": "the audience of web identity tokens",
    "ROLE_ARN": "the role of awsECR",
    "ROLE_NAME": "the last part of ROLE_ARN",
    "PARTITION": "the partition of ROLE_ARN",
    "ACCOUNT": "the account of ROLE_ARN",
    "EKS_CLUSTER": "the cluster's name in EKS",
    "DEPLOY_ROLE": "the role by which the hub reaches an EKS cluster, or the one of the chain that failed",
    "DEPLOY_ROLE_NAME": "the last part of DEPLOY_ROLE",
    "HUB_PRINCIPAL": "who assumes DEPLOY_ROLE: the hub's own principal in IAM, or the role before it",
    "EXTERNAL_ID": "the external id that the hub sends with DEPLOY_ROLE",
    "SIZE": "the length of the trust policy, whitespace not counted",
    "QUOTA": "the length that is allowed",
    "REGION": "the AWS region of the call that failed",
    "REGISTRY": "the host of the registry that failed",
    "REGISTRY_ACCOUNT": "the account of a registry that is not the role's",
    "REPOSITORY": "a repository's name",
    "POLICY": "a policy document, whole",
    "IMAGE": "the image that was looked for (verifyImage)",
    "SUBJECT": "the service account that assumes ROLE_ARN, as AWS knows it",
    "SECRET": "the name of the secret that it is about",
    "IDENTITY": "whose credentials they are, in words: a role's ARN, or where keys are kept",
    "NODE": "the node where it happened",
    "NAMESPACE": "the namespace where it happened",
    "VERSION": "the cluster's Kubernetes version",
    "EXPIRES_AT": "when a credential runs out, or ran out",
    "MESSAGE": "the words of whoever refused: AWS, the API server, the network",
}

# Placeholders that differ from `${NAME}`: the names that people's shells use already.
_PLACEHOLDERS = {
    "ACCOUNT": "${AWS_ACCOUNT_ID}",
    "REGION": "${AWS_REGION}",
    "MESSAGE": "no details were given",
}
_NOT_FOR_A_SHELL = frozenset({"FLAGS"})  # several words, which go into a manifest


_CONNECTION_KINDS = (
    IssueKind(
        "ConnectionMissing",
        "The hub has no connection to cluster {CLUSTER}.",
        CONNECT,
    ),
    IssueKind(
        "ClusterUnreachable",
        "The API server {SERVER} does not answer: {MESSAGE}",
        "Check that {SERVER} is reachable from the hub; where its address changed, run: " + CONNECT,
    ),
    IssueKind(
        "CredentialRefused",
        "The API server refuses the hub's credential (401): {MESSAGE}",
        CONNECT,
    ),
    IssueKind(
        "ConnectionExpiring",
        "The hub's credential for cluster {CLUSTER} runs out at {EXPIRES_AT} and could not be renewed: {MESSAGE}",
        CONNECT,
    ),
    IssueKind(
        "RightsMissing",
        "The hub lacks rights in cluster {CLUSTER}: {MESSAGE}",
        "Install the hub's rights again, as an admin of the cluster: " + CONNECT,
    ),
    IssueKind(
        "AlreadyManaged",
        "Cluster {CLUSTER} is managed already: {MESSAGE}",
        "Remove it where it is managed now. If that is gone for good, run:"
        " kubectl --context CONTEXT -n pullpass-system delete configmap pullpass-owner",
    ),
    IssueKind(
        "KubernetesTooOld",
        "Kubernetes {VERSION} is too old: 1.30 is the first with ValidatingAdmissionPolicy,"
        " which keeps the agent to its own secrets.",
        "Upgrade the cluster to Kubernetes 1.30 or later.",
    ),
    IssueKind(
        "ApplyRefused",
        "An admission rule of the cluster refuses an object of Pullpass: {MESSAGE}",
        "Exempt the namespace pullpass-system from that rule.",
    ),
)

_ISSUER_KINDS = (
    IssueKind(
        "IssuerNotUsable",
        "AWS cannot use the cluster's issuer {ISSUER}: {MESSAGE}",
        "Let the hub publish the issuer (PULLPASS_PUBLIC_URL must be an https:// URL without a port):"
        " pullpass addons enable {CLUSTER} awsWorkloadIdentity --org {ORG} --issuer published",
    ),
    IssueKind(
        "IssuerNotSwitched",
        "The API server still signs tokens as {OLD_ISSUER}; AWS can know only {ISSUER}.",
        "Give the API server these flags, in this order, and restart it: {FLAGS}",
    ),
    IssueKind(
        "IssuerKeysChanged",
        "Cluster {CLUSTER} shows other signing keys (fingerprint {FINGERPRINT}) than those that were accepted.",
        "If you changed them, accept them as an admin: pullpass issuer accept {CLUSTER} {FINGERPRINT} --org {ORG}",
    ),
    IssueKind(
        "PublicUrlMissing",
        "The hub has no public https:// URL under which AWS could read the published issuer.",
        "Set PULLPASS_PUBLIC_URL for hub and controller to an https:// URL without a port, and restart them.",
    ),
)

_ADD_ON_KINDS = (
    IssueKind(
        "RoleArnMissing",
        "awsECR has no role to assume, so it cannot get credentials yet.",
        "With credentials for the AWS account that is to hold the role:"
        " pullpass aws setup {CLUSTER} --org {ORG} --role-name pullpass",
    ),
    IssueKind(
        "RegistriesUnknown",
        "No registry to log in to: none is set, the provider names none, and no pod uses an image of ECR.",
        ENABLE_ECR + " --registry {REGISTRY}",
    ),
    IssueKind(
        "TrustPolicyTooLong",
        "The trust policy of {ROLE_ARN} would have {SIZE} characters; {QUOTA} are allowed.",
        "Spread the clusters over several roles; or send AWS the request for a higher quota that this prints, and set"
        " PULLPASS_TRUST_POLICY_QUOTA to what it grants: pullpass aws setup {CLUSTER} --org {ORG} --dry-run",
    ),
    IssueKind(
        "AgentNotRunning",
        "The agent does not run in cluster {CLUSTER}: {MESSAGE}",
        "kubectl --context CONTEXT -n pullpass-system describe deployment,pods -l app.kubernetes.io/managed-by=pullpass",
    ),
    IssueKind(
        "AgentNotReporting",
        "The agent of cluster {CLUSTER} runs and does not report: {MESSAGE}",
        AGENT_LOG,
    ),
    IssueKind(
        "TokenUnreadable",
        "The agent cannot read its service account token: {MESSAGE}",
        "kubectl --context CONTEXT -n pullpass-system rollout restart deployment/pullpass-agent",
    ),
)

_STS_KINDS = (
    IssueKind(
        "OidcProviderMissing",
        "Account {ACCOUNT} has no IAM OIDC provider for {ISSUER}. AWS says: {MESSAGE}",
        SET_UP,
        "In account {ACCOUNT}: aws iam create-open-id-connect-provider --url {ISSUER} --client-id-list {AUDIENCE}",
    ),
    IssueKind(
        "AudienceNotAllowed",
        "The IAM OIDC provider for {ISSUER} does not allow the audience {AUDIENCE}. AWS says: {MESSAGE}",
        SET_UP,
        "In account {ACCOUNT}: aws iam add-client-id-to-open-id-connect-provider"
        " --open-id-connect-provider-arn arn:{PARTITION}:iam::{ACCOUNT}:oidc-provider/{ISSUER_HOST} --client-id {AUDIENCE}",
    ),
    IssueKind(
        "AudienceAmbiguous",
        "The token names more than one audience, and AWS takes one. AWS says: {MESSAGE}",
        "Find what in the cluster changes service account tokens (an admission webhook), and exempt the namespace"
        " pullpass-system; then: kubectl --context CONTEXT -n pullpass-system rollout restart deployment/pullpass-agent",
    ),
    IssueKind(
        "VerificationKeyUnavailable",
        "AWS could not read the signing keys of {ISSUER}. AWS says: {MESSAGE}",
        "From outside your network, discovery and keys must answer within 5 seconds, without a login:"
        " curl -sSf --max-time 5 {ISSUER}/.well-known/openid-configuration",
    ),
    IssueKind(
        "TrustPolicyMismatch",
        "The role {ROLE_ARN} does not exist, or its trust policy does not let {SUBJECT} assume it. AWS says: {MESSAGE}",
        SET_UP,
        "Add the statement that this prints to the trust policy of {ROLE_ARN}, with the provider of account {ACCOUNT}:"
        " pullpass trust-policy {CLUSTER} --org {ORG} --only",
    ),
    IssueKind(
        "TokenExpired",
        "AWS does not take the time of the cluster's token. AWS says: {MESSAGE}",
        "Set the clocks of the cluster's nodes (chronyc tracking); then:"
        " kubectl --context CONTEXT -n pullpass-system rollout restart deployment/pullpass-agent",
    ),
    IssueKind(
        "IdentityProviderUnreachable",
        "AWS could not reach {ISSUER}. AWS says: {MESSAGE}",
        "This passes by itself when the issuer was away for a moment; else check from outside your network:"
        " curl -sSf --max-time 5 {ISSUER}/.well-known/openid-configuration",
    ),
    IssueKind(
        "ClaimRejected",
        "AWS rejects a claim of the cluster's token. AWS says: {MESSAGE}",
        "Compare the token's claims with the IAM OIDC provider: kubectl --context CONTEXT -n pullpass-system"
        " create token pullpass-agent --audience {AUDIENCE}",
    ),
    IssueKind(
        "StsRegionDisabled",
        "STS is not active in region {REGION} of account {ACCOUNT}. AWS says: {MESSAGE}",
        "Activate {REGION} for STS under `Account settings` in the IAM console of account {ACCOUNT}.",
    ),
    IssueKind(
        "StsUnreachable",
        "The agent does not reach STS in region {REGION}: {MESSAGE}",
        "Let pods of pullpass-system reach STS over https, or set `aws.httpsProxy` or `aws.stsEndpoint` in the"
        f" connection's settings: {CONNECT} --settings FILE",
    ),
    IssueKind(
        "StsRefused",
        "STS refuses to let the cluster assume {ROLE_ARN}. AWS says: {MESSAGE}",
        "Read AWS's words; the role and its trust policy: aws iam get-role --role-name {ROLE_NAME}",
    ),
)

_ECR_KINDS = (
    IssueKind(
        "EcrAccessDenied",
        "The role {ROLE_ARN} may not ask ECR for a login in region {REGION}. AWS says: {MESSAGE}",
        SET_UP,
        ATTACH_PULL_ONLY,
    ),
    IssueKind(
        "EcrUnreachable",
        "The agent does not reach ECR in region {REGION}: {MESSAGE}",
        "Let pods of pullpass-system reach api.ecr.{REGION}.amazonaws.com over https, or set `aws.httpsProxy` or"
        f" `aws.ecrEndpoint` in the connection's settings: {CONNECT} --settings FILE",
    ),
    IssueKind(
        "EcrRefused",
        "ECR in region {REGION} gives no login. AWS says: {MESSAGE}",
        "Read AWS's words; then try the same as yourself: aws ecr get-authorization-token --region {REGION}",
    ),
    IssueKind(
        "RegistryAccessDenied",
        "The registry {REGISTRY} does not let the role {ROLE_ARN} pull. It says: {MESSAGE}",
        "Let the role pull; where the registry is another account's, its owner runs what this prints at its end. "
        + SET_UP,
        "Let the role pull; where the registry is another account's, its owner must allow ecr:BatchGetImage and"
        " ecr:GetDownloadUrlForLayer to {ROLE_ARN} in the repository's policy: " + ATTACH_PULL_ONLY,
    ),
    IssueKind(
        "RegistryUnreachable",
        "The agent does not reach the registry {REGISTRY}: {MESSAGE}",
        "Let nodes and the pods of pullpass-system reach {REGISTRY} and Amazon S3 in {REGION} over https.",
    ),
    IssueKind(
        "ImageNotFound",
        "There is no image {IMAGE}. The registry says: {MESSAGE}",
        "Push it, or name another one as `settings.awsECR.verifyImage`; what is there:"
        " aws ecr describe-images --region {REGION} --repository-name REPOSITORY",
    ),
)

KINDS: Mapping[str, IssueKind] = {
    kind.code: kind
    for kind in (
        *_CONNECTION_KINDS,
        *EKS_KINDS,
        *_ISSUER_KINDS,
        *_ADD_ON_KINDS,
        *_STS_KINDS,
        *_ECR_KINDS,
        *IAM_KINDS,
        *PULL_SECRET_KINDS,
        *NODE_KINDS,
    )
}

_MESSAGE_LIMIT = 1000


def issue(
    code: str, values: Mapping[str, str], *, resources: tuple[str, ...] = (), other_role: bool = False
) -> Issue:
    """The issue `code` with `values` filled in; a value that is missing stays as `${NAME}` for the user.

    Values go on one line; in the remedy, which people paste into a shell, they are quoted where a shell would read
    more into them than text (an issuer is what a cluster says it is).

    Args:
        code: a key of `KINDS`.
        values: by the names of `VALUES`; other names are ignored.
        resources: what it is about, such as `Namespace/shop`.
        other_role: the role is not awsECR's own.

    Raises:
        KeyError: there is no such code.
    """
    kind = KINDS[code]
    remedy = kind.of_other_role if other_role and kind.of_other_role else kind.remedy
    known = {
        name: " ".join(value.split())[:_MESSAGE_LIMIT]
        for name, value in values.items()
        if name in VALUES and value
    }
    unknown = {name: _PLACEHOLDERS.get(name, f"${{{name}}}") for name in VALUES}
    quoted = {
        name: value if name in _NOT_FOR_A_SHELL else shlex.quote(value) for name, value in known.items()
    }
    return Issue(
        code=code,
        message=kind.message.format_map({**unknown, **known}),
        remedy=remedy.format_map({**unknown, **quoted}),
        resources=resources,
    )
