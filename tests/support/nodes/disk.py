"""What lies on a node's disk, to hold that it is byte for byte as before.

Left out is what a running node changes by itself: logs, caches, what containerd and the kubelet keep of pods and tokens.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from tests.support.nodes.node import Node

_ITS_OWN = (
    *("run", "tmp", "proc", "sys", "dev", "var/log", "var/tmp", "var/cache", "etc/machine-id"),
    *(
        "var/lib/systemd",
        "var/lib/containerd",
        "var/lib/cni",
        "etc/resolv.conf",
        "etc/.updated",
        "var/.updated",
    ),
    *(f"var/lib/kubelet/{name}" for name in ("pods", "pki", "plugins", "plugins_registry", "pod-resources")),
    *(f"var/lib/kubelet/{name}" for name in ("cpu_manager_state", "memory_manager_state", "device-plugins")),
    *(
        "var/lib/kubelet/checkpoints",
        "var/lib/kubelet/actuated_pods_state",
        "var/lib/kubelet/allocated_pods_state",
    ),
    *("var/lib/kubelet/image_manager", "var/lib/kubelet/dra_manager_state", "var/lib/calico", "var/lib/dbus"),
)


def contents(node: Node) -> dict[str, str]:
    """Every path with mode, owner and a digest of its content."""
    found: dict[str, str] = {}
    for folder, folders, files in os.walk(node.root):
        here = Path(folder)
        folders[:] = [name for name in folders if not _is_its_own(here / name, node.root)]
        for name in (*folders, *files):
            path = here / name
            if not _is_its_own(path, node.root):
                found[f"/{path.relative_to(node.root)}"] = _described(path)
    return found


def difference(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """What is not as before, by path: what it was and what it is."""
    return {
        path: (before.get(path), after.get(path))
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    }


def _is_its_own(path: Path, root: Path) -> bool:
    return str(path.relative_to(root)) in _ITS_OWN


def _described(path: Path) -> str:
    status = path.lstat()
    owner = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
    if stat.S_ISLNK(status.st_mode):
        return f"{owner} {path.readlink()}"
    if stat.S_ISREG(status.st_mode):
        return f"{owner} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return owner
