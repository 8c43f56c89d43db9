"""Workloads of a user on the test bed: pods with the private image and no pull secret."""

from __future__ import annotations

from kube.objects import DEPLOYMENT, Object
from tests.support.nodes.bed import PRIVATE_IMAGE, Bed, eventually

KUBEADM = {"layout": "kubeadm"}
KUBEADM_NODES = ("node-1", "node-2")


def deploy(bed: Bed, namespace: str, name: str) -> None:
    """A Deployment with one pod on each kubeadm node."""
    labels = {"app": name}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": labels},
    }
    pod = {
        "nodeSelector": KUBEADM,
        "topologySpreadConstraints": [spread],
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "app", "image": PRIVATE_IMAGE, "imagePullPolicy": "Always"}],
    }
    spec = {
        "replicas": len(KUBEADM_NODES),
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    bed.apply(DEPLOYMENT, {"metadata": {"name": name, "namespace": namespace}, "spec": spec})


def undeploy(bed: Bed, namespace: str, name: str) -> None:
    """Deletes it and waits for its pods to go."""
    bed.client.delete(DEPLOYMENT, name, namespace=namespace)
    eventually(lambda: not bed.pods(namespace, f"app={name}"), what=f"{name} is gone")


def pod_on(bed: Bed, namespace: str, deployment: str, node: str) -> str:
    """The name of a Deployment's pod on a node."""

    def look() -> str | None:
        for found in bed.pods(namespace, f"app={deployment}"):
            if found["spec"].get("nodeName") == node:
                return str(found["metadata"]["name"])
        return None

    return eventually(look, what=f"a pod of {deployment} on {node}")


def pod(
    name: str, namespace: str, node: str, *, account: str = "default", secret: str | None = None
) -> Object:
    """A pod on one node."""
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "nodeName": node,
            "serviceAccountName": account,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "app", "image": PRIVATE_IMAGE, "imagePullPolicy": "Always"}],
            "imagePullSecrets": [{"name": secret}] if secret else [],
        },
    }


def wait_for_refusal(bed: Bed, namespace: str, name: str) -> None:
    """Until the kubelet says that the registry refused the pull."""
    eventually(lambda: "401" in bed.pull_failures(name, namespace), what=f"the pull of {name} is refused")
