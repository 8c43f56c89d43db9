"""The enclosure keeps its promise: a run that is killed in the middle leaves nothing on the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import programs
from tests.support.nodes import cgroups, run
from tests.support.nodes.bed import eventually

_UNTIDY = """
import subprocess
import threading
from pathlib import Path

from tests.support.nodes import cgroups, network


def test_untidy() -> None:
    network.make_bridge()
    network.make_node_network("left", 1)
    subprocess.run(["iptables", "-t", "nat", "-A", "OUTPUT", "-j", "RETURN"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=True)
    subprocess.Popen(["sh", "-c", f"echo $$ > {cgroups.make('pullpass-e2e-untidy')[0]}; exec sleep 3600"])
    Path("{ready}").touch()
    threading.Event().wait(3600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_killed_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    if run.MARK not in os.environ:
        pytest.skip("it makes namespaces: run it with `make e2e`, as root")
    ready, test = tmp_path / "ready", tmp_path / "test_untidy.py"
    test.write_text(_UNTIDY.replace("{ready}", str(ready)))
    environment = os.environ | {"PULLPASS_CACHE_DIR": str(tmp_path / "cache")}
    before = run.traces()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.nodes.run", "-q", f"--rootdir={programs.REPOSITORY}", test],
        cwd=programs.REPOSITORY,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_heed_interrupts,  # noqa: PLW1509 - one call, no lock taken
    )
    try:
        eventually(ready.exists, what="the untidy test runs", explain=process.poll)

        if number == signal.SIGKILL:
            process.kill()
        else:
            os.killpg(process.pid, number)  # as a terminal does
        process.wait(30)
    finally:
        process.kill()

    eventually(lambda: not list(_sleepers()), what="its processes are gone")
    cgroups.sweep("pullpass-e2e-untidy")  # what the next run does first
    assert set() == run.left_behind(before, others={Path(os.environ[run.MARK]).name})


def _heed_interrupts() -> None:
    """Whoever starts a job in the background of a shell has it ignore SIGINT, and its children with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _sleepers() -> list[Path]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if file.read_bytes() == b"sleep\x003600\x00":
                found.append(file)
        except OSError:  # it has just ended
            continue
    return found
