"""What an API server fills in beyond the defaults of its schema (k8s.io/kubernetes `pkg/apis/*/v1/defaults.go`).

`fill` runs before ownership is worked out, so that whoever creates an object owns its defaults, as in the real one;
`prepare` afterwards, for what belongs to nobody.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

from sandbox.kubernetes.kinds import (
    ADMISSION_GROUP,
    NAMESPACE,
    NODE,
    POD,
    RBAC_GROUP,
    Kind,
)

Object = dict[str, Any]
_HAS_GENERATION = {"apps", "policy", "apiextensions.k8s.io", ADMISSION_GROUP}


def has_generation(kind: Kind) -> bool:
    """Whether `metadata.generation` counts the changes of its spec."""
    return kind.group in _HAS_GENERATION or kind == POD


def fill(kind: Kind, obj: Object) -> None:
    """Fills `obj`, a copy that nobody else holds, in place."""
    filler = _FILLERS.get(kind.kind)
    if filler is not None:
        filler(obj)


def _fill_deployment(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("progressDeadlineSeconds", 600)
    _fill_strategy(spec.setdefault("strategy", {}), "25%", "25%")
    _fill_template(spec)


def _fill_daemon_set(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    _fill_strategy(spec.setdefault("updateStrategy", {}), 1, 0)
    _fill_template(spec)


def _fill_strategy(strategy: Object, unavailable: int | str, surge: int | str) -> None:
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", unavailable)
        rolling.setdefault("maxSurge", surge)


def _fill_template(spec: Object) -> None:
    spec.setdefault("revisionHistoryLimit", 10)
    if "template" in spec:
        _fill_pod_spec(spec["template"].setdefault("spec", {}))


def _fill_pod(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    _fill_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)


def _fill_namespace(obj: Object) -> None:
    metadata = obj["metadata"]
    metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata.get("name", "")


def _fill_binding(obj: Object) -> None:
    for subject in obj.get("subjects", ()):
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", RBAC_GROUP)


def _fill_policy(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("failurePolicy", "Fail")
    if "matchConstraints" in spec:
        _fill_match(spec["matchConstraints"])


def _fill_policy_binding(obj: Object) -> None:
    if "matchResources" in obj.get("spec", {}):
        _fill_match(obj["spec"]["matchResources"])


def _fill_secret(obj: Object) -> None:
    if "stringData" in obj:
        plain = obj.pop("stringData")
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        obj["data"] = obj.get("data", {}) | encoded
    obj.setdefault("type", "Opaque")


def _fill_match(match: Object) -> None:
    match.setdefault("matchPolicy", "Equivalent")
    match.setdefault("namespaceSelector", {})
    match.setdefault("objectSelector", {})
    for rule in match.get("resourceRules", ()):
        rule.setdefault("scope", "*")


def _fill_pod_spec(spec: Object) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if "serviceAccountName" in spec:
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif "serviceAccount" in spec:  # its old name, which stays when the new one is taken out
        spec["serviceAccountName"] = spec["serviceAccount"]
    for container in containers(spec):
        _fill_container(container)
    for volume in spec.get("volumes", ()):
        _fill_volume(volume)


def containers(spec: Object) -> Iterator[Object]:
    """Every container of a pod's spec."""
    yield from spec.get("initContainers", ())
    yield from spec.get("containers", ())


def _fill_container(container: Object) -> None:
    image = container.get("image", "")
    latest = ":" not in image.rsplit("/", 1)[-1] or image.endswith(":latest")
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("imagePullPolicy", "Always" if latest and "@" not in image else "IfNotPresent")
    for port in container.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for variable in container.get("env", ()):
        reference = variable.get("valueFrom", {}).get("fieldRef")
        if reference is not None:
            reference.setdefault("apiVersion", "v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            probe.setdefault("timeoutSeconds", 1)
            probe.setdefault("periodSeconds", 10)
            probe.setdefault("successThreshold", 1)
            probe.setdefault("failureThreshold", 3)
            if "httpGet" in probe:
                probe["httpGet"].setdefault("path", "/")
                probe["httpGet"].setdefault("scheme", "HTTP")


def _fill_volume(volume: Object) -> None:
    if volume.keys() <= {"name"}:
        volume["emptyDir"] = {}
    for name in ("secret", "configMap", "projected", "downwardAPI"):
        if name in volume:
            volume[name].setdefault("defaultMode", 420)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    sources = [volume, *volume.get("projected", {}).get("sources", ())]
    for source in sources:
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        for item in source.get("downwardAPI", {}).get("items", ()):
            if "fieldRef" in item:
                item["fieldRef"].setdefault("apiVersion", "v1")


_FILLERS: dict[str, Callable[[Object], None]] = {
    "Deployment": _fill_deployment,
    "DaemonSet": _fill_daemon_set,
    "Pod": _fill_pod,
    "Namespace": _fill_namespace,
    "Secret": _fill_secret,
    "RoleBinding": _fill_binding,
    "ClusterRoleBinding": _fill_binding,
    "ValidatingAdmissionPolicy": _fill_policy,
    "ValidatingAdmissionPolicyBinding": _fill_policy_binding,
}


def prepare(kind: Kind, obj: Object) -> None:
    """Puts into a new object what the server itself keeps there."""
    if kind == NAMESPACE:
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}
    elif kind == POD:
        obj["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
    elif "status" in kind.subresources and kind != NODE:
        obj["status"] = {}
    if has_generation(kind):
        obj["metadata"]["generation"] = 1
