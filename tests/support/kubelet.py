"""Plays the kubelet for one Deployment: runs its container's command here, with the volumes its pod would have.

A real API server has no node in `tests/cluster`. What runs is the real process, with the tokens that the API server
issues for the pod's ServiceAccount, so that RBAC and admission are what they are in production. Containers are not: the
paths of mounts become folders, and variables that point into them follow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from kube.client import Client
from kube.objects import CONFIG_MAP, DEPLOYMENT, Object
from tests.support import processes

ROOT = Path(__file__).parents[2]


class Kubelet:
    """Runs pods of one cluster; `client` is its admin's."""

    def __init__(self, client: Client, server: str, directory: Path) -> None:
        self._client = client
        self._server = server
        self._directory = directory
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def log(self) -> Path:
        return self._directory / "pod.log"

    def run(self, namespace: str, deployment: str) -> subprocess.Popen[bytes]:
        """Starts the first container of the Deployment's pod template."""
        pod = self._client.get(DEPLOYMENT, deployment, namespace=namespace)["spec"]["template"]["spec"]
        volumes = {volume["name"]: self._volume(namespace, pod, volume) for volume in pod["volumes"]}
        container = pod["containers"][0]
        mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
        environment = {variable["name"]: _moved(variable["value"], mounts) for variable in container["env"]}
        environment |= {
            "PATH": os.environ["PATH"],
            "PULLPASS_KUBERNETES_SERVER": self._server,
            "PULLPASS_HEALTH_PORT": "0",
        }
        command = [sys.executable if word == "python" else word for word in container["command"]]
        process = processes.start(command, log=self.log, environment=environment | {"PYTHONPATH": str(ROOT)})
        self._running.append(process)
        return process

    def stop(self) -> None:
        while self._running:
            processes.stop(self._running.pop())

    def _volume(self, namespace: str, pod: Object, volume: Object) -> Path:
        folder = self._directory / "volumes" / str(volume["name"])
        folder.mkdir(parents=True, exist_ok=True)
        for source in volume.get("projected", {}).get("sources", []):
            for name, text in self._projected(namespace, pod, source).items():
                (folder / name).write_text(text)
        return folder

    def _projected(self, namespace: str, pod: Object, source: Object) -> dict[str, str]:
        if token := source.get("serviceAccountToken"):
            issued = self._client.request_token(
                namespace,
                pod["serviceAccountName"],
                audiences=[token["audience"]] if "audience" in token else [],
                expiration_seconds=token["expirationSeconds"],
            )
            return {token["path"]: issued.token}
        if config_map := source.get("configMap"):
            data = self._client.get(CONFIG_MAP, config_map["name"], namespace=namespace)["data"]
            return {item["path"]: data[item["key"]] for item in config_map["items"]}
        if downward := source.get("downwardAPI"):
            return {item["path"]: namespace for item in downward["items"]}
        raise NotImplementedError(json.dumps(source))


def _moved(value: str, mounts: dict[str, Path]) -> str:
    for path, folder in mounts.items():
        if value.startswith(path):
            return str(folder) + value.removeprefix(path)
    return value
