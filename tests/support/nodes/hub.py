"""The hub and the controller as processes beside the test bed, driven by the command line and the API as a person does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import urllib3

from kube.errors import NotFound
from kube.objects import CONFIG_MAP
from tests.support import processes, programs
from tests.support.nodes.bed import REGISTRY, ROLE, Bed, eventually
from tests.support.nodes.parts import PRODUCT_IMAGE

TOKEN = "pp_e2e_tests_0123456789abcdefghijklmnopqrst"
CLUSTER = "demo"


class Hub:
    """One organisation with the bed's cluster in it; `start` returns when its API serves."""

    def __init__(self, bed: Bed, directory: Path) -> None:
        self.bed = bed
        self.directory = directory
        self._port = processes.free_port()
        self._pool = urllib3.PoolManager(retries=False, timeout=10)
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self.directory.mkdir(exist_ok=True)
        for command in ("serve", "controller"):
            self._running.append(
                processes.start(
                    [sys.executable, "-m", "cli", command],
                    log=self.directory / f"{command}.log",
                    environment=self._environment() | {"PYTHONPATH": str(programs.REPOSITORY)},
                )
            )
            if command == "serve":
                eventually(self._serves, what="the API serves", explain=self.logs)

    def stop(self) -> None:
        while self._running:
            processes.stop(self._running.pop())
        self._pool.clear()

    def call(self, method: str, path: str = "", body: object = None) -> Any:
        response = self._pool.request(
            method,
            f"http://127.0.0.1:{self._port}/org/acme/mk8s{path}",
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
            body=None if body is None else json.dumps(body).encode(),
        )
        answer = json.loads(response.data) if response.data else None
        assert response.status < 300, f"{answer}\n{self.logs()}"
        return answer

    def put(self, selector: dict[str, str]) -> None:
        """The manifest with awsECR, delivered to the nodes with these labels."""
        self.wish(delivery="node", registries=[REGISTRY], node={"selector": selector})

    def wish(self, **settings: Any) -> None:
        """The manifest with these settings of awsECR."""
        spec = {
            "version": "1.34.4",
            "provider": {"generic": {"location": "aws-eu-central-1"}},
            "addOns": {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE}},
        }
        body = {"kind": "mk8s", "name": CLUSTER, "spec": spec, "settings": {"awsECR": settings}}
        self.call("PUT", body=body)

    def patch(self, body: dict[str, Any]) -> None:
        self.call("PATCH", f"/{CLUSTER}", body)

    def connect(self) -> None:
        """`pullpass connect` with the admin's kubeconfig; AWS is the bed's."""
        with suppress(
            NotFound
        ):  # an earlier hub's word, which is gone for good: what `AlreadyManaged` says to do
            self.bed.client.delete(CONFIG_MAP, "pullpass-owner", namespace="pullpass-system")
        settings = self.directory / "connection.json"
        settings.write_text(json.dumps({"timeoutSeconds": 5, "aws": self.bed.aws_settings}), encoding="utf-8")
        kubeconfig = str(self.bed.cluster.directory / "kubeconfig")
        command = [sys.executable, "-m", "cli", "connect", CLUSTER, "--kubeconfig", kubeconfig]
        answer = subprocess.run(
            [*command, "--settings", str(settings), "--yes"],
            cwd=programs.REPOSITORY,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr

    def add_on(self) -> dict[str, Any]:
        """The status of awsECR; empty while it is off."""
        return dict(self.call("GET", f"/{CLUSTER}")["status"]["addOns"].get("awsECR", {}))

    def issues(self) -> dict[str, str]:
        """Codes and messages of awsECR's issues."""
        return {issue["code"]: issue["message"] for issue in self.add_on().get("issues", [])}

    def wait_for_state(self, state: str, *, patience: float = 180.0) -> None:
        eventually(
            lambda: self.add_on().get("state", "Disabled") == state,
            what=f"awsECR is {state}",
            patience=patience,
            explain=lambda: (
                f"{json.dumps(self.call('GET', f'/{CLUSTER}')['status'], indent=1)}\n{self.logs()}"
            ),
        )

    def logs(self) -> str:
        """The ends of what both processes wrote."""
        files = sorted(self.directory.glob("*.log"))
        return "\n".join(f"{file.name}: {file.read_text(encoding='utf-8')[-3000:]}" for file in files)

    def _serves(self) -> bool:
        try:
            return self._pool.request("GET", f"http://127.0.0.1:{self._port}/readyz").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "PULLPASS_AGENT_IMAGE": PRODUCT_IMAGE,
            "PULLPASS_DATA_DIRECTORY": str(self.directory / "data"),
            "PULLPASS_PORT": str(self._port),
            "PULLPASS_BOOTSTRAP_TOKEN": TOKEN,
            "PULLPASS_ALLOW_LOOPBACK": "true",
            "PULLPASS_LOOK_SECONDS": "2",
            "PULLPASS_PUBLIC_URL": "https://hub.example.com",
            "PULLPASS_ENDPOINT": f"http://127.0.0.1:{self._port}",
            "PULLPASS_ORG": "acme",
            "PULLPASS_TOKEN": TOKEN,
        }
