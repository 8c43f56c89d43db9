"""A container as a process on this machine: its command, its environment, its volumes as folders.

What a real node gives a container and this does not: an image (the command runs on this machine's Python), a file
system of its own, limits, probes. Used by `workloads` alone.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.kinds import CONFIG_MAP, SECRET, SERVICE_ACCOUNT, Target

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT")
_ROTATE_AT = 0.8  # of a token's life, as a kubelet does
_BACKOFF_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
_STOP_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1  # prctl(2)
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


@dataclass(frozen=True)
class Surroundings:
    """What every container of a cluster is told. `log` None: its output is thrown away."""

    cluster: Cluster
    server_url: str
    folder: Path
    log: Path | None


@dataclass(frozen=True)
class _ProjectedToken:
    path: Path
    audience: str
    seconds: int


class ContainerProcess:
    """The first container of a pod, running or between two runs. For one thread, whose end ends what it started."""

    def __init__(self, pod: dict[str, Any], surroundings: Surroundings) -> None:
        self._pod = pod
        self._around = surroundings
        self._spec: dict[str, Any] = pod["spec"]["containers"][0]
        self._process: subprocess.Popen[bytes] | None = None
        self._mounts: dict[str, Path] = {}
        self._rotate_at: dict[Path, tuple[datetime, _ProjectedToken]] = {}
        self._next_start = datetime.min.replace(tzinfo=UTC)
        self.restarts = 0
        self.started_at: datetime | None = None

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def tend(self, now: datetime) -> None:
        """Starts it when it is time, notes that it ended, rotates its tokens."""
        for path, (when, token) in list(self._rotate_at.items()):
            if now >= when:
                self._write_token(path, token, now)
        if self._process is not None and self._process.poll() is not None:
            self._process = None
            delay = _BACKOFF_SECONDS[min(self.restarts, len(_BACKOFF_SECONDS) - 1)]
            self.restarts += 1
            self._next_start = now + timedelta(seconds=delay)
        if self._process is None and now >= self._next_start:
            self._start(now)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL; its folders go too."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        shutil.rmtree(self._around.folder, ignore_errors=True)

    def ask_to_stop(self) -> None:
        """SIGTERM without waiting, so that several can end at once."""
        if self._process is not None:
            self._process.terminate()

    def _start(self, now: datetime) -> None:
        self._make_volumes(now)
        command = [*self._spec.get("command", ()), *self._spec.get("args", ())]
        if not command:
            return
        command = [self._inside(part) for part in command]
        if command[0] in ("python", "python3"):
            command[0] = sys.executable  # of this machine, wherever it lies: no path of the container's
        environment = self._environment()
        self.started_at = now
        with contextlib.ExitStack() as stack:
            output: Any = subprocess.DEVNULL
            if self._around.log is not None:
                output = stack.enter_context(self._around.log.open("ab"))
            self._process = subprocess.Popen(  # noqa: S603 - the command of a Deployment is what is to run
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours to pass on, once the API may be told of the end
                preexec_fn=_end_with_its_starter,  # noqa: PLW1509 - one system call, no lock taken
            )

    def _environment(self) -> dict[str, str]:
        made = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        server = self._around.server_url.removeprefix("https://").partition("/")[0]
        host, _, port = server.partition(":")
        made |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port, "PYTHONUNBUFFERED": "1"}
        for variable in self._spec.get("env", ()):
            made[variable["name"]] = self._inside(self._value(variable))
        # Ports of its own choosing: pods share this machine's.
        return made | {
            "PULLPASS_KUBERNETES_SERVER": self._around.server_url,
            "PULLPASS_HEALTH_PORT": "0",
            "PULLPASS_WEBHOOK_PORT": "0",
        }

    def _value(self, variable: Mapping[str, Any]) -> str:
        reference = variable.get("valueFrom", {}).get("fieldRef")
        return str(self._field(reference["fieldPath"])) if reference else str(variable.get("value", ""))

    def _field(self, path: str) -> str:
        known = {
            "metadata.name": self._pod["metadata"]["name"],
            "metadata.namespace": self._pod["metadata"]["namespace"],
            "metadata.uid": self._pod["metadata"]["uid"],
            "spec.nodeName": self._pod["spec"].get("nodeName", ""),
            "spec.serviceAccountName": self._pod["spec"]["serviceAccountName"],
            "status.podIP": "127.0.0.1",
            "status.hostIP": "127.0.0.1",
        }
        if path in ("metadata.labels", "metadata.annotations"):
            entries = self._pod["metadata"].get(path.removeprefix("metadata."), {})
            return "".join(f'{key}="{value}"\n' for key, value in sorted(entries.items()))
        return str(known.get(path, ""))

    def _inside(self, text: str) -> str:
        """A path under a mount, as it is on this machine."""
        for mount, folder in sorted(self._mounts.items(), reverse=True):  # the longest of several that fit
            if text == mount or text.startswith(f"{mount}/"):
                return str(folder) + text.removeprefix(mount)
        return text

    def _make_volumes(self, now: datetime) -> None:
        volumes = {volume["name"]: volume for volume in self._pod["spec"].get("volumes", ())}
        for mount in self._spec.get("volumeMounts", ()):
            folder = self._around.folder / mount["name"]
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._mounts[mount["mountPath"].rstrip("/")] = folder
            volume = volumes[mount["name"]]
            for source in (volume, *volume.get("projected", {}).get("sources", ())):
                self._fill(folder, source, now)

    def _fill(self, folder: Path, source: Mapping[str, Any], now: datetime) -> None:
        if "serviceAccountToken" in source:
            wanted = source["serviceAccountToken"]
            token = _ProjectedToken(
                folder / wanted["path"], wanted.get("audience", ""), wanted["expirationSeconds"]
            )
            self._write_token(token.path, token, now)
        for kind, key in ((CONFIG_MAP, "configMap"), (SECRET, "secret")):
            if key in source:
                name = source[key].get("name") or source[key].get("secretName", "")
                stored = self._around.cluster.store.get(kind, self._pod["metadata"]["namespace"], name)
                if stored is not None:
                    self._write_items(folder, stored.object, source[key].get("items"), encoded=kind == SECRET)
        for item in source.get("downwardAPI", {}).get("items", ()):
            if "fieldRef" in item:
                _write(folder / item["path"], self._field(item["fieldRef"]["fieldPath"]).encode())

    @staticmethod
    def _write_items(
        folder: Path, obj: Mapping[str, Any], items: list[dict[str, str]] | None, *, encoded: bool
    ) -> None:
        data = obj.get("data", {})
        for item in items if items is not None else [{"key": key, "path": key} for key in data]:
            if item["key"] in data:
                value = data[item["key"]]
                _write(folder / item["path"], base64.b64decode(value) if encoded else value.encode())

    def _write_token(self, path: Path, token: _ProjectedToken, now: datetime) -> None:
        metadata = self._pod["metadata"]
        account = Target(
            SERVICE_ACCOUNT, metadata["namespace"], self._pod["spec"]["serviceAccountName"], "token"
        )
        spec: dict[str, Any] = {
            "audiences": [token.audience] if token.audience else [],
            "expirationSeconds": token.seconds,
            "boundObjectRef": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        }
        issued = self._around.cluster.request_token(account, {"spec": spec}, now)
        _write(path, issued["status"]["token"].encode())
        life = timedelta(seconds=issued["spec"]["expirationSeconds"])
        self._rotate_at[path] = (now + life * _ROTATE_AT, token)


def _end_with_its_starter() -> None:
    """In the child: the kernel kills it when the thread that started it ends, so SIGKILL of the sandbox leaves none."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _write(path: Path, content: bytes) -> None:
    """Readable by nobody else; a reader sees the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(path)
