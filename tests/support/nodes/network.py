"""The network of the test bed: a bridge in the enclosure's own namespace, and a namespace with a veth pair per node.

Nothing of it exists outside the enclosure (`run.py`), so nothing of it can be left behind.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

BRIDGE = "bridge0"
HUB_ADDRESS = "10.199.0.1"  # the control plane, AWS and the registry, as the nodes see them
SERVICES = "10.96.0.0/16"  # the API server's `--service-cluster-ip-range`
_PREFIX = 24


@dataclass(frozen=True)
class NodeNetwork:
    """What one node has for itself: `namespace` is the path nspawn takes, `pods` the range of its pods."""

    namespace: Path
    address: str
    pods: str


def make_bridge() -> None:
    """The bridge that every node hangs on; services on loopback can be shown on it by `expose`."""
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", BRIDGE, "type", "bridge")
    _run("ip", "address", "add", f"{HUB_ADDRESS}/{_PREFIX}", "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")
    Path("/proc/sys/net/ipv4/conf/all/route_localnet").write_text("1", encoding="ascii")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")


def expose(port: int, *, as_port: int | None = None) -> None:
    """Lets nodes, and this side, reach 127.0.0.1:`port` as `HUB_ADDRESS`:`as_port` (the same port by default)."""
    shown = str(port if as_port is None else as_port)
    for chain in ("PREROUTING", "OUTPUT"):
        _run(
            *("iptables", "-t", "nat", "-A", chain, "-p", "tcp", "-d", HUB_ADDRESS, "--dport", shown),
            *("-j", "DNAT", "--to-destination", f"127.0.0.1:{port}"),
        )


def make_node_network(name: str, number: int) -> NodeNetwork:
    """The namespace of node `number` (from 1), joined to the bridge."""
    address = _address(number)
    pods = f"10.244.{number}.0/24"
    _run("ip", "netns", "add", name)
    _run("ip", "link", "add", f"veth{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
    _run("ip", "link", "set", f"veth{number}", "master", BRIDGE, "up")
    _run("ip", "-n", name, "link", "set", "lo", "up")
    _run("ip", "-n", name, "address", "add", f"{address}/{_PREFIX}", "dev", "eth0")
    _run("ip", "-n", name, "link", "set", "eth0", "up")
    _run("ip", "-n", name, "route", "add", "default", "via", HUB_ADDRESS)
    _run("ip", "route", "add", pods, "via", address)
    return NodeNetwork(Path("/run/netns") / name, address, pods)


def route_services(number: int) -> None:
    """Lets the API server reach Services, webhooks among them: through kube-proxy on node `number`."""
    _run("ip", "route", "add", SERVICES, "via", _address(number))


def _address(number: int) -> str:
    return f"10.199.0.{10 + number}"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
