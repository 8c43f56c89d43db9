"""The agent in a cluster as Kubernetes objects: what the add-ons that need it apply. Pure; golden YAML in the tests.

A change of the configuration never restarts the pod: the agent watches its ConfigMap. Only a new image or another
audience (which the kubelet must put into the projected token) does.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller.addons.webhook_objects import SERVICE_PORT, pod_identity_webhook
from controller.agent_rights import OWN_SECRETS_ROLE, WEBHOOKS_ROLE
from kube.objects import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    ROLE,
    ROLE_BINDING,
    SERVICE,
    SERVICE_ACCOUNT,
    Kind,
    Object,
    ObjectKey,
    key_of,
)
from schemas.agent_documents import (
    AGENT_ACCOUNT,
    CONFIGURATION_KEY,
    CONFIGURATION_NAME,
    LEASE_NAME,
    NAMESPACE_NAME,
    REPORT_NAME,
    SERVICE_NAME,
    SHARED_ADD_ON,
    AgentConfiguration,
    dump_configuration,
    labels,
)
from schemas.pod_identity_documents import POD_IDENTITY_NAME, PodIdentityConfiguration, dump_pod_identity

DEPLOYMENT_KEY = ObjectKey(DEPLOYMENT.api_version, DEPLOYMENT.kind, NAMESPACE_NAME, AGENT_ACCOUNT)
REPORT_KEY = ObjectKey(CONFIG_MAP.api_version, CONFIG_MAP.kind, NAMESPACE_NAME, REPORT_NAME)

_RBAC = "rbac.authorization.k8s.io"
_NAME_LABEL = {"app.kubernetes.io/name": AGENT_ACCOUNT}
_USER = 65532  # the image's own
_HEALTH_PORT = 8081
_WEBHOOK_PORT = 9443
_KUBERNETES_MOUNT = "/var/run/secrets/pullpass/kubernetes"
_WEB_IDENTITY_MOUNT = "/var/run/secrets/pullpass/web-identity"
_KUBERNETES_TOKEN_SECONDS = 3600
# Half a day: AWS credentials go on being made when no kubelet can renew the token for a while.
_WEB_IDENTITY_TOKEN_SECONDS = 43_200


def agent_objects(cluster_uid: str, *, audience: str, image: str) -> tuple[Object, ...]:
    """The agent itself, the same for every add-on that needs it: `planning` takes what two ask for as one."""
    marks = dict(labels(cluster_uid, SHARED_ADD_ON))
    named = {"matchLabels": _NAME_LABEL}
    return (
        {
            **_object(SERVICE_ACCOUNT, AGENT_ACCOUNT, marks),
            "automountServiceAccountToken": False,
        },
        {**_object(ROLE, AGENT_ACCOUNT, marks), "rules": _own_rules()},
        _bound(ROLE_BINDING, AGENT_ACCOUNT, ROLE, marks),
        _bound(ROLE_BINDING, OWN_SECRETS_ROLE, CLUSTER_ROLE, marks),
        _bound(CLUSTER_ROLE_BINDING, WEBHOOKS_ROLE, CLUSTER_ROLE, marks),
        {
            **_object(SERVICE, SERVICE_NAME, marks),
            "spec": {
                "type": "ClusterIP",
                "selector": _NAME_LABEL,
                "ports": [
                    {"name": "webhook", "port": SERVICE_PORT, "targetPort": "webhook", "protocol": "TCP"}
                ],
            },
        },
        {
            **_object(DISRUPTION_BUDGET, AGENT_ACCOUNT, marks),
            "spec": {
                "maxUnavailable": 1,
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
                "selector": named,
            },
        },
        {
            **_object(DEPLOYMENT, AGENT_ACCOUNT, marks),
            "spec": {
                # One leads and writes, both answer the API server.
                "replicas": 2,
                "revisionHistoryLimit": 2,
                # Available as long as one of them is.
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}},
                "selector": named,
                "template": {
                    "metadata": {"labels": _NAME_LABEL | marks},
                    "spec": _pod(image, audience),
                },
            },
        },
    )


def configuration_objects(
    configuration: AgentConfiguration, *, add_on: str, roles: Iterable[str]
) -> tuple[Object, ...]:
    """What the agent is to do with pull secrets, for `add_on`, and those of its ClusterRoles that it takes."""
    marks = dict(labels(configuration.cluster_uid, add_on))
    return (
        _configured(CONFIGURATION_NAME, marks, dump_configuration(configuration)),
        *(_bound(CLUSTER_ROLE_BINDING, role, CLUSTER_ROLE, marks) for role in roles),
    )


def pod_identity_objects(configuration: PodIdentityConfiguration) -> tuple[Object, ...]:
    """What the agent is to tell pods of their AWS identity, and the webhook by which it is asked."""
    marks = dict(labels(configuration.cluster_uid, SHARED_ADD_ON))
    return (
        _configured(POD_IDENTITY_NAME, marks, dump_pod_identity(configuration)),
        pod_identity_webhook(marks),
    )


def _own_rules() -> list[Object]:
    """What it may do in `pullpass-system`; its own secrets are a ClusterRole's, for the hub may not grant what it lacks."""
    return [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": [CONFIGURATION_NAME, POD_IDENTITY_NAME],
            "verbs": ["get", "list", "watch"],
        },
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": [REPORT_NAME],
            "verbs": ["get", "create", "patch"],
        },
        # Which replica leads.
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": [LEASE_NAME],
            "verbs": ["get", "list", "watch", "create", "patch"],
        },
    ]


def _pod(image: str, audience: str) -> Object:
    return {
        "serviceAccountName": AGENT_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        # Apart where there is more than one node or zone: a node's end takes one of them.
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 100,
                        "podAffinityTerm": {
                            "topologyKey": "kubernetes.io/hostname",
                            "labelSelector": {"matchLabels": _NAME_LABEL},
                        },
                    }
                ]
            }
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": _NAME_LABEL},
            }
        ],
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
                    {"name": "PULLPASS_WEBHOOK_PORT", "value": str(_WEBHOOK_PORT)},
                    {"name": "PULLPASS_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
                "ports": [
                    {"name": "health", "containerPort": _HEALTH_PORT, "protocol": "TCP"},
                    {"name": "webhook", "containerPort": _WEBHOOK_PORT, "protocol": "TCP"},
                ],
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


def _configured(name: str, marks: dict[str, str], text: str) -> Object:
    return {**_object(CONFIG_MAP, name, marks), "data": {CONFIGURATION_KEY: text}}


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


SHARED_KEYS = tuple(key_of(obj) for obj in agent_objects("", audience="", image=""))
