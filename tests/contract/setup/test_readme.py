"""The README's way from nothing to a pull, run as it is written; only the hub's address is another."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.secrets import add_on
from aws.credentials import AwsEndpoints
from kube.client import Client
from kube.objects import SECRET, SERVICE_ACCOUNT
from sandbox.pulls import pull
from tests.contract.controller.harness import admin_access
from tests.contract.setup.scene import IMAGE, REGION, Scene, agent, be_impatient, empty_scene

ROOT = Path(__file__).parents[3]
SECTION = (ROOT / "README.md").read_text().partition("## From nothing to a pull\n")[2].partition("\n## ")[0]
MANIFEST = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)[0]
COMMANDS = re.findall(r"^\$ (.*)$", SECTION, re.MULTILINE)


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """AWS's own names lead to the sandbox, for the agent as for the command line."""
    be_impatient(monkeypatch)
    with empty_scene(tmp_path) as scene:
        aws = scene.world.aws_endpoints
        here = AwsEndpoints(sts=f"{aws['sts']}/{REGION}", ecr=aws["ecr"], registry=aws["registry"])
        monkeypatch.setattr(add_on, "endpoints_of", lambda _access: here)
        yield scene


def run(scene: Scene, command: str) -> None:
    """In a shell of a person who has never used Pullpass, `edge.yaml` in the folder, the token on the clipboard."""
    program = scene.folder / "bin" / "pullpass"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m cli "$@"\n')
    program.chmod(0o755)
    known = {name: value for name, value in scene.environment().items() if not name.startswith("PULLPASS")}
    done = subprocess.run(
        ["/bin/sh", "-c", command.replace("https://pullpass.example.com", scene.hub.endpoint)],
        cwd=scene.folder,
        env={"PATH": f"{program.parent}:{os.environ['PATH']}", **known},
        input=scene.token + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert 0 == done.returncode, f"{command}: {done.stdout}{done.stderr}"


def test_it_takes_at_most_five_commands() -> None:
    assert 1 <= len(COMMANDS) <= 5


def test_as_written_a_private_image_is_pulled_without_a_pull_secret_of_ones_own(nothing: Scene) -> None:
    (nothing.folder / "edge.yaml").write_text(MANIFEST)
    with ExitStack() as stack:
        for command in COMMANDS:
            run(nothing, command)
            if command.startswith("pullpass connect"):
                stack.enter_context(agent(nothing.cluster, nothing.folder))  # what the cluster's kubelets do
        admin = Client(admin_access(nothing.cluster))
        stack.callback(admin.close)
        account = admin.get(SERVICE_ACCOUNT, "default", namespace="default")
        configs = [
            json.loads(
                base64.b64decode(
                    admin.get(SECRET, each["name"], namespace="default")["data"][".dockerconfigjson"]
                )
            )
            for each in account["imagePullSecrets"]
        ]
        assert pull(IMAGE, configs, nothing.world.aws_endpoints["registry"]).succeeded
