import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import urllib3

from agent.__main__ import USAGE, main
from cli import children
from tests.unit.agent.cell import Cell, eventually


@pytest.mark.parametrize("arguments", [[], ["nodes"], ["cluster", "--help"]])
def test_anything_but_cluster_and_node_shows_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"{USAGE}\n"


def start(environment: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "agent", "cluster"],
        env={"PATH": os.environ["PATH"], **environment},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=children.bound(signal.SIGKILL),  # noqa: PLW1509 - two system calls, no lock taken
    )


@pytest.fixture
def process(cell: Cell) -> Iterator["subprocess.Popen[str]"]:
    cell.configure()
    process = start(cell.environment())
    yield process
    process.kill()
    process.communicate()


def test_the_process_fills_serves_health_and_ends_on_sigterm(
    cell: Cell, process: "subprocess.Popen[str]"
) -> None:
    assert process.stderr is not None
    first = json.loads(process.stderr.readline())
    cell.reported(lambda report: report.namespaces_ready == 1)
    with urllib3.PoolManager() as pool:
        health = f"http://127.0.0.1:{first['health_port']}"
        assert eventually(lambda: pool.request("GET", f"{health}/readyz").status == 200)
        metrics = pool.request("GET", f"{health}/metrics").data.decode()
    assert 'pullpass_agent_aws_calls_total{service="ecr"} 1.0' in metrics
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_what_it_logs_is_json_without_a_secret(cell: Cell, process: "subprocess.Popen[str]") -> None:
    cell.reported(lambda report: report.namespaces_ready == 1)
    process.send_signal(signal.SIGTERM)
    _, logged = process.communicate(timeout=60)
    events = [json.loads(line)["event"] for line in logged.splitlines()]
    assert events[0] == "started"
    secrets = [
        cell.password("default"),
        *((cell.folder / name).read_text() for name in ("kubernetes", "aws")),
    ]
    assert [secret for secret in secrets if secret is None or secret in logged] == []


def test_an_environment_that_is_not_as_agreed_is_named() -> None:
    process = start({})
    _, logged = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "PULLPASS_WEB_IDENTITY_TOKEN_FILE is not set" in json.loads(logged)["error"]
