"""The node drivers in a cluster as Kubernetes objects: what delivery by nodes adds to the agent. Pure; golden YAML.

A change of the configuration never restarts a driver: it reads the file that the kubelet keeps up to date. Only a new
image or another audience does. What a driver does on its node is told in docs/explanation/node-driver.md, and each
right below in docs/reference/rights.md.
"""

from __future__ import annotations

from controller.rights import NODE_AUDIENCE_ROLE, NODE_ROLE
from kube.objects import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    DAEMON_SET,
    RESOURCE_QUOTA,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    Kind,
    Object,
    ObjectKey,
)
from schemas.agent_documents import AGENT_ACCOUNT, CONFIGURATION_KEY, NAMESPACE_NAME, labels
from schemas.node_documents import NODE_NAME, NodeConfiguration, dump_node_configuration

DAEMON_SET_KEY = ObjectKey(DAEMON_SET.api_version, DAEMON_SET.kind, NAMESPACE_NAME, NODE_NAME)

_RBAC = "rbac.authorization.k8s.io"
_NAME_LABEL = {"app.kubernetes.io/name": NODE_NAME, "app.kubernetes.io/component": "node"}
_PRIORITY = "system-node-critical"
_HOST_MOUNT = "/host"
_CONFIGURATION_MOUNT = "/etc/pullpass"
_TOKENS_MOUNT = "/var/run/secrets/pullpass"
_KUBERNETES_TOKEN_SECONDS = 3600
# A day, of which the API server may grant less: pulls go on as long when a node's driver cannot run.
_WEB_IDENTITY_TOKEN_SECONDS = 86_400
_PLUGIN = "/opt/pullpass/libexec/ecr-credential-provider"


def node_objects(configuration: NodeConfiguration, *, add_on: str, image: str) -> tuple[Object, ...]:
    """Everything the drivers need, and the agent to sum up what they say, for `add_on` of one cluster."""
    marks = dict(labels(configuration.cluster_uid, add_on))
    found: tuple[Object, ...] = (
        {**_object(SERVICE_ACCOUNT, marks), "automountServiceAccountToken": False},
        {
            **_object(CONFIG_MAP, marks),
            "data": {CONFIGURATION_KEY: dump_node_configuration(configuration)},
        },
        # Where the API server admits critical pods only in namespaces with a quota for them, this is the quota.
        {
            **_object(RESOURCE_QUOTA, marks),
            "spec": {
                "hard": {"pods": "1G"},
                "scopeSelector": {
                    "matchExpressions": [
                        {"scopeName": "PriorityClass", "operator": "In", "values": [_PRIORITY]}
                    ]
                },
            },
        },
        {
            **_object(ROLE, marks),
            "rules": [
                # A Lease for each node's report, and the slots in which nodes take turns.
                {
                    "apiGroups": ["coordination.k8s.io"],
                    "resources": ["leases"],
                    "verbs": ["get", "list", "watch", "create", "update", "patch"],
                },
            ],
        },
        _bound(CLUSTER_ROLE_BINDING, CLUSTER_ROLE, marks),
        _bound(ROLE_BINDING, ROLE, marks),
        {
            **_object(DAEMON_SET, marks),
            "spec": {
                "revisionHistoryLimit": 2,
                "selector": {"matchLabels": {"app.kubernetes.io/name": NODE_NAME}},
                # A driver may be away: what it put on the node goes on working. A node that is down stops no update.
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%"}},
                "template": {
                    "metadata": {"labels": _NAME_LABEL | marks},
                    "spec": _pod(image, configuration.audience),
                },
            },
        },
    )
    if configuration.identity == "serviceAccount":
        found = (*found, _audience_binding(marks))
    return found


def _pod(image: str, audience: str) -> Object:
    return {
        "serviceAccountName": NODE_NAME,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        # The API server as the node itself reaches it, also before the pod network is up.
        "hostNetwork": True,
        # `nsenter` finds the host's namespaces at process 1: systemctl and the plugin have to run in them.
        "hostPID": True,
        # A node whose driver is evicted lets its token run out.
        "priorityClassName": _PRIORITY,
        # Every node pulls images; a tainted one, or one that is not ready yet, too.
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 5,
        "containers": [
            {
                "name": "driver",
                "image": image,
                "command": ["python", "-m", "agent", "node"],
                "env": [
                    {"name": "PULLPASS_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                    _variable("PULLPASS_HOST_ROOT", _HOST_MOUNT),
                    _variable("PULLPASS_CONFIGURATION_FILE", f"{_CONFIGURATION_MOUNT}/{CONFIGURATION_KEY}"),
                    _variable("PULLPASS_WEB_IDENTITY_TOKEN_FILE", f"{_TOKENS_MOUNT}/web-identity"),
                    _variable("PULLPASS_KUBERNETES_TOKEN_FILE", f"{_TOKENS_MOUNT}/kubernetes"),
                    _variable("PULLPASS_KUBERNETES_CA_FILE", f"{_TOKENS_MOUNT}/ca.crt"),
                    _variable("PULLPASS_PLUGIN_FILE", _PLUGIN),
                ],
                "resources": {
                    "requests": {"cpu": "5m", "memory": "40Mi"},
                    "limits": {"memory": "128Mi"},
                },
                "securityContext": {
                    # Entering the host's namespaces and writing root's files takes both.
                    "privileged": True,
                    "runAsUser": 0,
                    "runAsGroup": 0,
                    # The driver writes on the host alone.
                    "readOnlyRootFilesystem": True,
                },
                "volumeMounts": [
                    {"name": "host", "mountPath": _HOST_MOUNT, "mountPropagation": "HostToContainer"},
                    {"name": "configuration", "mountPath": _CONFIGURATION_MOUNT, "readOnly": True},
                    {"name": "tokens", "mountPath": _TOKENS_MOUNT, "readOnly": True},
                ],
            }
        ],
        "volumes": [
            # The whole root: each distribution keeps the kubelet's files elsewhere, links lead from one place to
            # another, and a single missing folder would keep the pod from starting.
            {"name": "host", "hostPath": {"path": "/", "type": "Directory"}},
            {"name": "configuration", "configMap": {"name": NODE_NAME}},
            {
                "name": "tokens",
                "projected": {
                    "defaultMode": 0o400,
                    "sources": [
                        {
                            "serviceAccountToken": {
                                "path": "web-identity",
                                "audience": audience,
                                "expirationSeconds": _WEB_IDENTITY_TOKEN_SECONDS,
                            }
                        },
                        {
                            "serviceAccountToken": {
                                "path": "kubernetes",
                                "expirationSeconds": _KUBERNETES_TOKEN_SECONDS,
                            }
                        },
                        {
                            "configMap": {
                                "name": "kube-root-ca.crt",
                                "items": [{"key": "ca.crt", "path": "ca.crt"}],
                            }
                        },
                    ],
                },
            },
        ],
    }


def _bound(binding: Kind, role: Kind, marks: dict[str, str]) -> Object:
    """The drivers, and the agent that sums up what they say."""
    return {
        **_object(binding, marks),
        "roleRef": {"apiGroup": _RBAC, "kind": role.kind, "name": NODE_ROLE},
        "subjects": [
            {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE_NAME}
            for name in (AGENT_ACCOUNT, NODE_NAME)
        ],
    }


def _audience_binding(marks: dict[str, str]) -> Object:
    """Lets kubelets ask for tokens of workloads with our audience (Kubernetes 1.33 and later refuse it otherwise)."""
    return {
        **_object(CLUSTER_ROLE_BINDING, marks, NODE_AUDIENCE_ROLE),
        "roleRef": {"apiGroup": _RBAC, "kind": CLUSTER_ROLE.kind, "name": NODE_AUDIENCE_ROLE},
        "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": "system:nodes"}],
    }


def _variable(name: str, value: str) -> Object:
    return {"name": name, "value": value}


def _object(kind: Kind, marks: dict[str, str], name: str = NODE_NAME) -> Object:
    metadata: Object = {"name": name, "labels": dict(marks)}
    if kind.namespaced:
        metadata["namespace"] = NAMESPACE_NAME
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
