"""What kind of node this is: where its kubelet looks for credential providers, and which unit is to be restarted.

One table, and the detection over it: by files that a distribution leaves on its nodes, by systemd's word on which of
its units is in use, and by the flags of the running kubelet, which beat the table. What cannot be changed from a
DaemonSet is named with the reason and what to do instead. `plan` calls `detect`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.node import kubelet_flags
from agent.node.host import Host
from agent.node.kubelet_flags import BIN_DIRECTORY, CONFIG

OURS = "/var/lib/pullpass"
CONTROL_PLANE_LABELS = (
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
    "node.kubernetes.io/microk8s-controlplane",
)
_RANCHER = "/var/lib/rancher/credentialprovider"
_MICROK8S = "/var/snap/microk8s/common"
_OWN_BIN, _OWN_CONFIG = f"{OURS}/bin", f"{OURS}/credential-provider.yaml"
# A kubelet that runs with one of these has its flags from us: they stay ours to keep and to take out.
_OWN_CONFIGS = (_OWN_CONFIG, f"{_MICROK8S}/pullpass-credential-provider.yaml")


@dataclass(frozen=True)
class Layout:
    """Where the kubelet of this node gets its credential providers from.

    `config` is a file or a directory. `flags_file` is the file that hands the two flags to the kubelet when we have to
    (in `flags_style`), None where they are set already or not needed. `unit_arguments` is what the unit itself sets
    `KUBELET_EXTRA_ARGS` to. `may_make_config` tells that a missing config is normal there.
    """

    distribution: str
    service: str
    bin_directory: str
    config: str
    flags_file: str | None = None
    flags_style: kubelet_flags.Style = "environment"
    unit_arguments: str = ""
    may_make_config: bool = False
    server: bool = False


@dataclass(frozen=True)
class Unsupported:
    """A node that cannot be changed from here: why, and what to do instead."""

    distribution: str
    reason: str
    message: str


@dataclass(frozen=True)
class _Kind:
    """A row of the table: a node on which `marker` exists and one of `services` is in use."""

    distribution: str
    marker: str
    services: tuple[str, ...]
    bin_directory: str
    config: str
    may_make_config: bool = False
    flags_file: str | None = None
    needs_flags: bool = False


_KINDS = (
    _Kind("rke2", "/var/lib/rancher/rke2", ("rke2-server", "rke2-agent"), f"{_RANCHER}/bin", f"{_RANCHER}/config.yaml", may_make_config=True),
    _Kind("k3s", "/var/lib/rancher/k3s", ("k3s", "k3s-agent"), f"{_RANCHER}/bin", f"{_RANCHER}/config.yaml", may_make_config=True),
    _Kind("microk8s", "/var/snap/microk8s/current/args/kubelet", ("snap.microk8s.daemon-kubelite", "snap.microk8s.daemon-kubelet"), f"{_MICROK8S}/bin", f"{_MICROK8S}/pullpass-credential-provider.yaml", may_make_config=True, flags_file="/var/snap/microk8s/current/args/kubelet"),
    _Kind("eks", "/etc/eks/image-credential-provider", ("kubelet",), "/etc/eks/image-credential-provider", "/etc/eks/image-credential-provider/config.json", needs_flags=True),
    _Kind("gke", "/etc/srv/kubernetes/cri_auth_config.yaml", ("kubelet",), "/home/kubernetes/bin", "/etc/srv/kubernetes/cri_auth_config.yaml", needs_flags=True),
    _Kind("aks", "/opt/azure/containers", ("kubelet",), "/var/lib/kubelet/credential-provider", "/var/lib/kubelet/credential-provider-config.yaml", needs_flags=True),
    _Kind("kubeadm", "/var/lib/kubelet", ("kubelet",), _OWN_BIN, _OWN_CONFIG, may_make_config=True),
)  # fmt: skip
# Units that run an API server as well as a kubelet.
_SERVERS = ("k3s", "rke2-server", "snap.microk8s.daemon-kubelite")
_SYSTEMS = {
    "bottlerocket": ("Bottlerocket", "Its root is read-only and the kubelet's providers come from its settings API. Set settings.kubernetes.credential-providers there, or use delivery pullSecret."),
    "talos": ("Talos", "It has no systemd and no writable root. Set machine.kubelet.credentialProviderConfig in the machine configuration, or use delivery pullSecret."),
}  # fmt: skip


def detect(
    host: Host, *, node: str = "", labels: Mapping[str, str] | None = None, running: bool = True
) -> Layout | Unsupported:
    """What this node is.

    Args:
        host: the node.
        node: its Node's name: that of an Autopilot node tells.
        labels: its Node's labels: those of a Fargate node tell.
        running: whether systemd runs there; False in an image build, where the files have to tell alone.
    """
    unsupported = _unsupported(host, node, labels or {}, running=running)
    if unsupported:
        return unsupported
    if not running:
        return _of_files(host)
    present = [kind for kind in _KINDS if host.kind(kind.marker)]
    for state in ("active", "enabled"):
        for kind in present:
            for service in kind.services:
                if _in_use(host, service, state):
                    return _layout(host, kind, f"{service}.service")
    return Unsupported(
        "unknown",
        "KubeletNotFound",
        "No kubelet of a known kind runs here as a unit of systemd. Use delivery pullSecret for this node.",
    )


def kubelet_arguments(host: Host, service: str) -> list[str]:
    """The command line of the unit's main process; empty when it does not run."""
    return _of_process(host, service, "cmdline")


def kubelet_environment(host: Host, service: str) -> dict[str, str]:
    """The environment of the unit's main process, which a plugin inherits; empty when it does not run."""
    return {
        name: value
        for name, _, value in (one.partition("=") for one in _of_process(host, service, "environ"))
        if name
    }


def argument(arguments: Sequence[str], name: str) -> str | None:
    """The value of a flag, `--name=value` or `--name value`; the last one counts."""
    found = None
    for position, one in enumerate(arguments):
        if one.startswith(f"{name}="):
            found = one.removeprefix(f"{name}=")
        elif one == name and position + 1 < len(arguments):
            found = arguments[position + 1]
    return found


def unit_property(host: Host, service: str, name: str) -> str:
    """One property of a unit, as systemd shows it."""
    return host.run(["systemctl", "show", service, "--property", name, "--value"]).output.strip()


def _unsupported(host: Host, node: str, labels: Mapping[str, str], *, running: bool) -> Unsupported | None:
    if labels.get("eks.amazonaws.com/compute-type") == "fargate":
        return Unsupported("fargate", "Fargate", "AWS runs this node. Its pods pull with their pod execution role: give it the ECR rights, or use delivery pullSecret.")  # fmt: skip
    if node.startswith("gk3-"):
        return Unsupported("gke-autopilot", "GkeAutopilot", "Google runs this node and lets nobody change it. Use delivery pullSecret.")  # fmt: skip
    release = (host.read("/etc/os-release") or host.read("/usr/lib/os-release") or b"").decode(
        errors="replace"
    )
    match = re.search(r"^ID=[\"']?([\w.-]+)", release, re.MULTILINE)
    if match and match[1] in _SYSTEMS:
        reason, message = _SYSTEMS[match[1]]
        return Unsupported(match[1], reason, message)
    if running and host.kind("/run/systemd/system") != "directory":
        return Unsupported("unknown", "NoSystemd", "Nothing here could bring the kubelet back if it did not come up: process 1 is not systemd. Use delivery pullSecret for this node.")  # fmt: skip
    return None


def _in_use(host: Host, service: str, state: str) -> bool:
    if state == "active":
        return unit_property(host, f"{service}.service", "ActiveState") in (
            "active",
            "activating",
            "reloading",
        )
    return unit_property(host, f"{service}.service", "UnitFileState") in ("enabled", "enabled-runtime")


def _layout(host: Host, kind: _Kind, service: str) -> Layout | Unsupported:
    arguments = kubelet_arguments(host, service)
    if kind.distribution in ("k3s", "rke2"):
        arguments = [*arguments, *_rancher_arguments(host, kind.distribution)]
    set_bin, set_config = argument(arguments, BIN_DIRECTORY), argument(arguments, CONFIG)
    if set_bin and set_config and set_config not in _OWN_CONFIGS:
        return Layout(
            kind.distribution,
            service,
            set_bin,
            set_config,
            server=service.removesuffix(".service") in _SERVERS,
        )
    if kind.needs_flags:
        return Unsupported(
            kind.distribution,
            "KubeletWithoutProvider",
            f"The kubelet of this {kind.distribution} node runs without {CONFIG}, which its image sets. Use delivery pullSecret for this node, or a newer node image.",
        )
    flags_file, unit_arguments = kind.flags_file, ""
    if kind.distribution == "kubeadm":
        flags_file = _environment_file(host, service)
        if flags_file is None:
            return Unsupported("kubeadm", "NoExtraArguments", f"The unit of the kubelet takes no ${kubelet_flags.VARIABLE} from /etc/default/kubelet or /etc/sysconfig/kubelet. Add it as kubeadm's own drop-in does, or use delivery pullSecret for this node.")  # fmt: skip
        unit_arguments = _unit_arguments(host, service)
    return Layout(
        kind.distribution,
        service,
        kind.bin_directory,
        kind.config,
        flags_file=flags_file,
        flags_style="lines" if kind.distribution == "microk8s" else "environment",
        unit_arguments=unit_arguments,
        may_make_config=kind.may_make_config,
        server=service.removesuffix(".service") in _SERVERS,
    )


def _of_files(host: Host) -> Layout | Unsupported:
    """In an image: the first kind whose files are there, its first unit that has a file.

    k3s, RKE2 and kubeadm make their folders at the first start only: there the unit tells alone.
    """
    folders = (
        "/etc/systemd/system",
        "/usr/lib/systemd/system",
        "/lib/systemd/system",
        "/usr/local/lib/systemd/system",
    )
    for kind in _KINDS:
        if (kind.needs_flags or kind.flags_file) and not host.kind(kind.marker):
            continue
        for service in kind.services:
            if any(host.kind(f"{folder}/{service}.service") for folder in folders):
                if kind.distribution != "kubeadm":
                    return Layout(kind.distribution, f"{service}.service", kind.bin_directory, kind.config, flags_file=kind.flags_file, flags_style="lines" if kind.flags_file else "environment", may_make_config=kind.may_make_config, server=service in _SERVERS)  # fmt: skip
                rpm = host.kind("/etc/sysconfig") == "directory"
                flags_file = "/etc/sysconfig/kubelet" if rpm else "/etc/default/kubelet"
                return Layout("kubeadm", "kubelet.service", _OWN_BIN, _OWN_CONFIG, flags_file=flags_file, may_make_config=True)  # fmt: skip
    return Unsupported("unknown", "KubeletNotFound", "No kubelet of a known kind is installed here.")


def _environment_file(host: Host, service: str) -> str | None:
    """The file from which the kubelet's unit takes `KUBELET_EXTRA_ARGS`; None when it takes none."""
    unit = host.run(["systemctl", "cat", service]).output
    if not re.search(rf"\$\{{?{kubelet_flags.VARIABLE}\b", unit):
        return None
    files: list[str] = re.findall(
        r"^EnvironmentFile=-?(/etc/(?:default|sysconfig)/kubelet)\s*$", unit, re.MULTILINE
    )
    return files[-1] if files else None


def _unit_arguments(host: Host, service: str) -> str:
    try:
        variables = shlex.split(unit_property(host, service, "Environment"))
    except ValueError:
        return ""
    found = [one.partition("=")[2] for one in variables if one.startswith(f"{kubelet_flags.VARIABLE}=")]
    return found[-1] if found else ""


def _rancher_arguments(host: Host, distribution: str) -> list[str]:
    """The two flags, if k3s' or RKE2's own configuration sets them."""
    folder = f"/etc/rancher/{distribution}"
    files = [
        f"{folder}/config.yaml",
        *(f"{folder}/config.yaml.d/{name}" for name in host.names(f"{folder}/config.yaml.d")),
    ]
    found: list[str] = []
    for path in files:
        text = (host.read(path) or b"").decode(errors="replace")
        for name in (BIN_DIRECTORY, CONFIG):
            match = re.search(rf"^{name.removeprefix('--')}:\s*[\"']?([^\"'\s#]+)", text, re.MULTILINE)
            found += [f"{name}={match[1]}"] if match else []
    return found


def _of_process(host: Host, service: str, file: str) -> list[str]:
    pid = unit_property(host, service, "MainPID")
    if not pid.isdigit() or pid == "0":
        return []
    return [one for one in host.run(["cat", f"/proc/{pid}/{file}"]).output.split("\0") if one]
