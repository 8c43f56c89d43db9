"""An API server in miniature: Nodes, pods and Leases with their resourceVersion."""

from __future__ import annotations

import copy

from agent.node.kubernetes import KubernetesError, Object


def node(
    name: str, *, ready: bool = True, labels: dict[str, str] | None = None, cordoned: bool = False
) -> Object:
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}],
            "nodeInfo": {"kubeletVersion": "v1.34.4"},
        },
    }


def pod(owner: str = "ReplicaSet", limits: dict[str, str] | None = None, phase: str = "Running") -> Object:
    return {
        "metadata": {"ownerReferences": [{"kind": owner}]},
        "spec": {"containers": [{"resources": {"limits": limits or {}}}]},
        "status": {"phase": phase},
    }


class Cluster:
    def __init__(self, *nodes: Object) -> None:
        self.known = {one["metadata"]["name"]: one for one in nodes}
        self.pods: dict[str, list[Object]] = {}
        self.kept: dict[str, Object] = {}
        self.away = False
        self._version = 0

    def _check(self) -> None:
        if self.away:
            raise KubernetesError("GET: connection refused")

    def node(self, name: str) -> Object | None:
        self._check()
        return copy.deepcopy(self.known.get(name))

    def nodes(self) -> list[Object]:
        self._check()
        return copy.deepcopy(list(self.known.values()))

    def pods_on(self, node: str) -> list[Object]:
        self._check()
        return copy.deepcopy(self.pods.get(node, []))

    def leases(self) -> list[Object]:
        self._check()
        return copy.deepcopy(list(self.kept.values()))

    def lease(self, name: str) -> Object | None:
        self._check()
        return copy.deepcopy(self.kept.get(name))

    def create_lease(self, lease: Object) -> Object | None:
        self._check()
        return None if lease["metadata"]["name"] in self.kept else self._keep(lease)

    def replace_lease(self, lease: Object) -> Object | None:
        self._check()
        there = self.kept.get(lease["metadata"]["name"])
        if there is None or there["metadata"]["resourceVersion"] != lease["metadata"].get("resourceVersion"):
            return None
        return self._keep(lease)

    def apply_lease(self, lease: Object) -> None:
        self._check()
        self._keep(lease)

    def _keep(self, lease: Object) -> Object:
        self._version += 1
        kept = copy.deepcopy(lease)
        kept["metadata"]["resourceVersion"] = str(self._version)
        self.kept[kept["metadata"]["name"]] = kept
        return copy.deepcopy(kept)
