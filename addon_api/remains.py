"""What a removed cluster still holds, each with the exact command that takes it away.

Nobody asks the cluster: this lists what Pullpass may have installed there.
"""

from __future__ import annotations

from addon_api import trust_policies
from aws.arns import parse_role
from fleet.records import Cluster, PublishedIssuer
from schemas.agent_documents import NAMESPACE_NAME, SECRET_NAME

Remains = list[dict[str, str]]

_LABEL = "app.kubernetes.io/managed-by=pullpass"
_UNREFERENCE = (
    "kubectl get serviceaccounts --all-namespaces -o json"
    f' | jq -r \'.items[] | select(any(.imagePullSecrets[]?; .name == "{SECRET_NAME}"))'
    " | [.metadata.namespace, .metadata.name,"
    f' ([.imagePullSecrets[] | select(.name != "{SECRET_NAME}")] | tojson)] | @tsv\''
    " | while IFS=$'\\t' read -r namespace name keep; do"
    ' kubectl -n "$namespace" patch serviceaccount "$name" --type merge'
    ' -p "{\\"imagePullSecrets\\":$keep}"; done'
)


_RIGHTS = {
    "what": "cluster roles, bindings and the admission policy",
    "command": "kubectl delete clusterrolebindings,clusterroles,validatingadmissionpolicybindings,"
    f"validatingadmissionpolicies -l {_LABEL}",
}


def after_removal() -> Remains:
    """What `pullpass connect` installed: the hub gives back all else, and may not delete this."""
    return [
        _RIGHTS,
        {"what": f"namespace {NAMESPACE_NAME}", "command": f"kubectl delete namespace {NAMESPACE_NAME}"},
    ]


def after_force(cluster: Cluster, issuer: PublishedIssuer | None) -> Remains:
    """Everything, because nothing was given back: `what` and `command` of each thing, in the order in which to take them away; empty when there is nothing."""
    found: Remains = []
    if cluster.connected:
        # The agent goes first: it would put back what the later commands take away.
        found += [
            {
                "what": f"namespace {NAMESPACE_NAME} with the agent",
                "command": f"kubectl delete namespace {NAMESPACE_NAME}",
            },
            {"what": "references in service accounts", "command": _UNREFERENCE},
            {
                "what": f"pull secrets {SECRET_NAME}",
                "command": "kubectl delete secrets --all-namespaces"
                f" -l {_LABEL},pullpass.dev/cluster={cluster.uid}",
            },
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
                "command": 'curl -X DELETE -H "Authorization: Bearer $PULLPASS_TOKEN"'
                f' "$PULLPASS_ENDPOINT/org/{cluster.key.org}/-issuers/{issuer.id}"',
            }
        )
    return found
