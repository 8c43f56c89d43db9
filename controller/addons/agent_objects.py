"""The agent in a cluster as Kubernetes objects: what the add-ons that need it apply. Pure; golden YAML in the tests.

A change of the configuration never restarts the pod: the agent watches its ConfigMap. Only a new image or another
audience (which the kubelet must put into the projected token) does.
"""

from __future__ import annotations

from controller.rights import AGENT_SECRETS_ROLE
from kube.objects import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    DEPLOYMENT,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    Kind,
    Object,
    ObjectKey,
)
from schemas.agent_documents import (
    AGENT_ACCOUNT,
    CONFIGURATION_KEY,
    CONFIGURATION_NAME,
    NAMESPACE_NAME,
    REPORT_NAME,
    AgentConfiguration,
    dump_configuration,
    labels,
)

DEPLOYMENT_KEY = ObjectKey(DEPLOYMENT.api_version, DEPLOYMENT.kind, NAMESPACE_NAME, AGENT_ACCOUNT)
REPORT_KEY = ObjectKey(CONFIG_MAP.api_version, CONFIG_MAP.kind, NAMESPACE_NAME, REPORT_NAME)

_RBAC = "rbac.authorization.k8s.io"
_NAME_LABEL = {"app.kubernetes.io/name": AGENT_ACCOUNT}
_USER = 65532  # the image's own
_HEALTH_PORT = 8081
_KUBERNETES_MOUNT = "/var/run/secrets/pullpass/kubernetes"
_WEB_IDENTITY_MOUNT = "/var/run/secrets/pullpass/web-identity"
_KUBERNETES_TOKEN_SECONDS = 3600
# Half a day: AWS credentials go on being made when no kubelet can renew the token for a while.
_WEB_IDENTITY_TOKEN_SECONDS = 43_200


def agent_objects(configuration: AgentConfiguration, *, add_on: str, image: str) -> tuple[Object, ...]:
    """Everything the agent needs, for `add_on` of one cluster."""
    marks = dict(labels(configuration.cluster_uid, add_on))
    return (
        {
            **_object(SERVICE_ACCOUNT, AGENT_ACCOUNT, marks),
            "automountServiceAccountToken": False,
        },
        {
            **_object(CONFIG_MAP, CONFIGURATION_NAME, marks),
            "data": {CONFIGURATION_KEY: dump_configuration(configuration)},
        },
        {
            **_object(ROLE, AGENT_ACCOUNT, marks),
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["configmaps"],
                    "resourceNames": [CONFIGURATION_NAME],
                    "verbs": ["get", "list", "watch"],
                },
                {
                    "apiGroups": [""],
                    "resources": ["configmaps"],
                    "resourceNames": [REPORT_NAME],
                    "verbs": ["get", "create", "patch"],
                },
            ],
        },
        _bound(CLUSTER_ROLE_BINDING, AGENT_SECRETS_ROLE, CLUSTER_ROLE, marks),
        _bound(ROLE_BINDING, AGENT_ACCOUNT, ROLE, marks),
        {
            **_object(DEPLOYMENT, AGENT_ACCOUNT, marks),
            "spec": {
                "replicas": 1,
                "revisionHistoryLimit": 2,
                # One agent at a time writes the report; what it made goes on working in between.
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": _NAME_LABEL},
                "template": {
                    "metadata": {"labels": _NAME_LABEL | marks},
                    "spec": _pod(image, configuration.audience),
                },
            },
        },
    )


def _pod(image: str, audience: str) -> Object:
    return {
        "serviceAccountName": AGENT_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "agent",
                "image": image,
                "command": ["python", "-m", "agent", "cluster"],
                "env": [
                    {"name": "PULLPASS_KUBERNETES_TOKEN_FILE", "value": f"{_KUBERNETES_MOUNT}/token"},
                    {"name": "PULLPASS_KUBERNETES_CA_FILE", "value": f"{_KUBERNETES_MOUNT}/ca.crt"},
                    {"name": "PULLPASS_WEB_IDENTITY_TOKEN_FILE", "value": f"{_WEB_IDENTITY_MOUNT}/token"},
                    {"name": "PULLPASS_HEALTH_PORT", "value": str(_HEALTH_PORT)},
                ],
                "ports": [{"name": "health", "containerPort": _HEALTH_PORT, "protocol": "TCP"}],
                "livenessProbe": {
                    "httpGet": {"path": "/healthz", "port": "health"},
                    "initialDelaySeconds": 10,
                    "periodSeconds": 20,
                    "timeoutSeconds": 5,
                    "failureThreshold": 6,
                },
                "readinessProbe": {
                    "httpGet": {"path": "/readyz", "port": "health"},
                    "periodSeconds": 5,
                    "timeoutSeconds": 5,
                },
                "resources": {
                    "requests": {"cpu": "10m", "memory": "96Mi"},
                    "limits": {"memory": "256Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "kubernetes", "mountPath": _KUBERNETES_MOUNT, "readOnly": True},
                    {"name": "web-identity", "mountPath": _WEB_IDENTITY_MOUNT, "readOnly": True},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
                ],
            }
        ],
        "volumes": [
            {
                "name": "kubernetes",
                "projected": {
                    "sources": [
                        {
                            "serviceAccountToken": {
                                "path": "token",
                                "expirationSeconds": _KUBERNETES_TOKEN_SECONDS,
                            }
                        },
                        {
                            "configMap": {
                                "name": "kube-root-ca.crt",
                                "items": [{"key": "ca.crt", "path": "ca.crt"}],
                            }
                        },
                        {
                            "downwardAPI": {
                                "items": [
                                    {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
                                ]
                            }
                        },
                    ]
                },
            },
            {
                "name": "web-identity",
                "projected": {
                    "sources": [
                        {
                            "serviceAccountToken": {
                                "path": "token",
                                "audience": audience,
                                "expirationSeconds": _WEB_IDENTITY_TOKEN_SECONDS,
                            }
                        }
                    ]
                },
            },
            {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
        ],
    }


def _bound(binding: Kind, name: str, role: Kind, marks: dict[str, str]) -> Object:
    return {
        **_object(binding, name, marks),
        "roleRef": {"apiGroup": _RBAC, "kind": role.kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": AGENT_ACCOUNT, "namespace": NAMESPACE_NAME}],
    }


def _object(kind: Kind, name: str, marks: dict[str, str]) -> Object:
    metadata: Object = {"name": name, "labels": dict(marks)}
    if kind.namespaced:
        metadata["namespace"] = NAMESPACE_NAME
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
