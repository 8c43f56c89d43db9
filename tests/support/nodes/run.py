"""Runs the end-to-end tests where nothing can leave: `python -m tests.support.nodes.run [pytest's arguments]`.

`make e2e` calls it. pytest becomes process 1 of process, mount and network namespaces of its own. When it ends, however
it ends (SIGKILL too), the kernel ends every process in there and takes mounts, bridges, veth pairs and iptables rules
down with the namespaces. What namespaces do not hold is compared before and after: a difference is a failure. Left over
from a killed run can only be folders and empty cgroups, which the next run sweeps by name.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli import children
from tests.support import processes, programs
from tests.support.nodes import cgroups
from tests.support.nodes.network import HUB_ADDRESS

MARK = "PULLPASS_E2E_FOLDER"  # set inside, names the folder that everything is written to
PREFIX = "pullpass-e2e-"
_LEFT_BEHIND = 3
_SWEEP_SECONDS = 10.0  # a process that was killed needs a moment to leave its cgroup
_PROGRAMS = (
    *("kubelet", "kube-proxy", "kube-apiserver", "kube-scheduler", "kube-controller-manager", "etcd"),
    *("containerd", "containerd-shim-runc-v2", "systemd-nspawn", "runc"),
)

_INSIDE = """
set -e
mount -t tmpfs tmpfs /run
exec "$@"
"""


def main(arguments: list[str]) -> int:
    """pytest's exit code, or 3 when something was left behind."""
    missing = [name for name in ("unshare", "ip") if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        reason = (
            f"not here: {', '.join(missing)}" if missing else "they need root (namespaces, mounts, systemd)"
        )
        sys.stderr.write(f"the end-to-end tests did not run: {reason}\n")
        return 1 if os.environ.get("CI") == "true" else 0
    with _folder() as folder:
        cgroups.sweep(PREFIX, keep=_running())
        before = traces()
        code = _enclosed(folder, arguments)
        cgroups.sweep(folder.name, patience=_SWEEP_SECONDS)
        left = left_behind(before, others=_running() - {folder.name})
    if left:
        sys.stderr.write(
            "left behind by the end-to-end tests:\n" + "".join(f"  {trace}\n" for trace in sorted(left))
        )
        return _LEFT_BEHIND
    return code


def _enclosed(folder: Path, arguments: list[str]) -> int:
    command = [
        "unshare",
        "--mount",
        "--net",
        "--pid",
        "--ipc",
        "--uts",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]
    command += ["--", "sh", "-c", _INSIDE, "sh", sys.executable, "-m", "pytest"]
    # The enclosure has no way out; what is in it may be talked to.
    command += [f"--allow-hosts=127.0.0.1,localhost,::1,{HUB_ADDRESS}", *arguments]
    process = subprocess.Popen(
        command,
        env=os.environ | {MARK: str(folder)},
        cwd=programs.REPOSITORY,
        preexec_fn=children.bound(signal.SIGKILL),  # noqa: PLW1509 - two system calls, no lock taken
    )
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: process.kill())
    processes.end_with_make()
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # pytest has got it as well, and ends in its own way
            continue


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder on a real disk: an overlay's upper part cannot lie on another overlay."""
    root = programs.cache_directory() / "runs"
    root.mkdir(parents=True, exist_ok=True)
    for old in root.glob(f"{PREFIX}*"):
        if not _alive(old):
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def left_behind(before: set[str], *, others: set[str]) -> set[str]:
    """What is there now and was not before, but for what belongs to the runs named in `others`."""
    return {trace for trace in traces() - before if not any(other in trace for other in others)}


def _running() -> set[str]:
    """The names of all runs under way: in this cache, and the one around this one."""
    around = os.environ.get(MARK)
    found = {folder.name for folder in (programs.cache_directory() / "runs").glob(f"{PREFIX}*")}
    return found | ({Path(around).name} if around else set())


def _alive(folder: Path) -> bool:
    """Whether the run lives that a folder is named for."""
    return Path("/proc", folder.name.removeprefix(PREFIX).partition("-")[0], "stat").exists()


def traces() -> set[str]:
    """What a bed could leave on the machine: mounts, links, rules, network namespaces, loop devices, processes, cgroups."""
    commands = {
        "link": ["ip", "-brief", "link"],
        "network namespace": ["ip", "netns"],
        "loop device": ["losetup", "--all"],
        "rule": ["iptables-save"],
    }
    found = {f"cgroup {path}" for path in cgroups.named(PREFIX)}
    for what, command in commands.items():
        if shutil.which(command[0]) is not None:
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            found |= {
                f"{what} {line.split()[0] if what == 'link' else line}" for line in _settled(answer.stdout)
            }
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    found |= {f"mount {line.split()[1]}" for line in mounts.splitlines() if PREFIX in line}
    return found | {f"process {line}" for line in _processes()}


def _settled(text: str) -> list[str]:
    """Lines without the counters and times of iptables-save."""
    return [line for line in text.splitlines() if not line.startswith(("#", ":"))]


def _processes() -> set[str]:
    found = set()
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            name = comm.read_text(encoding="utf-8").strip()
            command = (comm.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has just ended
            continue
        if name in {program[:15] for program in _PROGRAMS} and PREFIX in command:
            found.add(f"{comm.parent.name} {command}")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
