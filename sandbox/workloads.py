"""What makes a cluster's Deployments run: the controllers and the kubelet, as little of them as shows the effect.

For each Deployment there are Pods (no ReplicaSet between). A pod whose image lies in a private ECR registry is pulled
as a kubelet would, and runs nothing; any other pod's first container runs its command on this machine.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import secrets
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sandbox.kubernetes.cluster import Cluster, controller_request
from sandbox.kubernetes.kinds import DEPLOYMENT, NODE, POD, SECRET, Target
from sandbox.kubernetes.statuses import StatusError
from sandbox.kubernetes.store import Object, Stored, timestamp
from sandbox.processes import ContainerProcess, Surroundings
from sandbox.pulls import Pull, is_private_ecr, pull

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0  # between two looks at processes, pulls and tokens; changes of objects wake it at once
_PULL_AGAIN = timedelta(seconds=5)
_HASH_LABEL = "pod-template-hash"


class Workloads:
    """Runs the Deployments of one cluster from a thread of its own.

    `folder` takes the volumes of pods; `logs` the output of processes, None throws it away.
    """

    def __init__(
        self, cluster: Cluster, *, server_url: str, registry_url: str, folder: Path, logs: Path | None
    ) -> None:
        self._cluster = cluster
        self._server_url = server_url
        self._registry_url = registry_url
        self._folder = folder
        self._logs = logs
        self._processes: dict[str, ContainerProcess] = {}
        self._pulls: dict[str, tuple[datetime, Pull]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-workloads", daemon=True)

    def start(self) -> None:
        """From now on what is deployed runs."""
        self._thread.start()

    def begin_stop(self) -> None:
        """Asks all of it to end, without waiting."""
        self._stopping.set()
        with self._cluster.store.lock:
            self._cluster.store.lock.notify_all()

    def stop(self) -> None:
        """Ends the thread and every process. The objects stay."""
        self.begin_stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._look_and_wait()
        finally:  # in this thread: the kernel ends what it started together with it
            for process in self._processes.values():
                process.ask_to_stop()
            for process in self._processes.values():
                process.stop()
            self._processes.clear()

    def _look_and_wait(self) -> None:
        store = self._cluster.store
        seen = store.revision
        try:
            self._look(datetime.now(UTC))
        except StatusError as error:  # an object went while it was looked at: the next look sees it
            logger.debug("a workload changed under our hands: %s", error)
        with store.lock:
            if store.revision == seen and not self._stopping.is_set():
                store.lock.wait(_LOOK_SECONDS)

    def _look(self, now: datetime) -> None:
        pods: dict[str, list[Stored]] = {}
        for pod in self._cluster.store.all(POD)[0]:
            for owner in pod.metadata.get("ownerReferences", ()):
                pods.setdefault(owner["uid"], []).append(pod)
        for deployment in self._cluster.store.all(DEPLOYMENT)[0]:
            if "deletionTimestamp" not in deployment.metadata:
                self._scale(deployment, pods.pop(deployment.metadata["uid"], []))
        for orphans in pods.values():
            for pod in orphans:
                self._delete(pod)
        present = self._cluster.store.all(POD)[0]
        self._forget({pod.metadata["uid"] for pod in present})
        for pod in present:
            self._tend(pod, now)
        for deployment in self._cluster.store.all(DEPLOYMENT)[0]:
            self._report(deployment, now)

    def _scale(self, deployment: Stored, pods: list[Stored]) -> None:
        """Makes the pods that are missing, takes away those too many or of an old template."""
        spec = deployment.object["spec"]
        template = json.dumps(spec["template"], sort_keys=True)
        current = hashlib.sha256(template.encode()).hexdigest()[:10]
        fresh = [pod for pod in pods if pod.metadata.get("labels", {}).get(_HASH_LABEL) == current]
        wanted = spec.get("replicas", 1)
        for pod in [pod for pod in pods if pod not in fresh] + fresh[wanted:]:
            self._delete(pod)
        for _ in range(wanted - len(fresh)):
            self._make_pod(deployment, current)

    def _make_pod(self, deployment: Stored, template_hash: str) -> None:
        namespace, name = deployment.key
        template = deployment.object["spec"]["template"]
        metadata = template.get("metadata", {})
        owner = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": name,
            "uid": deployment.metadata["uid"],
            "controller": True,
        }
        pod: Object = {
            "metadata": {
                "name": f"{name}-{template_hash}-{secrets.token_hex(3)[:5]}",
                "labels": metadata.get("labels", {}) | {_HASH_LABEL: template_hash},
                "annotations": metadata.get("annotations", {}),
                "ownerReferences": [owner],
            },
            "spec": template["spec"] | {"nodeName": self._node()},
        }
        self._cluster.writer.create(
            Target(POD, namespace, ""), pod, controller_request("replicaset-controller")
        )

    def _node(self) -> str:
        nodes = self._cluster.store.all(NODE)[0]
        return secrets.choice(nodes).key[1] if nodes else ""

    def _delete(self, pod: Stored) -> None:
        self._cluster.writer.remove(POD, pod)

    def _forget(self, present: set[str]) -> None:
        """Ends what runs for pods that are gone."""
        for uid in self._processes.keys() - present:
            self._processes.pop(uid).stop()
        for uid in self._pulls.keys() - present:
            del self._pulls[uid]

    def _tend(self, pod: Stored, now: datetime) -> None:
        containers = pod.object["spec"]["containers"]
        images = [container["image"] for container in containers if is_private_ecr(container["image"])]
        if images:
            self._write_status(pod, self._pulled(pod, images, now), now)
        elif pod.metadata.get("ownerReferences") and containers[0].get("command"):
            process = self._processes.get(pod.metadata["uid"])
            if process is None:
                process = self._processes[pod.metadata["uid"]] = ContainerProcess(
                    pod.object, self._around(pod)
                )
            process.tend(now)
            waiting = (
                None if process.is_running else {"reason": "CrashLoopBackOff", "message": "the process ended"}
            )
            self._write_status(pod, waiting, now, restarts=process.restarts)
        else:
            self._write_status(pod, None, now)

    def _around(self, pod: Stored) -> Surroundings:
        log = self._logs / f"{pod.key[0]}_{pod.key[1]}.log" if self._logs is not None else None
        return Surroundings(self._cluster, self._server_url, self._folder / pod.metadata["uid"], log)

    def _pulled(self, pod: Stored, images: list[str], now: datetime) -> dict[str, str] | None:
        """What a container waits for, None once every image is there. A kubelet keeps an image it has."""
        uid = pod.metadata["uid"]
        again, last = self._pulls.get(uid, (now, Pull(succeeded=False)))
        if last.succeeded:
            return None
        if now >= again:
            configs = self._docker_configs(pod)
            results = [pull(image, configs, self._registry_url) for image in images]
            first_try = uid not in self._pulls
            last = next((result for result in results if not result.succeeded), Pull(succeeded=True))
            self._pulls[uid] = (now + _PULL_AGAIN, last)
            if last.succeeded:
                return None
            if first_try:
                return {"reason": "ErrImagePull", "message": last.message}
        return {
            "reason": "ImagePullBackOff",
            "message": f'Back-off pulling image "{images[0]}": ErrImagePull: {last.message}',
        }

    def _docker_configs(self, pod: Stored) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        for reference in pod.object["spec"].get("imagePullSecrets", ()):
            secret = self._cluster.store.get(SECRET, pod.key[0], reference["name"])
            if secret is not None and secret.object.get("type") == "kubernetes.io/dockerconfigjson":
                found.append(json.loads(base64.b64decode(secret.object["data"][".dockerconfigjson"])))
        return found

    def _write_status(
        self, pod: Stored, waiting: dict[str, str] | None, now: datetime, *, restarts: int = 0
    ) -> None:
        old = pod.object.get("status", {})
        since = old.get("startTime") or timestamp(now)
        ready = waiting is None
        state = {"running": {"startedAt": since}} if ready else {"waiting": waiting}
        reason = "" if ready else "ContainersNotReady"
        conditions = [_condition(old, kind, ready, reason, now) for kind in ("Ready", "ContainersReady")]
        statuses = [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": ready,
                "started": ready,
                "restartCount": restarts,
                "state": state,
            }
            for container in pod.object["spec"]["containers"]
        ]
        status = old | {
            "phase": "Running" if ready else "Pending",
            "conditions": conditions,
            "containerStatuses": statuses,
            "startTime": since,
            "podIP": "127.0.0.1",
            "hostIP": "127.0.0.1",
        }
        self._set_status(POD, pod, status, "kubelet")

    def _report(self, deployment: Stored, now: datetime) -> None:
        uid = deployment.metadata["uid"]
        mine = [
            pod
            for pod in self._cluster.store.all(POD, deployment.key[0])[0]
            if any(owner["uid"] == uid for owner in pod.metadata.get("ownerReferences", ()))
        ]
        ready = sum(pod.object.get("status", {}).get("phase") == "Running" for pod in mine)
        wanted = deployment.object["spec"].get("replicas", 1)
        reason = "MinimumReplicasAvailable" if ready >= wanted else "MinimumReplicasUnavailable"
        old = deployment.object.get("status", {})
        status = {
            "observedGeneration": deployment.metadata["generation"],
            "replicas": len(mine),
            "updatedReplicas": len(mine),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(wanted - ready, 0),
            "conditions": [_condition(old, "Available", ready >= wanted, reason, now)],
        }
        self._set_status(DEPLOYMENT, deployment, status, "deployment-controller")

    def _set_status(self, kind: Any, stored: Stored, status: Object, manager: str) -> None:
        """Writes only what changed, for every write wakes whoever watches."""
        if stored.object.get("status") == status:
            return
        target = Target(kind, *stored.key, "status")
        request = controller_request(manager)
        self._cluster.writer.patch(target, {"status": status}, request, json_patch=False)


def _condition(old_status: Object, kind: str, holds: bool, reason: str, now: datetime) -> Object:
    """A condition whose transition time moves only when its status does."""
    status = "True" if holds else "False"
    since = next(
        (
            one["lastTransitionTime"]
            for one in old_status.get("conditions", ())
            if (one["type"], one["status"]) == (kind, status)
        ),
        timestamp(now),
    )
    made = {"type": kind, "status": status, "lastTransitionTime": since, "message": ""}
    return made | ({"reason": reason} if reason else {})
