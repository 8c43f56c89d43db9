"""`pullpass up --sandbox` as a process of its own: hub, controller and a world of clusters, AWS and a registry."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3

from tests.support import processes

ROOT = Path(__file__).parents[2]
TOKEN = "pp_playground_0123456789abcdefghijklmnopqrs"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pullpass"
PATIENCE = 600  # times 0.1 s


class Playground:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "up.log"
        self.port = processes.free_port()
        self.pool = urllib3.PoolManager(retries=False, timeout=10)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(self.directory),
            "PULLPASS_DATA_DIRECTORY": str(self.directory / "data"),
            "PULLPASS_PORT": str(self.port),
            "PULLPASS_BOOTSTRAP_TOKEN": TOKEN,
        }
        command = [sys.executable, "-m", "cli", "up", "--sandbox"]
        self.log.unlink(missing_ok=True)
        self.process = processes.start(command, log=self.log, environment=environment)
        self.wait(lambda: "Ctrl-C ends it" in self.log.read_text(), "ready")
        self.wait(self._kept.exists, "its addresses")

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def call(self, method: str, path: str, body: object = None) -> Any:
        response = self.pool.request(
            method,
            f"http://127.0.0.1:{self.port}/org/acme/mk8s{path}",
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
            body=None if body is None else json.dumps(body).encode(),
        )
        assert response.status < 300, response.data
        return json.loads(response.data)

    def add_on(self, cluster: str) -> Any:
        return self.call("GET", f"/{cluster}")["status"]["addOns"].get("awsECR", {})

    def wait(self, look: Any, what: str) -> None:
        pause = threading.Event()
        for _ in range(PATIENCE):
            if look():
                return
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            pause.wait(0.1)
        raise AssertionError(f"never {what}: {self.log.read_text()}")

    @property
    def endpoint(self) -> str:
        """The hub's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def aws_url(self) -> str:
        """Where its AWS answers; a service's path comes behind."""
        kept = json.loads(self._kept.read_text())
        return f"http://127.0.0.1:{kept['ports']['aws']}"

    @property
    def _kept(self) -> Path:
        """What the sandbox writes a moment after it has begun."""
        return self.directory / "data" / "sandbox" / "world.json"

    def environment(self, *, account: str = ACCOUNT) -> dict[str, str]:
        """For `pullpass` as a person calls it, with an administrator's AWS credentials."""
        services = {"IAM": "iam", "STS": "sts", "SERVICE_QUOTAS": "service-quotas"}
        return {
            "PULLPASS_ENDPOINT": self.endpoint,
            "PULLPASS_TOKEN": TOKEN,
            "PULLPASS_ORG": "acme",
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_REGION": "eu-central-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        } | {f"AWS_ENDPOINT_URL_{name}": f"{self.aws_url}/{path}" for name, path in services.items()}


@contextmanager
def running(directory: Path) -> Iterator[Playground]:
    """One that has started; it ends on the way out."""
    playground = Playground(directory)
    try:
        playground.start()
        yield playground
    finally:
        playground.pool.clear()
        if playground.process is not None:
            processes.stop(playground.process, grace_seconds=60)
