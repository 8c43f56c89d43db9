"""A folder that behaves like a node: a systemd in miniature, a kubelet that is as picky as the real one.

The kubelet here reads the files with the rules of `preflight`, which another test holds against real refusals; the
watcher's outcome is the real script's logic in Python (the script itself is run by `test_watcher`).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.node import kubelet_flags, preflight, watcher
from agent.node.distributions import argument
from agent.node.host import FakeHost, Result

ANSWER = {
    "kind": "CredentialProviderResponse",
    "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
    "cacheKeyType": "Registry",
    "cacheDuration": "6h0m0s",
    "auth": {"123456789012.dkr.ecr.eu-central-1.amazonaws.com": {"username": "AWS", "password": "issued"}},
}
DROP_IN = """\
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--kubeconfig=/etc/kubernetes/kubelet.conf"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-{environment_file}
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"""


@dataclass
class Machine:
    """One node. `flags` are what the unit itself gives the kubelet, beside those of `environment_file`."""

    root: Path
    service: str = "kubelet.service"
    environment_file: str = "/etc/default/kubelet"
    unit: str = ""
    flags: list[str] = field(default_factory=list)
    unit_environment: str = ""
    fixed_config: str = ""
    fixed_bin: str = ""
    version: str = "v1.34.4"
    rejects: bool = False  # a kubelet that will not come up with any provider of ours
    restarts: int = 0
    enabled: set[str] = field(default_factory=set)
    units: set[str] = field(default_factory=set)
    running: list[str] = field(default_factory=list)
    plugin: Result = field(default_factory=lambda: Result(0, json.dumps(ANSWER), ""))

    def __post_init__(self) -> None:
        self.host = FakeHost(self.root, self._answer)
        self.put("/run/systemd/system/.here", "")
        self.put("/etc/os-release", "ID=debian\n")
        for folder in ("var/lib", "etc/systemd/system/multi-user.target.wants"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self.units.add(self.service)
        self.running = self.arguments()

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        at = self.root / path.lstrip("/")
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(text)
        at.chmod(mode)

    def text(self, path: str) -> str | None:
        at = self.root / path.lstrip("/")
        return at.read_text() if at.exists() else None

    def everything(self) -> dict[str, tuple[int, bytes]]:
        """Every file and folder, with mode and content: what is to be as it was."""
        return {
            str(at.relative_to(self.root)): (at.stat().st_mode, at.read_bytes() if at.is_file() else b"")
            for at in sorted(self.root.rglob("*"))
        }

    def arguments(self) -> list[str]:
        """The command line with which the kubelet would start now."""
        found = [*self.flags]
        text = self.text(self.environment_file)
        extra = kubelet_flags.foreign_arguments(text) if text is not None and self.unit else None
        if extra is None and self.unit:
            extra = self.unit_environment
        if self.environment_file.endswith("args/kubelet"):
            found += [line.strip() for line in (text or "").splitlines() if line.startswith("--")]
        return [*found, *(extra or "").split()]

    def refusals(self) -> list[str]:
        """Why the kubelet would not start now; empty when it would."""
        arguments = self.arguments()
        config = argument(arguments, kubelet_flags.CONFIG) or self.fixed_config
        bin_directory = argument(arguments, kubelet_flags.BIN_DIRECTORY) or self.fixed_bin
        flagged = argument(arguments, kubelet_flags.CONFIG) is not None
        if not config or (
            not flagged and (self.host.kind(config) is None or self.host.kind(bin_directory) is None)
        ):
            return []
        if self.host.kind(config) is None:
            return [f"{config}: no such file"]
        files = [f"{config}/{name}" for name in self.host.names(config)] or [config]
        texts = {path: self.text(path) or "" for path in files}
        if self.rejects and any("pullpass" in text for text in texts.values()):
            return ["this kubelet will not come up"]
        allowed = preflight.takes_tokens(preflight.version_of(self.version), {})
        return preflight.documents(texts, host=self.host, bin_directory=bin_directory, tokens_allowed=allowed)

    def restart(self) -> bool:
        self.restarts += 1
        self.running = self.arguments()
        return not self.refusals()

    def _answer(self, command: Sequence[str]) -> Result:  # noqa: PLR0911 - one line a command
        match list(command):
            case ["systemctl", "show", service, "--property", name, "--value"]:
                return Result(0, self._property(service, name) + "\n", "")
            case ["systemctl", "cat", _]:
                return Result(0, self.unit, "")
            case ["systemctl", "is-active", watcher.SERVICE]:
                return Result(3, "inactive\n", "")
            case ["systemctl", "enable", service]:
                self.put(watcher.LINK, "")
                self.enabled.add(service)
            case ["systemctl", "disable", service]:
                (self.root / watcher.LINK.lstrip("/")).unlink(missing_ok=True)
                self.enabled.discard(service)
            case ["systemctl", "start", "--no-block", watcher.SERVICE]:
                self.watch()
            case ["cat", path] if path.endswith("/cmdline"):
                return Result(0, "\0".join(["/usr/bin/kubelet", *self.running]) + "\0", "")
            case ["cat", path] if path.endswith("/environ"):
                return Result(0, "HTTPS_PROXY=http://kubelets.proxy\0LANG=C\0", "")
            case [path] if path.endswith("pullpass-ecr-credential-provider"):
                return self.plugin
        return Result(0, "", "")

    def _property(self, service: str, name: str) -> str:
        here = service in self.units
        return {
            "ActiveState": "active" if here else "inactive",
            "UnitFileState": "enabled" if here else "",
            "MainPID": "4711" if here else "0",
            "Environment": shlex.quote(f"KUBELET_EXTRA_ARGS={self.unit_environment}")
            if self.unit_environment
            else "",
        }.get(name, "")

    def watch(self) -> None:
        """What the watcher's script does, on request and at boot."""
        wanted = self.root / watcher.WANTED.lstrip("/")
        asked = wanted.exists()
        healthy = self.restart() if asked else not self.refusals()
        wanted.unlink(missing_ok=True)
        if healthy:
            self.put(watcher.OUTCOME, "healthy\n")
            return
        self.put(watcher.WHY, f'E1122 run.go:72 "command failed" err="{"; ".join(self.refusals())}"\n')
        script = self.text(watcher.SCRIPT) or ""
        for line in script.splitlines():
            words = (
                shlex.split(line, comments=True)
                if line.startswith(("put_back '", "put_back ", "take_away "))
                else []
            )
            if len(words) == 4 and words[0] == "put_back":
                copy = self.root / "var/lib/pullpass/before" / words[1]
                at = self.root / words[3].lstrip("/")
                at.write_bytes(copy.read_bytes())
                at.chmod(copy.stat().st_mode)
            elif len(words) == 2 and words[0] == "take_away":
                (self.root / words[1].lstrip("/")).unlink(missing_ok=True)
        self.restart()
        self.put(watcher.OUTCOME, "rolledBack\n")


def kubeadm(root: Path, environment_file: str = "/etc/default/kubelet") -> Machine:
    machine = Machine(
        root, environment_file=environment_file, unit=DROP_IN.format(environment_file=environment_file)
    )
    machine.put("/var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n")
    (root / environment_file.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    return machine
