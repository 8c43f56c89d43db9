"""Every right Pullpass may ever need in a cluster, under fixed names: what `pullpass connect` installs.

The hub's ServiceAccount may `bind` the named ClusterRoles (never `escalate`), apply in `pullpass-system`, and
make tokens of the named ServiceAccounts. Documented in docs/reference/rights.md.

Where a rule names objects and allows `create`, it works for server-side apply alone: only there does the API server
know the name when it authorizes the creation
(https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources).
"""

from __future__ import annotations

from controller import custom_resource
from controller.admission_policies import POLICIES, admission_policies
from controller.agent_rights import (
    CLUSTER_WIDE_ROLES,
    OWN_SECRETS,
    OWN_SECRETS_ROLE,
    WEBHOOK_NAMES,
    cluster_roles,
)
from kube.objects import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    NAMESPACE,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    Kind,
    Object,
)
from schemas.addons.aws_workload_identity import AwsWorkloadIdentity
from schemas.agent_documents import HUB_ACCOUNT, NAMESPACE_NAME
from schemas.node_documents import NODE_NAME

NODE_ROLE = NODE_NAME
NODE_AUDIENCE_ROLE = "pullpass-node-audience"
# Each by a ClusterRoleBinding of its name; the agent's rights to its own secrets by a RoleBinding.
CLUSTER_WIDE = (*CLUSTER_WIDE_ROLES, NODE_ROLE, NODE_AUDIENCE_ROLE)
BOUND_ROLES = (*CLUSTER_WIDE, OWN_SECRETS_ROLE)
EKS_WEBHOOK = "pod-identity-webhook"  # the MutatingWebhookConfiguration of the EKS pod identity webhook
TOKEN_AUDIENCE_VERB = "request-serviceaccounts-token-audience"  # noqa: S105 - a verb
MANAGED_BY = "app.kubernetes.io/managed-by"

_RBAC = "rbac.authorization.k8s.io"
_APPLY = ["get", "list", "create", "patch", "delete"]


def objects() -> list[Object]:
    """Namespace, the hub's ServiceAccount, its roles and bindings, the agent's ClusterRoles, the policies, the CRD."""
    return [
        _namespace(),
        _object(SERVICE_ACCOUNT, HUB_ACCOUNT, namespace=NAMESPACE_NAME),
        *cluster_roles({MANAGED_BY: "pullpass"}),
        _node_role(),
        _node_audience_role(),
        *admission_policies({MANAGED_BY: "pullpass"}),
        custom_resource.definition(),
        _hub_cluster_role(),
        _hub_role(),
        _bound(CLUSTER_ROLE_BINDING, CLUSTER_ROLE),
        _bound(ROLE_BINDING, ROLE, namespace=NAMESPACE_NAME),
    ]


def _namespace() -> Object:
    """Pod security `privileged`: the node driver needs host access, and the label is the admin's to give."""
    namespace = _object(NAMESPACE, NAMESPACE_NAME)
    namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "privileged"
    return namespace


def _node_role() -> Object:
    """What drivers and the agent read of the cluster's nodes; the hub binds it, and cannot widen it."""
    return {
        **_object(CLUSTER_ROLE, NODE_ROLE),
        "rules": [
            # The driver: its own Node's labels and versions, and how many others are not ready. The agent: which
            # nodes there are, by metadata alone.
            {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
            # Whether a restart of the kubelet concerns anybody: the pods on the driver's own node.
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        ],
    }


def _node_audience_role() -> Object:
    """Which audience kubelets may ask workloads' tokens for, with identity `serviceAccount`: the default one.

    The audience is the rule's resource (https://kubernetes.io/docs/reference/access-authn-authz/node/); an admin who
    sets another one adds it here.
    """
    return {
        **_object(CLUSTER_ROLE, NODE_AUDIENCE_ROLE),
        "rules": [
            {
                "apiGroups": [""],
                "resources": [AwsWorkloadIdentity.audience],
                "verbs": [TOKEN_AUDIENCE_VERB],
            }
        ],
    }


def _hub_cluster_role() -> Object:
    """The hub outside `pullpass-system`: what it reads to find its way, and the bindings it makes."""
    return {
        **_object(CLUSTER_ROLE, HUB_ACCOUNT),
        "rules": [
            {
                "nonResourceURLs": ["/version", "/.well-known/openid-configuration", "/openid/v1/jwks"],
                "verbs": ["get"],
            },
            # Whether what `pullpass connect` installed is still there.
            {
                "apiGroups": [_RBAC],
                "resources": ["clusterroles"],
                "resourceNames": list(BOUND_ROLES),
                "verbs": ["get", "bind"],
            },
            {
                "apiGroups": ["admissionregistration.k8s.io"],
                "resources": ["validatingadmissionpolicies", "validatingadmissionpolicybindings"],
                "resourceNames": list(POLICIES),
                "verbs": ["get"],
            },
            {
                "apiGroups": [_RBAC],
                "resources": ["clusterrolebindings"],
                "resourceNames": list(CLUSTER_WIDE),
                "verbs": _APPLY,
            },
            # The agent's webhooks. Whether the EKS one runs here already, which is left alone.
            {
                "apiGroups": ["admissionregistration.k8s.io"],
                "resources": ["mutatingwebhookconfigurations"],
                "resourceNames": list(WEBHOOK_NAMES),
                "verbs": _APPLY,
            },
            {
                "apiGroups": ["admissionregistration.k8s.io"],
                "resources": ["mutatingwebhookconfigurations"],
                "resourceNames": [EKS_WEBHOOK],
                "verbs": ["get"],
            },
        ],
    }


def _hub_role() -> Object:
    """The hub inside `pullpass-system`: apply and prune, and its own next token.

    It can grant no more than it holds itself: RBAC refuses a Role with rights beyond these.
    """
    return {
        **_object(ROLE, HUB_ACCOUNT, namespace=NAMESPACE_NAME),
        "rules": [
            # `watch` is for the agent: its Role may hold nothing that the hub does not hold.
            {
                "apiGroups": [""],
                "resources": ["configmaps"],
                "verbs": ["get", "list", "watch", "create", "patch", "delete"],
            },
            {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": _APPLY},
            {"apiGroups": ["apps"], "resources": ["daemonsets", "deployments"], "verbs": _APPLY},
            # The webhooks' address, and that one replica at a time is drained.
            {"apiGroups": [""], "resources": ["services"], "verbs": _APPLY},
            {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": _APPLY},
            # What the agent keeps there goes with it; the hub reads none of it.
            {
                "apiGroups": [""],
                "resources": ["secrets"],
                "resourceNames": list(OWN_SECRETS),
                "verbs": ["delete"],
            },
            # So that the drivers are admitted as critical pods where the cluster asks for a quota.
            {"apiGroups": [""], "resources": ["resourcequotas"], "verbs": _APPLY},
            # `create`, `update`, `patch` and `watch` are for drivers and agent, as above; `delete` cleans up after them.
            {
                "apiGroups": ["coordination.k8s.io"],
                "resources": ["leases"],
                "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"],
            },
            {"apiGroups": [_RBAC], "resources": ["roles", "rolebindings"], "verbs": _APPLY},
            {
                "apiGroups": [""],
                "resources": ["serviceaccounts/token"],
                "resourceNames": [HUB_ACCOUNT],
                "verbs": ["create"],
            },
        ],
    }


def _bound(binding: Kind, role: Kind, *, namespace: str | None = None) -> Object:
    """The hub's account bound to the role of its own name."""
    return {
        **_object(binding, HUB_ACCOUNT, namespace=namespace),
        "roleRef": {"apiGroup": _RBAC, "kind": role.kind, "name": HUB_ACCOUNT},
        "subjects": [{"kind": "ServiceAccount", "name": HUB_ACCOUNT, "namespace": NAMESPACE_NAME}],
    }


def _object(kind: Kind, name: str, *, namespace: str | None = None) -> Object:
    metadata: Object = {"name": name, "labels": {MANAGED_BY: "pullpass"}}
    if namespace is not None:
        metadata["namespace"] = namespace
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
