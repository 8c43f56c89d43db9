"""Node delivery on the test bed, without a hub: the DaemonSet, its rights and its configuration, as the hub applies them.

`objects` is what stands in for the hub; everything else reads what the drivers say in their Leases.
"""

from __future__ import annotations

import json
from typing import Any

from kube.objects import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    NAMESPACE,
    POD,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    Kind,
    Object,
)
from tests.support.nodes.bed import AUDIENCE, DAEMON_SET, LEASE, REGION, Bed, eventually
from tests.support.nodes.bed import ROLE as AWS_ROLE
from tests.support.nodes.parts import PRODUCT_IMAGE

SYSTEM = "pullpass-system"
NAME = "pullpass-node"
SUBJECT = f"system:serviceaccount:{SYSTEM}:{NAME}"
REPORT = "pullpass.dev/report"
RESOURCE_QUOTA = Kind("v1", "ResourceQuota", "resourcequotas", namespaced=True)
SLOT = "pullpass-restart-slot-"


class Delivery:
    """The add-on of one bed: switched on and off, its nodes' reports read."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.generation = 0

    def enable(self, **members: Any) -> None:
        """Applies everything; `members` replace those of the configuration."""
        self.generation += 1
        for kind, obj in objects(self._configuration(members)):
            self.bed.apply(kind, obj)

    def configure(self, **members: Any) -> None:
        """Changes the configuration alone; the next generation."""
        self.generation += 1
        self.bed.apply(*_config_map(self._configuration(members)))

    def disable(self, **members: Any) -> None:
        """Asks every node to give back what it has, waits for it, and takes the DaemonSet away."""
        if self.bed.get(DAEMON_SET, NAME, SYSTEM) is None:
            return
        self.configure(removing=True, **members)
        for name in self.bed.nodes:
            self.wait(name, "removed", patience=240)
        self.stop_drivers()

    def stop_drivers(self) -> None:
        """Takes the DaemonSet away and leaves the nodes as they are."""
        self.bed.client.delete(DAEMON_SET, NAME, namespace=SYSTEM)
        label = f"app.kubernetes.io/name={NAME}"
        eventually(
            lambda: not self.bed.client.list(POD, namespace=SYSTEM, label_selector=label).items,
            what="the drivers have ended",
        )

    def report(self, node: str) -> dict[str, Any]:
        """What a node's driver last said; empty before its first word."""
        lease = self.bed.get(LEASE, f"{NAME}-{node}", SYSTEM)
        text = (lease or {}).get("metadata", {}).get("annotations", {}).get(REPORT, "{}")
        return dict(json.loads(text))

    def wait(self, node: str, state: str, *, patience: float = 150.0) -> dict[str, Any]:
        """Its report, once it has that state in the current generation."""

        def look() -> dict[str, Any] | None:
            report = self.report(node)
            current = report.get("generation") == self.generation and report.get("state") == state
            return report if current else None

        return eventually(
            look, what=f"{node} is {state}", patience=patience, explain=lambda: self.words(node)
        )

    def words(self, node: str) -> str:
        """All that explains a node's state: report, pods, the driver's log, the kubelet's."""
        bed = self.bed
        pods = [
            (pod["metadata"]["name"], pod["status"].get("phase"), pod["status"].get("containerStatuses"))
            for pod in bed.pods(SYSTEM)
            if pod["spec"].get("nodeName") == node
        ]
        log = bed.nodes[node].run(
            "sh", "-c", f"tail -n 30 /var/log/pods/{SYSTEM}_{NAME}-*/driver/*.log", check=False
        )
        said = bed.nodes[node].journal()
        restore = bed.nodes[node].journal("pullpass-restore.service")
        return f"generation {self.generation}: {self.report(node)}\n{pods}\n{log}\n{said}\n{restore}"

    def _configuration(self, members: dict[str, Any]) -> dict[str, Any]:
        return {
            "version": 1,
            "generation": self.generation,
            "cluster": {"uid": "e2e", "organisation": "acme", "name": "demo"},
            "removing": False,
            "selector": {},
            "roleArn": AWS_ROLE,
            "identity": "shared",
            "audience": AUDIENCE,
            "region": REGION,
            "matchImages": ["*.dkr.ecr.*.amazonaws.com"],
            "maxUnavailable": 1,
            "restartDeviceNodes": False,
            "verifyImage": None,
            "aws": {"httpsProxy": None, "noProxy": None}
            | {name: value for name, value in self.bed.aws_settings.items() if name != "ecrPublicEndpoint"},
        } | members


def objects(configuration: dict[str, Any]) -> list[tuple[Kind, Object]]:
    """What the hub applies, in its order."""
    rules = [
        {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["get", "list"]},
    ]
    leases = {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["get", "list", "create", "update", "patch"],
    }
    group = "rbac.authorization.k8s.io"
    subjects = [{"kind": "ServiceAccount", "name": NAME, "namespace": SYSTEM}]
    cluster_role = {"apiGroup": group, "kind": "ClusterRole", "name": NAME}
    return [
        (NAMESPACE, {"metadata": {"name": SYSTEM}}),
        (SERVICE_ACCOUNT, {"metadata": {"name": NAME, "namespace": SYSTEM}}),
        (CLUSTER_ROLE, {"metadata": {"name": NAME}, "rules": rules}),
        (CLUSTER_ROLE_BINDING, {"metadata": {"name": NAME}, "roleRef": cluster_role, "subjects": subjects}),
        (ROLE, {"metadata": {"name": NAME, "namespace": SYSTEM}, "rules": [leases]}),
        (
            ROLE_BINDING,
            {
                "metadata": {"name": NAME, "namespace": SYSTEM},
                "roleRef": cluster_role | {"kind": "Role"},
                "subjects": subjects,
            },
        ),
        (RESOURCE_QUOTA, {"metadata": {"name": "critical", "namespace": SYSTEM}, "spec": _QUOTA}),
        _config_map(configuration),
        (DAEMON_SET, {"metadata": {"name": NAME, "namespace": SYSTEM}, "spec": _daemon_set()}),
    ]


_QUOTA = {
    "scopeSelector": {
        "matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In", "values": ["system-node-critical"]}
        ]
    }
}


def _config_map(configuration: dict[str, Any]) -> tuple[Kind, Object]:
    data = {"configuration.json": json.dumps(configuration)}
    return CONFIG_MAP, {"metadata": {"name": NAME, "namespace": SYSTEM}, "data": data}


def _daemon_set() -> Object:
    labels = {"app.kubernetes.io/name": NAME}
    return {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": _pod()}}


def _pod() -> Object:
    return {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": False,
        "hostNetwork": True,
        "hostPID": True,
        "priorityClassName": "system-node-critical",
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 5,
        "containers": [
            {
                "name": "driver",
                "image": PRODUCT_IMAGE,
                "imagePullPolicy": "Never",
                "command": ["python", "-m", "agent", "node"],
                "securityContext": {"privileged": True, "runAsUser": 0, "readOnlyRootFilesystem": True},
                "env": [
                    {"name": "PULLPASS_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                    _variable("PULLPASS_HOST_ROOT", "/host"),
                    _variable("PULLPASS_CONFIGURATION_FILE", "/etc/pullpass/configuration.json"),
                    _variable("PULLPASS_WEB_IDENTITY_TOKEN_FILE", "/var/run/pullpass/web-identity"),
                    _variable("PULLPASS_KUBERNETES_TOKEN_FILE", "/var/run/pullpass/kubernetes"),
                    _variable("PULLPASS_KUBERNETES_CA_FILE", "/var/run/pullpass/ca.crt"),
                    _variable("PULLPASS_PLUGIN_FILE", "/opt/pullpass/libexec/ecr-credential-provider"),
                ],
                "volumeMounts": [
                    {"name": "host", "mountPath": "/host", "mountPropagation": "HostToContainer"},
                    {"name": "configuration", "mountPath": "/etc/pullpass", "readOnly": True},
                    {"name": "tokens", "mountPath": "/var/run/pullpass", "readOnly": True},
                ],
            }
        ],
        "volumes": [
            {"name": "host", "hostPath": {"path": "/", "type": "Directory"}},
            {"name": "configuration", "configMap": {"name": NAME}},
            {
                "name": "tokens",
                "projected": {
                    "sources": [
                        _token("web-identity", expiration_seconds=86400, audience=AUDIENCE),
                        _token("kubernetes", expiration_seconds=3600),
                        {
                            "configMap": {
                                "name": "kube-root-ca.crt",
                                "items": [{"key": "ca.crt", "path": "ca.crt"}],
                            }
                        },
                    ]
                },
            },
        ],
    }


def _variable(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


def _token(path: str, *, expiration_seconds: int, **audience: str) -> Object:
    return {"serviceAccountToken": {"path": path, "expirationSeconds": expiration_seconds, **audience}}
