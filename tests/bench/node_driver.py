"""The node driver of `node`, in a process of its own: `python -m tests.bench.node_driver FOLDER SERVER`.

The loop, the host's files and the client of the API server are the driver's own; the node's commands are answered by the
machine of the unit tests, because a benchmark restarts no kubelet. Prints what the process takes once it idles.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from agent.node.kubernetes import ApiServer
from agent.node.loop import LOOK_SECONDS, Driver
from agent.node.settings import NodeSettings
from tests.unit.agent.node.machine import kubeadm

LOOKS_UNTIL_READY = 20
IDLE_LOOKS = 400  # more than an hour: reports, verification and Node are read anew on the way


def memory() -> dict[str, int]:
    """Resident size of this process in bytes: now, its own part of it, and at most so far."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    names = {"resident": "VmRSS", "own": "RssAnon", "peak": "VmHWM"}
    return {name: int(status[field].split()[0]) * 1024 for name, field in names.items()}


def main(folder: Path, server: str) -> None:
    """Drives a node from nothing to ready, idles, and prints `memory` as JSON."""
    machine = kubeadm(folder / "host")
    settings = NodeSettings(
        node="worker-1",
        host_root=machine.root,
        configuration_file=folder / "configuration.json",
        web_identity_token_file=folder / "token",
        kubernetes_token_file=folder / "token",
        kubernetes_ca_file=folder / "ca.pem",
        plugin_file=folder / "plugin",
        server=server,
    )
    driver = Driver(settings, machine.host, ApiServer(server, folder / "token", folder / "ca.pem"))
    for _ in range(LOOKS_UNTIL_READY):
        found = driver.look()
        driver.say(found)
        machine.host.wait(LOOK_SECONDS)
        if found.state == "ready":
            break
    else:
        raise SystemExit(f"the node is {found.state}: {found.reason} {found.message}")
    for _ in range(IDLE_LOOKS):
        driver.say(driver.look())
        machine.host.wait(LOOK_SECONDS)
        machine.host.commands.clear()
        machine.host.stdin.clear()
        machine.host.environments.clear()
    sys.stdout.write(json.dumps(memory()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
