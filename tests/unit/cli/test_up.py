"""`make run` as a newcomer meets it: one command, three clusters, and awsECR becomes Ready."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.support import processes

ROOT = Path(__file__).parents[3]
TOKEN = "pp_playground_0123456789abcdefghijklmnopqrs"
ROLE = "arn:aws:iam::123456789012:role/pullpass"
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
            "PULLPASS_DATA_DIRECTORY": str(self.directory / "data"),
            "PULLPASS_PORT": str(self.port),
            "PULLPASS_BOOTSTRAP_TOKEN": TOKEN,
        }
        command = [sys.executable, "-m", "cli", "up", "--sandbox"]
        self.log.unlink(missing_ok=True)
        self.process = processes.start(command, log=self.log, environment=environment)
        self.wait(lambda: "Ctrl-C ends it" in self.log.read_text(), "ready")

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


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    playground = Playground(tmp_path_factory.mktemp("playground"))
    try:
        playground.start()
        yield playground
    finally:
        playground.pool.clear()
        if playground.process is not None:
            processes.stop(playground.process, grace_seconds=60)


def test_it_prints_the_address_the_token_and_commands_to_try(playground: Playground) -> None:
    said = playground.log.read_text()
    assert [True, True, 3] == [f"127.0.0.1:{playground.port}" in said, TOKEN in said, said.count("curl -s")]


def test_awsecr_enabled_on_the_healthy_cluster_becomes_ready(playground: Playground) -> None:
    wish = {"spec": {"addOns": {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE}}}}
    playground.call("PATCH", "/demo", wish)
    playground.wait(lambda: playground.add_on("demo").get("state") == "Ready", "Ready")
    assert "agent" == playground.add_on("demo")["credentials"]["verifiedFrom"]


def test_the_private_issuer_is_named_with_a_remedy(playground: Playground) -> None:
    playground.wait(lambda: playground.add_on("edge").get("issues"), "an issue")
    assert ["IssuerNotUsable"] == [issue["code"] for issue in playground.add_on("edge")["issues"]]


def test_the_cluster_that_is_down_is_named(playground: Playground) -> None:
    playground.wait(lambda: playground.add_on("down").get("issues"), "an issue")
    assert ["ClusterUnreachable"] == [issue["code"] for issue in playground.add_on("down")["issues"]]


def test_ctrl_c_ends_all_of_it_and_a_second_start_keeps_the_data(playground: Playground) -> None:
    assert 0 == playground.stop()
    with pytest.raises(urllib3.exceptions.HTTPError):
        playground.call("GET", "")
    playground.start()
    assert "Ready" == playground.add_on("demo")["state"]
