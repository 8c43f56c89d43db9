from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.node import command, settings
from cli import children

ENVIRONMENT = {
    "PULLPASS_NODE_NAME": "worker-1",
    "PULLPASS_HOST_ROOT": "/host",
    "PULLPASS_CONFIGURATION_FILE": "/configuration/configuration.json",
    "PULLPASS_WEB_IDENTITY_TOKEN_FILE": "/tokens/aws",
    "PULLPASS_KUBERNETES_TOKEN_FILE": "/tokens/kubernetes",
    "PULLPASS_KUBERNETES_CA_FILE": "/tokens/ca.crt",
    "PULLPASS_PLUGIN_FILE": "/opt/pullpass/libexec/ecr-credential-provider",
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
    "KUBERNETES_SERVICE_PORT": "443",
}


def test_the_environment_is_read() -> None:
    found = settings.read(ENVIRONMENT)
    assert ("worker-1", Path("/host"), "https://10.96.0.1:443") == (found.node, found.host_root, found.server)


def test_an_ipv6_address_is_bracketed() -> None:
    assert (
        "https://[fd00::1]:443" == settings.read({**ENVIRONMENT, "KUBERNETES_SERVICE_HOST": "fd00::1"}).server
    )


def test_a_named_server_is_taken() -> None:
    found = settings.read({**ENVIRONMENT, "PULLPASS_KUBERNETES_SERVER": "https://127.0.0.1:6443"})
    assert "https://127.0.0.1:6443" == found.server


def test_a_server_without_tls_is_refused() -> None:
    with pytest.raises(settings.SettingsError, match="expected an https URL"):
        settings.read({**ENVIRONMENT, "PULLPASS_KUBERNETES_SERVER": "http://127.0.0.1"})


def test_everything_that_is_missing_is_named() -> None:
    with pytest.raises(settings.SettingsError) as caught:
        settings.read({})
    assert [] == [name for name in ENVIRONMENT if name not in str(caught.value)]


def test_a_wrong_environment_ends_it_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == command.run({})
    assert "cannot start" == json.loads(capsys.readouterr().err)["event"]


def test_the_process_reports_its_trouble_and_ends_on_sigterm(tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "PULLPASS_HOST_ROOT": str(tmp_path), "PATH": os.environ["PATH"]}
    with subprocess.Popen(
        [sys.executable, "-m", "agent", "node"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=children.bound(signal.SIGKILL),  # noqa: PLW1509 - two system calls, no lock taken
    ) as process:
        assert process.stderr is not None
        events = [json.loads(process.stderr.readline()) for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(20)
    assert ("started", "ConfigurationUnreadable") == (events[0]["event"], events[1]["reason"])


def test_it_loads_nothing_but_the_standard_library_and_pyyaml() -> None:
    program = "import sys, agent.__main__, agent.node.command; print(*{name.partition('.')[0] for name in sys.modules})"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    foreign = (
        set(found.stdout.split())
        - set(sys.stdlib_module_names)
        - {"yaml", "_yaml", "cython_runtime", "agent"}
    )
    assert set() == {name for name in foreign if not name.startswith(("_", "sitecustomize"))}
