"""What an API server fills in beyond the defaults of its schema (k8s.io/kubernetes `pkg/apis/*/v1/defaults.go`).

`fill` runs before ownership is worked out, so that whoever creates an object owns its defaults, as in the real one;
`prepare` afterwards, for what belongs to nobody.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from sandbox.kubernetes.kinds import (
    ADMISSION_GROUP,
    CLUSTER_ROLE_BINDING,
    DAEMON_SET,
    DEPLOYMENT,
    NAMESPACE,
    POD,
    RBAC_GROUP,
    ROLE_BINDING,
    SECRET,
    Kind,
)

Object = dict[str, Any]
_HAS_GENERATION = {"apps", ADMISSION_GROUP}


def has_generation(kind: Kind) -> bool:
    """Whether `metadata.generation` counts the changes of its spec."""
    return kind.group in _HAS_GENERATION or kind == POD


def fill(kind: Kind, obj: Object) -> None:
    """Fills `obj`, a copy that nobody else holds, in place."""
    if kind in (DEPLOYMENT, DAEMON_SET):
        _fill_workload(kind, obj.setdefault("spec", {}))
    elif kind == POD:
        spec = obj.setdefault("spec", {})
        _fill_pod(spec)
        spec.setdefault("enableServiceLinks", True)
    elif kind == NAMESPACE:
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"].get(
            "name", ""
        )
    elif kind == SECRET:
        _fill_secret(obj)
    elif kind in (ROLE_BINDING, CLUSTER_ROLE_BINDING):
        for subject in obj.get("subjects", ()):
            if subject.get("kind") in ("User", "Group"):
                subject.setdefault("apiGroup", RBAC_GROUP)
    elif kind.kind == "ValidatingAdmissionPolicy":
        spec = obj.setdefault("spec", {})
        spec.setdefault("failurePolicy", "Fail")
        if "matchConstraints" in spec:
            _fill_match(spec["matchConstraints"])
    elif kind.kind == "ValidatingAdmissionPolicyBinding" and "matchResources" in obj.get("spec", {}):
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


def _fill_workload(kind: Kind, spec: Object) -> None:
    spec.setdefault("revisionHistoryLimit", 10)
    if kind == DEPLOYMENT:
        spec.setdefault("replicas", 1)
        spec.setdefault("progressDeadlineSeconds", 600)
        strategy = spec.setdefault("strategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", "25%")
            rolling.setdefault("maxSurge", "25%")
    else:
        strategy = spec.setdefault("updateStrategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", 1)
            rolling.setdefault("maxSurge", 0)
    if "template" in spec:
        _fill_pod(spec["template"].setdefault("spec", {}))


def _fill_pod(spec: Object) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if "serviceAccountName" in spec:
        spec["serviceAccount"] = spec["serviceAccountName"]
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


def prepare(kind: Kind, obj: Object) -> None:
    """Puts into a new object what the server itself keeps there."""
    if kind == NAMESPACE:
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}
    elif kind == POD:
        obj["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
    elif kind in (DEPLOYMENT, DAEMON_SET):
        obj["status"] = {}
    if has_generation(kind):
        obj["metadata"]["generation"] = 1
