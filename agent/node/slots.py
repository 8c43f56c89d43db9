"""Taking turns: how many nodes of a cluster may restart their kubelet at once.

One Lease a slot, `pullpass-restart-slot-<n>`, taken with its resourceVersion as the lock and never freed by expiry: its
holder frees it when its Node is Ready with the new files or has its old ones back, and others only when its Node is
gone or when its own report says the same. `loop` asks ahead of a change.

Nodes that are not Ready take a place as a slot does. Cordoned nodes wait: somebody is at work there. Control planes
come after all workers, one at a time. A node on which only daemons and static pods run needs no slot, except a control
plane. Nodes with allocated device-plugin resources wait for `restartDeviceNodes`: their pods can be rejected when the
kubelet admits them again (kubernetes#133382).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from agent.node import report as reports
from agent.node.configuration import Configuration
from agent.node.distributions import CONTROL_PLANE_LABELS
from agent.node.kubernetes import NAMESPACE, Kubernetes, Object, is_ready, labels

PREFIX = "pullpass-restart-slot-"
HASH, GENERATION = "pullpass.dev/hash", "pullpass.dev/generation"
_OVER = ("ready", "rolledBack", "removed")
_DONE = (*_OVER, "unsupported", "refused", "failed")
_WAITS_LONG = ("Cordoned", "DeviceNode")
_NO_DRIVER = (
    ("eks.amazonaws.com/compute-type", "fargate"),
    ("type", "virtual-kubelet"),
    ("kubernetes.io/os", "windows"),
)


@dataclass(frozen=True)
class Wait:
    """Not now: a CamelCase word, and what is waited for."""

    reason: str
    message: str


def acquire(
    api: Kubernetes, node: Object, wanted: Configuration, plan_hash: str, now: datetime
) -> Wait | None:
    """Takes a slot, or finds that none is needed (None), or says what to wait for.

    Args:
        api: the API server.
        node: the driver's own Node, read just now.
        wanted: the configuration.
        plan_hash: the plan that is to be carried out.
        now: for the Lease's times.

    Raises:
        KubernetesError: nobody knows who else restarts; do not.
    """
    pods = api.pods_on(node["metadata"]["name"])
    pods = [pod for pod in pods if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")]
    if wait := _for_its_own_sake(node, pods, wanted):
        return wait
    if not is_control_plane(node) and not any(_is_workload(pod) for pod in pods):
        return None
    holder = _Holder(node["metadata"]["name"], plan_hash, wanted.generation, now)
    seen = _Seen(api)
    mine = next((one for one in seen.slots if _holder(one) == holder.name), None)
    if mine:
        # Held from before: for this change from now on, so that an older report of ours does not free it.
        kept = _noted(mine, holder) or _replace(api, mine, holder)
        return None if kept else Wait("NoSlot", "The slot was changed by another")
    return _take_turn(api, node, wanted, holder, seen)


def release(api: Kubernetes, name: str) -> None:
    """Frees the slots that this node holds.

    Raises:
        KubernetesError: not freed; ask again.
    """
    for lease in api.leases():
        if str(lease["metadata"]["name"]).startswith(PREFIX) and _holder(lease) == name:
            api.replace_lease({**lease, "spec": {**lease.get("spec", {}), "holderIdentity": ""}})


def is_control_plane(node: Object) -> bool:
    """Whether the Node carries a control plane's role."""
    found = labels(node)
    return any(name in found for name in CONTROL_PLANE_LABELS)


@dataclass(frozen=True)
class _Holder:
    name: str
    plan_hash: str
    generation: int
    now: datetime

    def notes(self) -> dict[str, str]:
        return {HASH: self.plan_hash, GENERATION: str(self.generation)}

    def spec(self) -> dict[str, str]:
        moment = self.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {"holderIdentity": self.name, "acquireTime": moment, "renewTime": moment}


class _Seen:
    """Slots, Nodes and reports at one moment."""

    def __init__(self, api: Kubernetes) -> None:
        leases = api.leases()
        self.slots = [one for one in leases if str(one["metadata"]["name"]).startswith(PREFIX)]
        self.reports = reports.of_leases(leases)
        self.nodes = api.nodes()

    def is_held(self, slot: Object) -> bool:
        """Whether its holder still needs it."""
        holder = _holder(slot)
        node = next((one for one in self.nodes if one["metadata"]["name"] == holder), None)
        if not holder or node is None:
            return False
        notes = slot["metadata"].get("annotations") or {}
        report = self.reports.get(holder, {})
        over = (
            report.get("state") in _OVER
            and str(report.get("generation")) == notes.get(GENERATION)
            and (report.get("hash") == notes.get(HASH) or report.get("state") == "removed")
        )
        return not (over and is_ready(node))

    def blocked(self, name: str, places: int) -> Wait | None:
        """Why no place is left for this node: slots of others and nodes that are not Ready."""
        busy = {_holder(one) for one in self.slots if self.is_held(one)}
        busy |= {one["metadata"]["name"] for one in self.nodes if not is_ready(one)}
        busy.discard(name)
        if len(busy) < places:
            return None
        return Wait("NoSlot", f"{places} at once may be unavailable, and these are: {_some(sorted(busy))}")

    def workers_left(self, generation: int) -> list[str]:
        """Workers whose driver has not yet come to an end with this generation."""
        left = []
        for node in self.nodes:
            found = labels(node)
            if is_control_plane(node) or any(found.get(key) == value for key, value in _NO_DRIVER):
                continue
            report = self.reports.get(node["metadata"]["name"], {})
            current = isinstance(report.get("generation"), int) and report["generation"] >= generation
            done = report.get("state") in _DONE or report.get("reason") in _WAITS_LONG
            if not (current and done):
                left.append(node["metadata"]["name"])
        return left


def _for_its_own_sake(node: Object, pods: list[Object], wanted: Configuration) -> Wait | None:
    """What on the node itself speaks against a restart now."""
    if node.get("spec", {}).get("unschedulable"):
        return Wait("Cordoned", "The node is cordoned: it is changed when it is uncordoned")
    if not wanted.restart_device_nodes and any(_has_device(pod) for pod in pods):
        return Wait(
            "DeviceNode",
            "Pods here hold devices and could be rejected by a restarted kubelet: "
            "set node.restartDeviceNodes to true, or drain the node",
        )
    return None


def _take_turn(
    api: Kubernetes, node: Object, wanted: Configuration, holder: _Holder, seen: _Seen
) -> Wait | None:
    server = is_control_plane(node)
    if server and (late := seen.workers_left(wanted.generation)):
        return Wait("WorkersFirst", f"Control planes come after the workers; still to come: {_some(late)}")
    places = 1 if server else wanted.max_unavailable
    if blocked := seen.blocked(holder.name, places):
        return blocked
    if not any(_take(api, f"{PREFIX}{number}", holder, seen) for number in range(places)):
        return Wait("NoSlot", "Another node was faster")
    # Two drivers may have counted at the same moment: count again with the slot in hand, and step back if in doubt.
    if blocked := _Seen(api).blocked(holder.name, places):
        release(api, holder.name)
    return blocked


def _take(api: Kubernetes, slot: str, holder: _Holder, seen: _Seen) -> bool:
    """Whether the slot is ours now."""
    lease = next((one for one in seen.slots if one["metadata"]["name"] == slot), None)
    if lease:
        return not seen.is_held(lease) and _replace(api, lease, holder)
    metadata = {
        "name": slot,
        "namespace": NAMESPACE,
        "labels": {"app.kubernetes.io/managed-by": "pullpass", "app.kubernetes.io/component": "node"},
        "annotations": holder.notes(),
    }
    new = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata,
        "spec": holder.spec(),
    }
    return api.create_lease(new) is not None


def _replace(api: Kubernetes, lease: Object, holder: _Holder) -> bool:
    notes = {**(lease["metadata"].get("annotations") or {}), **holder.notes()}
    changed = {
        **lease,
        "metadata": {**lease["metadata"], "annotations": notes},
        "spec": {**lease.get("spec", {}), **holder.spec()},
    }
    return api.replace_lease(changed) is not None


def _noted(lease: Object, holder: _Holder) -> bool:
    return holder.notes().items() <= (lease["metadata"].get("annotations") or {}).items()


def _holder(lease: Object) -> str:
    return str(lease.get("spec", {}).get("holderIdentity") or "")


def _is_workload(pod: Object) -> bool:
    """Whether it is neither a daemon's pod nor a static one."""
    metadata = pod.get("metadata", {})
    if "kubernetes.io/config.mirror" in (metadata.get("annotations") or {}):
        return False
    return not any(one.get("kind") == "DaemonSet" for one in metadata.get("ownerReferences") or [])


def _has_device(pod: Object) -> bool:
    """Whether it was given extended resources, which device plugins advertise."""
    containers = pod.get("spec", {}).get("containers") or []
    names = {name for one in containers for name in (one.get("resources", {}).get("limits") or {})}
    return any("/" in name and not name.partition("/")[0].endswith("kubernetes.io") for name in names)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"  # noqa: PLR2004 - three tell enough
