"""Every right Pullpass may ever need in a cluster, under fixed names: what `pullpass connect` installs.

The hub's ServiceAccount may `bind` the named ClusterRoles (never `escalate`), apply in `pullpass-system`, and
make tokens of the named ServiceAccounts. Documented in docs/reference/rights.md.

Where a rule names objects and allows `create`, it works for server-side apply alone: only there does the API server
know the name when it authorizes the creation
(https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources).
"""

from __future__ import annotations

from kube.objects import (
    ADMISSION_POLICY,
    ADMISSION_POLICY_BINDING,
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
from schemas.agent_documents import AGENT_ACCOUNT, HUB_ACCOUNT, NAMESPACE_NAME, SECRET_NAME
from schemas.node_documents import NODE_NAME

AGENT_SECRETS_ROLE = "pullpass-agent-secrets"
AGENT_SECRETS_POLICY = "pullpass-agent-secrets"
NODE_ROLE = NODE_NAME
NODE_AUDIENCE_ROLE = "pullpass-node-audience"
BOUND_ROLES = (AGENT_SECRETS_ROLE, NODE_ROLE, NODE_AUDIENCE_ROLE)  # each by a ClusterRoleBinding of its name
TOKEN_AUDIENCE_VERB = "request-serviceaccounts-token-audience"  # noqa: S105 - a verb
MANAGED_BY = "app.kubernetes.io/managed-by"

_RBAC = "rbac.authorization.k8s.io"
_APPLY = ["get", "list", "create", "patch", "delete"]


def objects() -> list[Object]:
    """Namespace, the hub's ServiceAccount, its roles and bindings, the agent's ClusterRoles, the admission policy."""
    return [
        _namespace(),
        _object(SERVICE_ACCOUNT, HUB_ACCOUNT, namespace=NAMESPACE_NAME),
        _agent_secrets_role(),
        _node_role(),
        _node_audience_role(),
        _agent_secrets_policy(),
        _agent_secrets_policy_binding(),
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


def _agent_secrets_role() -> Object:
    """What the agent may do in every namespace for pull secrets; the hub binds it, and cannot widen it."""
    return {
        **_object(CLUSTER_ROLE, AGENT_SECRETS_ROLE),
        "rules": [
            # Which namespaces there are, and which registries their pods' images name.
            {"apiGroups": [""], "resources": ["namespaces", "pods"], "verbs": ["get", "list", "watch"]},
            # The reference in `imagePullSecrets`.
            {
                "apiGroups": [""],
                "resources": ["serviceaccounts"],
                "verbs": ["get", "list", "watch", "patch"],
            },
            # One name only; `list` and `watch` with the field selector `metadata.name`.
            {
                "apiGroups": [""],
                "resources": ["secrets"],
                "resourceNames": [SECRET_NAME],
                "verbs": ["get", "list", "watch", "create", "patch", "delete"],
            },
        ],
    }


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


def _agent_secrets_policy() -> Object:
    """Narrows the agent beyond RBAC: pull secrets only, and never over a secret that is not ours.

    Kubernetes 1.30 is the first that serves it (https://kubernetes.io/docs/reference/access-authn-authz/
    validating-admission-policy/).
    """
    return {
        **_object(ADMISSION_POLICY, AGENT_SECRETS_POLICY),
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE", "DELETE"],
                        "resources": ["secrets"],
                    }
                ]
            },
            "matchConditions": [
                {
                    "name": "by-the-agent",
                    "expression": "request.userInfo.username == "
                    f"'system:serviceaccount:{NAMESPACE_NAME}:{AGENT_ACCOUNT}'",
                }
            ],
            "validations": [
                {
                    "expression": "request.operation == 'DELETE' || "
                    f"(object.metadata.name == '{SECRET_NAME}' && object.type == 'kubernetes.io/dockerconfigjson' "
                    f"&& {_is_ours('object')})",
                    "message": "the Pullpass agent writes nothing but its own kubernetes.io/dockerconfigjson secret "
                    f"{SECRET_NAME}",
                },
                {
                    "expression": f"request.operation == 'CREATE' || {_is_ours('oldObject')}",
                    "message": "the Pullpass agent neither changes nor deletes a secret that is not its own",
                },
            ],
        },
    }


def _is_ours(variable: str) -> str:
    labels = f"{variable}.metadata.labels"
    return f"(has({labels}) && '{MANAGED_BY}' in {labels} && {labels}['{MANAGED_BY}'] == 'pullpass')"


def _agent_secrets_policy_binding() -> Object:
    return {
        **_object(ADMISSION_POLICY_BINDING, AGENT_SECRETS_POLICY),
        "spec": {"policyName": AGENT_SECRETS_POLICY, "validationActions": ["Deny"]},
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
                "resourceNames": [AGENT_SECRETS_POLICY],
                "verbs": ["get"],
            },
            {
                "apiGroups": [_RBAC],
                "resources": ["clusterrolebindings"],
                "resourceNames": list(BOUND_ROLES),
                "verbs": _APPLY,
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
