"""The same steps once, without a cluster: from cloud-init, or while a node image is built.

`pullpass node install` calls `install_once`. There are no turns to take, because the node serves nobody yet, and no
Node to read: the caller says what the configuration is and, if systemd cannot tell, nothing is restarted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.node import distributions, plan, plugin, steps, token
from agent.node import state as states
from agent.node.configuration import Configuration
from agent.node.distributions import OURS, Unsupported
from agent.node.host import Host
from agent.node.plan import Plan, Refused
from agent.node.plugin import Verification
from agent.node.provider import CA_BUNDLE_FILE, environment, image_to_verify, needs_token
from agent.node.state import State

_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Installed:
    """What was done: `changed` names the files; `verified` is None where nothing could be asked."""

    distribution: str
    changed: tuple[str, ...]
    restarted: bool
    message: str
    verified: Verification | None = None


@dataclass(frozen=True)
class Planned:
    """What an installation would do: `files` that would change, the program beside them, the kubelet's unit."""

    distribution: str
    service: str
    plugin: str
    files: tuple[str, ...]
    elsewhere: bool


def plan_once(host: Host, wanted: Configuration, *, running: bool = True) -> Planned:
    """What `install_once` would do; changes nothing.

    Raises:
        Refused: it would leave the machine alone; the message says why.
        HostError: the machine cannot be read.
    """
    state, intended = _planned(host, wanted, running=running)
    return Planned(
        state.layout.distribution,
        state.layout.service,
        plugin.path(state.layout),
        () if intended.elsewhere else tuple(one.path for one in intended.changes(host)),
        intended.elsewhere,
    )


def install_once(
    host: Host,
    wanted: Configuration,
    *,
    plugin_file: Path,
    token_file: Path | None = None,
    running: bool = True,
) -> Installed:
    """Brings this machine to the configuration, and waits until its kubelet is healthy with it.

    Args:
        host: the machine.
        wanted: the configuration; `removing` and `selector` are not looked at.
        plugin_file: the ecr-credential-provider.
        token_file: a web identity token, where there is one already; else the driver brings it later.
        running: whether the machine runs; False in an image build and ahead of the kubelet's first start: files only.

    Raises:
        Refused: the machine is left alone, or its kubelet has its files back; the message says why.
        HostError: the machine did not let us.
    """
    state, intended = _planned(host, wanted, running=running)
    if intended.elsewhere:
        return Installed(
            state.layout.distribution, (), False, "Another provider serves ECR with the node's own role"
        )
    host.make_directory(OURS)
    if wanted.aws.ca_bundle:
        host.write(CA_BUNDLE_FILE, wanted.aws.ca_bundle.encode(), 0o644)
    has_token = needs_token(wanted) and token_file is not None
    if has_token and token_file:
        try:
            token.copy(host, token_file)
        except token.TokenError as error:
            raise Refused("TokenUnreadable", str(error)) from None
    state = steps.make_directory(host, state, state.layout.bin_directory)
    plugin.put(host, state.layout, plugin_file)
    changed = tuple(one.path for one in intended.changes(host))
    restart = running and (bool(changed) or state.phase != "settled")
    if restart and distributions.unit_property(host, state.layout.service, "ActiveState") == "active":
        state = steps.change(host, state, intended, wanted.generation)
        while state.phase == "restarting":
            host.wait(_PAUSE_SECONDS)
            state = steps.finish(host, state)
        if state.rolled_back:
            raise Refused(
                "KubeletNotHealthy",
                f"The kubelet did not come up and has its files back: {state.rolled_back.reason}",
            )
    else:
        restart = False
        state = steps.put_without_restart(host, state, intended, wanted.generation)
    image = image_to_verify(wanted)
    verified = None
    if running and image and (has_token or wanted.role_arn is None) and wanted.identity == "shared":
        verified = plugin.verify(host, state.layout, environment(wanted), image)
    return Installed(state.layout.distribution, changed, restart, "", verified)


def _planned(host: Host, wanted: Configuration, *, running: bool) -> tuple[State, Plan]:
    layout = distributions.detect(host, running=running)
    if isinstance(layout, Unsupported):
        raise Refused(layout.reason, layout.message)
    state = states.read(host) or State(layout)
    return state, plan.to_install(host, state.layout, wanted, _kubelet_version(host, state.layout.service))


def _kubelet_version(host: Host, service: str) -> str:
    """What the kubelet's program says of itself; empty when it says nothing."""
    programs = {"k3s": "k3s", "k3s-agent": "k3s", "rke2-server": "rke2", "rke2-agent": "rke2"}
    program = programs.get(service.removesuffix(".service"), "kubelet")
    return host.run([program, "--version"]).output.strip()
