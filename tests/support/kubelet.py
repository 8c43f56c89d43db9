"""Plays the kubelet for Deployments: runs what the pods of their ReplicaSets say, here, as processes.

A real API server has no node in `tests/cluster`. Deployment, ReplicaSet and Pod are the controller manager's; what runs
is the real process, with the tokens that the API server issues for the pod's ServiceAccount, so that RBAC and admission
are what they are in production. Containers are not: the paths of mounts become folders and container ports free ports
of loopback, and variables that name them follow. A pod is Ready when its readiness probe says so, a process that ends
is started again, and one whose pod is deleted ends. Tokens are made once, at the pod's start.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from kube.client import Client
from kube.errors import KubeError, NotFound
from kube.objects import CONFIG_MAP, DEPLOYMENT, POD, Object
from tests.support import processes
from tests.support.kubectl import Kubectl

ROOT = Path(__file__).parents[2]
_LOOK_SECONDS = 0.25
_STOP_SECONDS = 15.0
_FAILURE_THRESHOLD = 3  # of readiness probes, as Kubernetes has it by default


@dataclass
class RunningPod:
    """One pod's process; `ports` maps container ports' names and numbers to those of loopback."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    command: list[str]
    environment: dict[str, str]
    ports: dict[str, int]
    probe: str
    process: subprocess.Popen[bytes]
    ready: bool = False
    restarts: int = 0
    failures: int = 0  # of its probe, since it succeeded last

    def health(self, path: str) -> str:
        """The body of an answer of the health port, such as `/metrics`."""
        pool = urllib3.PoolManager(retries=False, timeout=5)
        try:
            return pool.request("GET", f"http://127.0.0.1:{self.ports['health']}{path}").data.decode()
        finally:
            pool.clear()

    @property
    def resident_bytes(self) -> int:
        """The process's resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Kubelet:
    """Runs pods of one cluster from a thread of its own; `client` is its admin's.

    `extra` is put into every process's environment. While `held` is set no process that ended is started again.
    """

    client: Client
    server: str
    directory: Path
    extra: dict[str, str] = field(default_factory=dict)
    held: threading.Event = field(default_factory=threading.Event)
    _deployments: set[tuple[str, str]] = field(default_factory=set)
    _pods: dict[str, RunningPod] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self._pool = urllib3.PoolManager(retries=False, timeout=2)

    @property
    def log(self) -> Path:
        """What all pods said."""
        return self.directory / "pod.log"

    @property
    def pods(self) -> tuple[RunningPod, ...]:
        """Those that run now."""
        return tuple(self._pods.values())

    def run(self, namespace: str, deployment: str) -> None:
        """From now on the pods of this Deployment run."""
        self._deployments.add((namespace, deployment))
        if self._thread is None:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._stopping.clear()
            self._thread = threading.Thread(target=self._work, name="kubelet")
            self._thread.start()

    def stop(self) -> None:
        """Ends every process; what the API server knows of the pods stays."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
            self._thread = None
        self._pool.clear()
        self._deployments.clear()

    def kill(self, pod: str) -> None:
        """SIGKILL, as the kernel does when memory runs out."""
        self._pods[pod].process.send_signal(signal.SIGKILL)

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                with contextlib.suppress(KubeError):  # the API server restarts: processes go on
                    self._look()
                self._stopping.wait(_LOOK_SECONDS)
        finally:  # in this thread: the kernel ends what it started together with it
            for pod in self.pods:
                pod.process.terminate()
            for pod in self.pods:
                processes.stop(pod.process)
            self._pods.clear()

    def _look(self) -> None:
        wanted = {pod["metadata"]["uid"]: pod for pod in self._wanted()}
        running = {pod.environment["PULLPASS_TEST_UID"]: pod for pod in self.pods}
        for uid, gone in running.items():
            if uid not in wanted:
                del self._pods[gone.name]
                processes.stop(gone.process)
        for uid, pod in wanted.items():
            if uid not in running:
                self._start(pod)
        for one in self.pods:
            self._tend(one)

    def _wanted(self) -> list[Object]:
        found: list[Object] = []
        for namespace, name in tuple(self._deployments):
            try:
                deployment = self.client.get(DEPLOYMENT, name, namespace=namespace)
            except NotFound:
                continue
            labels = deployment["spec"]["selector"]["matchLabels"]
            selector = ",".join(f"{key}={value}" for key, value in labels.items())
            listed = self.client.list(POD, namespace=namespace, label_selector=selector).items
            found += [pod for pod in listed if not pod["metadata"].get("deletionTimestamp")]
        return found

    def _start(self, pod: Object) -> None:
        metadata, spec, container = pod["metadata"], pod["spec"], pod["spec"]["containers"][0]
        folder = self.directory / metadata["name"]
        volumes = {volume["name"]: self._volume(folder, pod, volume) for volume in spec["volumes"]}
        mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
        ports: dict[str, int] = {}
        for port in container.get("ports", []):
            ports[port["name"]] = ports[str(port["containerPort"])] = processes.free_port()
        environment = {
            variable["name"]: _moved(_value(variable, pod), mounts, ports) for variable in container["env"]
        }
        environment |= {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PULLPASS_KUBERNETES_SERVER": self.server,
            "PULLPASS_TEST_UID": metadata["uid"],
        }
        command = [sys.executable if word == "python" else word for word in container["command"]]
        environment |= self.extra
        self._pods[metadata["name"]] = RunningPod(
            metadata["namespace"],
            metadata["name"],
            metadata["labels"],
            command,
            environment,
            ports,
            container["readinessProbe"]["httpGet"]["path"],
            processes.start(command, log=self.log, environment=environment),
        )

    def _tend(self, pod: RunningPod) -> None:
        if pod.process.poll() is not None:
            self._set_ready(pod, ready=False)
            if self.held.is_set():
                return
            pod.process = processes.start(pod.command, log=self.log, environment=pod.environment)
            pod.restarts += 1
        pod.failures = 0 if self._probe(pod) else pod.failures + 1
        if pod.failures == 0 or pod.failures >= _FAILURE_THRESHOLD:
            self._set_ready(pod, ready=pod.failures == 0)

    def _probe(self, pod: RunningPod) -> bool:
        try:
            url = f"http://127.0.0.1:{pod.ports['health']}{pod.probe}"
            return self._pool.request("GET", url).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def _set_ready(self, pod: RunningPod, *, ready: bool) -> None:
        if ready == pod.ready:
            return
        pod.ready = ready
        state = "True" if ready else "False"
        conditions = [{"type": kind, "status": state} for kind in ("Ready", "ContainersReady")]
        status = {"phase": "Running", "conditions": conditions}
        with contextlib.suppress(NotFound):
            Kubectl(self.client).patch_status("v1", "Pod", pod.name, status, namespace=pod.namespace)

    def _volume(self, folder: Path, pod: Object, volume: Object) -> Path:
        folder = folder / str(volume["name"])
        folder.mkdir(parents=True, exist_ok=True)
        for source in volume.get("projected", {}).get("sources", []):
            for name, text in self._projected(pod, source).items():
                (folder / name).write_text(text)
        return folder

    def _projected(self, pod: Object, source: Object) -> dict[str, str]:
        namespace = pod["metadata"]["namespace"]
        if token := source.get("serviceAccountToken"):
            issued = self.client.request_token(
                namespace,
                pod["spec"]["serviceAccountName"],
                audiences=[token["audience"]] if "audience" in token else [],
                expiration_seconds=token["expirationSeconds"],
            )
            return {token["path"]: issued.token}
        if config_map := source.get("configMap"):
            data = self.client.get(CONFIG_MAP, config_map["name"], namespace=namespace)["data"]
            return {item["path"]: data[item["key"]] for item in config_map["items"]}
        if downward := source.get("downwardAPI"):
            return {item["path"]: _field(item["fieldRef"], pod) for item in downward["items"]}
        raise NotImplementedError(json.dumps(source))


def _value(variable: Object, pod: Object) -> str:
    return str(variable["value"]) if "value" in variable else _field(variable["valueFrom"]["fieldRef"], pod)


def _field(reference: Object, pod: Object) -> str:
    value: Any = pod
    for part in reference["fieldPath"].split("."):
        value = value[part]
    return str(value)


def _moved(value: str, mounts: dict[str, Path], ports: Mapping[str, int]) -> str:
    """A variable's value, where it names a mount's path or a container's port, for this machine."""
    if value.isdigit() and value in ports:
        return str(ports[value])
    for path, folder in mounts.items():
        if value.startswith(path):
            return str(folder) + value.removeprefix(path)
    return value
