"""What the tests of pull secrets look at: secrets and what they open, references, events, the agent's word and metrics."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from kube.errors import KubeError
from kube.objects import LEASE, NAMESPACE, SECRET, SERVICE_ACCOUNT, Object
from sandbox.aws.ecr import IssuedPassword
from schemas.agent_documents import (
    CONFIGURATION_KEY,
    CONFIGURATION_NAME,
    NAMESPACE_NAME,
    REPORT_KEY,
    REPORT_NAME,
    AgentReport,
    load_configuration,
    load_report,
)
from tests.cluster.conftest import Stage, eventually
from tests.support.kubelet import RunningPod

SYSTEM = NAMESPACE_NAME
DOCKER_CONFIG = ".dockerconfigjson"
DOCKER_CONFIG_TYPE = "kubernetes.io/dockerconfigjson"


def where(stage: Stage, name: str) -> set[str]:
    """The namespaces that have a secret of this name."""
    return {
        secret["metadata"]["namespace"]
        for secret in stage.client.list(SECRET, field_selector=f"metadata.name={name}").items
    }


def auths(secret: Object) -> dict[str, Any]:
    """The registries of a pull secret."""
    return dict(json.loads(base64.b64decode(secret["data"][DOCKER_CONFIG]))["auths"])


def opens(stage: Stage, namespace: str, name: str, registry: str) -> IssuedPassword | None:
    """What AWS knows of the password for a registry, None where the secret does not open it."""
    secret = stage.exists(SECRET, name, namespace)
    if secret is None:
        return None
    try:
        entry = auths(secret).get(registry)
    except ValueError:  # what its user wrote is no JSON
        return None
    return stage.world.aws.password_is_valid(entry["password"]) if entry else None


def references(stage: Stage, namespace: str, account: str = "default") -> list[str]:
    """`imagePullSecrets` of a service account."""
    found = stage.client.get(SERVICE_ACCOUNT, account, namespace=namespace).get("imagePullSecrets", [])
    return [reference["name"] for reference in found]


def marks(stage: Stage, namespace: str, account: str = "default") -> dict[str, str]:
    """Our annotations on a service account."""
    metadata = stage.client.get(SERVICE_ACCOUNT, account, namespace=namespace)["metadata"]
    return {key: value for key, value in (metadata.get("annotations") or {}).items() if "pullpass.dev" in key}


def report(stage: Stage) -> AgentReport:
    """The agent's own word."""
    found = stage.kubectl.get("v1", "ConfigMap", REPORT_NAME, namespace=SYSTEM)
    return load_report(found["data"][REPORT_KEY])


def settled(stage: Stage) -> None:
    """Until the last change of settings is proven, which asks AWS once."""

    def look() -> bool:
        found = stage.kubectl.get("v1", "ConfigMap", CONFIGURATION_NAME, namespace=SYSTEM)
        wanted = load_configuration(found["data"][CONFIGURATION_KEY]).generation
        return report(stage).generation == wanted and stage.state() == "Ready"

    eventually(look, what="all is settled", explain=stage.logs)


def leader(stage: Stage) -> RunningPod | None:
    """The pod that holds the Lease."""
    lease = stage.exists(LEASE, "pullpass-agent", SYSTEM)
    holder = lease["spec"].get("holderIdentity") if lease else None
    return next((pod for pod in stage.kubelet.pods if pod.name == holder), None)


def events(stage: Stage, namespace: str, name: str) -> set[str]:
    """The reasons of events on an object; those without a namespace stand in `default`."""
    listed = stage.kubectl.get("v1", "Event", namespace=namespace)["items"]
    return {event["reason"] for event in listed if event["involvedObject"]["name"] == name}


def metric(text: str, name: str, /, **labels: str) -> float:
    """The sum of a metric's samples that have these labels; 0 without one."""
    total = 0.0
    for line in text.splitlines():
        found = re.fullmatch(rf"{name}(?:{{(.*)}})? ([0-9.e+-]+)", line)
        if found and all(f'{key}="{value}"' in (found[1] or "") for key, value in labels.items()):
            total += float(found[2])
    return total


def refused(act: Callable[[], object]) -> str:
    """What the API server said against it; "" where it said nothing."""
    try:
        act()
    except KubeError as error:
        return str(error)
    return ""


def labelled_secret(namespace: str, name: str, label: dict[str, str], **data: str) -> Object:
    """A secret as users of labels write it: `FAKE` is base64, and what it says is no JSON."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": label},
        "type": DOCKER_CONFIG_TYPE,
        "data": {DOCKER_CONFIG: "FAKE"} | data,
    }


def remove_namespaces(stage: Stage, names: Iterable[str]) -> None:
    """Takes them away, and waits until they are."""
    for name in names:
        stage.client.delete(NAMESPACE, name)
    for name in names:
        eventually(lambda name=name: stage.exists(NAMESPACE, name) is None, what=f"{name} is gone")  # type: ignore[misc]
