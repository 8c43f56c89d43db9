"""A cgroup of its own for each node, in every hierarchy: two kubelets on one machine must not share `/kubepods`.

cgroup v1 and the unified hierarchy alike. Namespaces do not end a cgroup; `sweep` removes the empty ones.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_POLL_SECONDS = 0.1


def make(name: str) -> list[Path]:
    """Makes the cgroup `name` below this process's own in every hierarchy; returns their `cgroup.procs` files."""
    files = []
    for parent in _own():
        folder = parent / name
        folder.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):  # v1 gives a new one no CPU
            if (folder / setting).exists() and not (folder / setting).read_text(encoding="ascii").strip():
                (folder / setting).write_text(
                    (parent / setting).read_text(encoding="ascii"), encoding="ascii"
                )
        files.append(folder / "cgroup.procs")
    return files


def named(prefix: str) -> Iterator[Path]:
    """Every cgroup whose name begins with `prefix`, below this process's own."""
    for parent in _own():
        yield from parent.glob(f"{prefix}*")


def sweep(prefix: str, *, keep: Collection[str] = (), patience: float = 0.0) -> None:
    """Removes them with what is below, but for those of the runs named in `keep`; one in use stays.

    `patience` is how many seconds those in use are given to be left by their processes.
    """
    pause = threading.Event()
    for _ in range(1 + int(patience / _POLL_SECONDS)):
        left = [folder for folder in named(prefix) if not folder.name.startswith(tuple(keep))]
        for folder in left:
            _remove(folder)
        if not any(folder.exists() for folder in left):
            return
        pause.wait(_POLL_SECONDS if patience else 0)


def _remove(folder: Path) -> None:
    for child in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            child.rmdir()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _own() -> list[Path]:
    found = []
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        number, controllers, path = line.split(":", 2)
        mount = _mount(number, controllers)
        if mount is not None:
            found.append(mount / path.lstrip("/"))
    return found


def _mount(number: str, controllers: str) -> Path | None:
    if number == "0":
        candidates = [_ROOT / "unified", _ROOT]
        return next((path for path in candidates if (path / "cgroup.controllers").exists()), None)
    path = _ROOT / controllers.removeprefix("name=")
    return path if path.exists() else None
