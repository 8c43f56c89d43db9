"""What a removed cluster still holds, each with the exact command that takes it away.

Nobody asks the cluster: this lists what Pullpass may have installed there.
"""

from __future__ import annotations

from addon_api import trust_policies
from aws.arns import parse_role
from fleet.records import Cluster, PublishedIssuer
from schemas.agent_documents import NAMESPACE_NAME, SECRET_NAME

Remains = list[dict[str, str]]

_MARK = "pullpass.dev/image-pull-secret"
_LABEL = "app.kubernetes.io/managed-by=pullpass"
# Every name that the agent put there stands in an annotation; before there was one, there was but one name.
_UNREFERENCE = (
    "kubectl get serviceaccounts --all-namespaces -o json"
    f' | jq -r \'.items[] | ((.metadata.annotations["{_MARK}"] // "{SECRET_NAME}") | split(",")) as $ours'
    " | select(any(.imagePullSecrets[]?; .name | IN($ours[])))"
    " | [.metadata.namespace, .metadata.name,"
    " ([.imagePullSecrets[] | select(.name | IN($ours[]) | not)] | tojson)] | @tsv'"
    " | while IFS=$'\\t' read -r namespace name keep; do"
    ' kubectl -n "$namespace" patch serviceaccount "$name" --type merge'
    ' -p "{\\"imagePullSecrets\\":$keep}"; done'
)


_RIGHTS = {
    "what": "cluster roles, bindings and admission policies",
    "command": "kubectl delete clusterrolebindings,clusterroles,validatingadmissionpolicybindings,"
    f"validatingadmissionpolicies -l {_LABEL}",
}


_DEFINITION = {
    "what": "the custom resource ECRPullSecret, with every object of it",
    "command": "kubectl delete customresourcedefinition ecrpullsecrets.pullpass.dev",
}
# Without the agent nobody would ever take the finalizers off.
_FINALIZERS = {
    "what": "finalizers of ECRPullSecrets",
    "command": "kubectl get ecrpullsecrets.pullpass.dev -o name --ignore-not-found | xargs -r -n 1 -I {}"
    ' kubectl patch {} --type merge -p \'{"metadata":{"finalizers":null}}\'',
}
_WEBHOOKS = {
    "what": "webhooks, which the API server would go on asking",
    "command": f"kubectl delete mutatingwebhookconfigurations -l {_LABEL}",
}


def after_removal() -> Remains:
    """What `pullpass connect` installed: the hub gives back all else, and may not delete this."""
    return [
        _RIGHTS,
        _DEFINITION,
        {"what": f"namespace {NAMESPACE_NAME}", "command": f"kubectl delete namespace {NAMESPACE_NAME}"},
    ]


def after_force(cluster: Cluster, issuer: PublishedIssuer | None) -> Remains:
    """Everything, because nothing was given back: `what` and `command` of each thing, in the order in which to take them away; empty when there is nothing."""
    found: Remains = []
    if cluster.connected:
        # The agent goes first of what it makes: it would put back what the later commands take away.
        found += [
            _WEBHOOKS,
            {
                "what": f"namespace {NAMESPACE_NAME} with the agent",
                "command": f"kubectl delete namespace {NAMESPACE_NAME}",
            },
            {"what": "references in service accounts", "command": _UNREFERENCE},
            {
                "what": "pull secrets",
                "command": "kubectl delete secrets --all-namespaces"
                f" -l {_LABEL},pullpass.dev/cluster={cluster.uid}",
            },
            _FINALIZERS,
            _DEFINITION,
            _RIGHTS,
        ]
    url = trust_policies.issuer_of(cluster)
    role = trust_policies.role_arn_of(cluster)
    if url is not None and role is not None:
        arn = parse_role(role)
        provider = f"arn:{arn.partition}:iam::{arn.account}:oidc-provider/{url.removeprefix('https://')}"
        found.append(
            {
                "what": f"trust in this cluster: its statement in {role}, and its OIDC provider",
                "command": f"aws iam delete-open-id-connect-provider --open-id-connect-provider-arn {provider}",
            }
        )
    if issuer is not None and issuer.keys:
        found.append(
            {
                "what": "the published issuer, which goes on being served until you say that nothing uses it",
                "command": f"pullpass issuer forget {issuer.id} --org {cluster.key.org}",
            }
        )
    return found
