"""One node: a Debian root under its own systemd in systemd-nspawn, with containerd, kubelet and kube-proxy.

The root is an overlay on the one that `parts` made, so a node starts clean and its changes can be told. Only
containerd's and the kubelet's folders lie on the disk itself: an overlay cannot lie on an overlay.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import processes, programs
from tests.support.nodes import cgroups
from tests.support.nodes.layouts import Layout, NodeFacts
from tests.support.nodes.network import NodeNetwork

_POLL_SECONDS = 0.1
_BOOT_SECONDS = 60.0
_BINDS = ("/var/lib/containerd", "/var/lib/kubelet", "/var/log/pods")
_UNITS = ("containerd.service", "kube-proxy.service", "writable-cgroups.service")


@dataclass
class Node:
    """Args:
    name: Its host name and its Node's.
    directory: An empty folder for its disk and its console's log.
    base: The Debian root it is made from; never written to.
    layout: Where things lie on it.
    """

    name: str
    directory: Path
    base: Path
    network: NodeNetwork
    layout: Layout
    facts: NodeFacts
    cgroup: str
    _console: subprocess.Popen[bytes] | None = None
    _leader: int | None = None
    _files: list[Path] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """Its `/` as seen from here; what its kubelet mounts over it is not in there."""
        return self.directory / "root"

    def prepare(self) -> None:
        """Makes its disk: the overlay, its files, its enabled units."""
        for folder in ("root", "changes", "work"):
            (self.directory / folder).mkdir(parents=True)
        options = (
            f"lowerdir={self.base},upperdir={self.directory / 'changes'},workdir={self.directory / 'work'}"
        )
        _run("mount", "-t", "overlay", "overlay", "-o", options, self.root)
        for path in _BINDS:
            self._disk(path).mkdir(parents=True)
            (self.root / path[1:]).mkdir(parents=True, exist_ok=True)
            _run("mount", "--bind", self._disk(path), self.root / path[1:])
        for path, (text, mode) in self.layout.files(self.facts).items():
            self.write(path, text, mode=mode)
        _run("systemctl", f"--root={self.root}", "--quiet", "enable", *_UNITS, self.layout.unit)

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Writes one of its files from outside."""
        target = self.root / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(mode)

    def start(self) -> None:
        """Boots it; returns when its systemd answers."""
        programs_directory = programs.require("kubelet", make="kubernetes").parent
        command = ["systemd-nspawn", f"--directory={self.root}", "--boot", "--register=no", "--keep-unit"]
        command += ["--capability=all", f"--machine={self.name}", "--console=passive", "--resolv-conf=off"]
        command += [
            "--link-journal=no",
            "--timezone=off",
            f"--network-namespace-path={self.network.namespace}",
        ]
        command += ["--system-call-filter=@keyring bpf add_key keyctl", "--bind=/dev/kmsg"]
        command += [f"--bind={self._disk(path)}:{path}" for path in _BINDS]
        command += [
            f"--bind-ro={programs_directory / name}:/usr/bin/{name}" for name in ("kubelet", "kube-proxy")
        ]
        joins = "".join(f"echo $$ > {file};" for file in cgroups.make(self.cgroup))
        self._console = processes.start(
            ["sh", "-c", f'{joins} exec "$@"', "sh", *command],
            log=self.directory / "console.log",
            environment={"PATH": os.environ["PATH"], "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes"},
        )
        self._leader = self._wait_for_leader()
        self._wait_for_systemd()

    def stop(self) -> None:
        """Ends it at once, as pulling the plug does."""
        if self._console is None:
            return
        if self._leader is not None and self._console.poll() is None:
            os.kill(self._leader, signal.SIGKILL)
        try:
            self._console.wait(20)
        except subprocess.TimeoutExpired:
            self._console.kill()
            self._console.wait()
        self._console = self._leader = None

    def reboot(self) -> None:
        """Without a warning, as a power cut does; returns when its systemd answers again."""
        self.stop()
        self.start()

    def run(self, *command: str, check: bool = True, text: str | None = None) -> str:
        """Runs a command inside and returns its output; `text` is its input.

        Raises:
            AssertionError: it failed, with what it said.
        """
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        answer = subprocess.run(
            [*self._enter(), *command],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        output = answer.stdout + answer.stderr
        assert answer.returncode == 0 or not check, f"{self.name}: {shlex.join(command)}: {output}"
        return answer.stdout if check else output

    def import_image(self, archive: Path) -> None:
        """Gives its containerd the images of an archive."""
        with archive.open("rb") as stream:
            answer = subprocess.run(
                [*self._enter(), "ctr", "--namespace", "k8s.io", "images", "import", "--no-unpack", "-"],
                stdin=stream,
                capture_output=True,
                check=False,
                text=True,
            )
        assert answer.returncode == 0, answer.stderr

    def forget_image(self, reference: str) -> None:
        """Removes an image from its containerd, so that the next pod pulls it."""
        self.run("ctr", "--namespace", "k8s.io", "images", "rm", "--sync", reference, check=False)

    def journal(self, unit: str | None = None, *, lines: int = 60) -> str:
        """The last lines of a unit's journal, of the kubelet's by default."""
        return self.run(
            "journalctl",
            "--no-pager",
            "-o",
            "cat",
            "-u",
            unit or self.layout.unit,
            "-n",
            str(lines),
            check=False,
        )

    def kubelet_process(self) -> int | None:
        """The number of its kubelet's process inside, None while there is none."""
        found = self.run("systemctl", "show", "-p", "MainPID", "--value", self.layout.unit).strip()
        return int(found) or None

    def _enter(self) -> list[str]:
        assert self._leader is not None, f"{self.name} is not running"
        return ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"]

    def _disk(self, path: str) -> Path:
        return self.directory / "disk" / path.strip("/").replace("/", "-")

    def _wait_for_leader(self) -> int:
        pause = threading.Event()
        assert self._console is not None
        children = Path(f"/proc/{self._console.pid}/task/{self._console.pid}/children")
        for _ in range(int(_BOOT_SECONDS / _POLL_SECONDS)):
            if self._console.poll() is not None:
                break
            for child in children.read_text(encoding="ascii").split():
                if _is_init(int(child)):
                    return int(child)
            pause.wait(_POLL_SECONDS)
        raise AssertionError(f"{self.name} does not boot:\n{self.console()}")

    def _wait_for_systemd(self) -> None:
        pause = threading.Event()
        for _ in range(int(_BOOT_SECONDS / _POLL_SECONDS)):
            state = self.run("systemctl", "is-system-running", check=False).strip()
            if state in {"running", "degraded", "starting"}:
                return
            pause.wait(_POLL_SECONDS)
        raise AssertionError(f"{self.name}: systemd does not answer:\n{self.console()}")

    def console(self) -> str:
        """The end of what it wrote to its console."""
        log = self.directory / "console.log"
        return log.read_text(encoding="utf-8", errors="replace")[-4000:] if log.exists() else ""


def _is_init(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/comm").read_text(encoding="ascii").strip() == "systemd"
    except OSError:
        return False


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)
