"""The driver: looks at the configuration and the node, brings the one to the other, says how it went, and again.

Level-based: every look starts from what is on disk, so it does not matter what an earlier one, another driver or a
reboot has done. `command` runs it in the DaemonSet.
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent.node import distributions, plan, plugin, slots, steps, token, watcher
from agent.node import state as states
from agent.node.configuration import Configuration, ConfigurationError, parse
from agent.node.distributions import OURS, Layout, Unsupported
from agent.node.host import Host, HostError
from agent.node.kubernetes import Kubernetes, KubernetesError, Object, is_ready, labels
from agent.node.plan import Plan, Refused
from agent.node.plugin import Verification
from agent.node.provider import CA_BUNDLE_FILE, TOKEN_FILE, environment, image_to_verify, needs_token
from agent.node.report import NodeState, Report
from agent.node.settings import NodeSettings
from agent.node.state import State

LOOK_SECONDS, TURN_SECONDS = 10.0, 1.0
NODE_AGE = timedelta(seconds=60)
REPORT_AGE = timedelta(minutes=5)
VERIFY_AFTER, VERIFY_AGAIN = timedelta(hours=1), timedelta(minutes=1)
DETECT_AGAIN = timedelta(minutes=5)
TRY_PLUGIN_AGAIN = timedelta(minutes=10)


def log(event: str, **facts: object) -> None:
    """One JSON object a line on standard error; never a credential."""
    sys.stderr.write(json.dumps({"event": event, **facts}, default=str) + "\n")
    sys.stderr.flush()


@dataclass
class _Memory:
    """What a driver remembers between two looks to spare the API server, AWS and the node; all of it may be lost."""

    generation: int = 0
    node: Object | None = None
    node_read: datetime | None = None
    detected: Layout | Unsupported | None = None
    detected_at: datetime | None = None
    slot_may_be_held: bool = True
    cleaned: int | None = None
    plugin_refused: tuple[str, datetime] | None = None
    verified: Verification | None = None
    verified_hash: str = ""
    written: Report | None = None
    written_at: datetime | None = None


class Driver:
    """One node's driver."""

    def __init__(self, settings: NodeSettings, host: Host, api: Kubernetes) -> None:
        self._settings = settings
        self._host = host
        self._api = api
        self._memory = _Memory()

    def run(self, stop: threading.Event) -> None:
        """Looks every 10 s, at once when the configuration changes, every second while the kubelet restarts."""
        while not stop.is_set():
            found = self.look()
            self.say(found)
            seen = self._configuration_bytes()
            pause = TURN_SECONDS if found.state == "restarting" else LOOK_SECONDS
            while pause > 0 and not stop.wait(TURN_SECONDS):
                pause -= TURN_SECONDS
                if self._configuration_bytes() != seen:
                    break

    def look(self) -> Report:
        """One look and what it led to. Failures are in the report."""
        try:
            wanted = parse(self._configuration_bytes())
        except ConfigurationError as error:
            return Report(
                self._memory.generation,
                self._settings.node,
                "",
                "failed",
                "ConfigurationUnreadable",
                str(error),
            )
        if wanted.generation != self._memory.generation:
            self._memory = replace(
                _Memory(),
                generation=wanted.generation,
                written=self._memory.written,
                written_at=self._memory.written_at,
            )
        try:
            return self._converge(wanted)
        except Refused as refused:
            return self._report(wanted, "refused", refused.reason, str(refused))
        except HostError as error:
            return self._report(wanted, "failed", "HostRefused", str(error))
        except KubernetesError as error:
            return self._report(wanted, "waiting", "ApiServerUnreachable", str(error))

    def say(self, found: Report) -> None:
        """Writes the report when it says something new, or every five minutes."""
        now, memory = self._host.now(), self._memory
        if memory.written_at and found == memory.written and now - memory.written_at < REPORT_AGE:
            return
        if memory.written is None or found != memory.written:
            log("report", **found.document(now))
        try:
            cluster = parse(self._configuration_bytes()).cluster.uid
        except ConfigurationError:
            cluster = ""
        try:
            self._api.apply_lease(found.lease(cluster, now))
        except KubernetesError as error:
            log("report not written", error=str(error))
            return
        memory.written, memory.written_at = found, now

    def _converge(self, wanted: Configuration) -> Report:
        state = states.read(self._host)
        given_back = state and state.phase == "changing" and watcher.outcome(self._host) == "rolledBack"
        if state and (state.phase == "restarting" or given_back):
            state = steps.finish(self._host, state)
            if state.phase == "restarting":
                return self._report(
                    wanted, "restarting", "", "The kubelet is restarting", plan_hash=state.target
                )
        elif state and state.phase == "settled" and self._host.kind(watcher.UNIT):
            state = steps.settle(self._host, state)
        node = self._node(fresh=False)
        found = state.layout if state else self._detected(node)
        removing = wanted.removing or not wanted.selects(labels(node))
        if isinstance(found, Unsupported):
            if removing:
                return self._report(wanted, "removed", "Unsupported", found.message)
            return self._report(wanted, "unsupported", found.reason, found.message)
        state = state or State(found)
        return self._remove(wanted, node, state) if removing else self._install(wanted, node, state)

    def _install(self, wanted: Configuration, node: Object, state: State) -> Report:
        intended = plan.to_install(self._host, state.layout, wanted, _kubelet_version(node))
        if intended.elsewhere:
            message = (
                "Another provider of this node serves ECR with the node's own role: nothing is installed"
            )
            return self._give_back(wanted, state, intended, ("ready", "ExistingProvider", message))
        if failed := self._rolled_back(wanted, state, intended):
            return failed
        expires_at = self._put_credentials(wanted)
        if refused := self._put_plugin(state):
            return replace(refused, token_expires_at=expires_at)
        state = states.read(self._host) or state
        if intended.changes(self._host) or state.phase == "changing":
            return replace(self._change(wanted, state, intended), token_expires_at=expires_at)
        if state.hash != intended.hash:
            state = replace(
                state,
                hash=intended.hash,
                target=intended.hash,
                generation=wanted.generation,
                rolled_back=None,
            )
            states.write(self._host, state)
        self._give_slot_back()
        self._drop_credentials(wanted)
        verified = self._verified(wanted, state)
        if _flags_not_taken(self._host, state.layout):
            message = f"{state.layout.flags_file} sets the flags, but the kubelet runs without them: see `systemctl cat {state.layout.service}`"
            return self._report(wanted, "failed", "FlagsNotTaken", message, plan_hash=intended.hash)
        report = self._report(wanted, "ready", plan_hash=intended.hash)
        return replace(report, token_expires_at=expires_at, verified=verified)

    def _remove(self, wanted: Configuration, node: Object, state: State) -> Report:
        if self._memory.cleaned == wanted.generation and self._host.kind(OURS) is None:
            return self._report(wanted, "removed")
        intended = plan.to_remove(self._host, state.layout, _kubelet_version(node))
        return self._give_back(wanted, state, intended, ("removed", "", ""))

    def _give_back(
        self, wanted: Configuration, state: State, intended: Plan, done: tuple[NodeState, str, str]
    ) -> Report:
        if failed := self._rolled_back(wanted, state, intended):
            return failed
        if intended.changes(self._host) or state.phase == "changing":
            return self._change(wanted, state, intended)
        if self._host.kind(OURS) or self._memory.cleaned != wanted.generation:
            steps.clean(self._host, state.layout, states.read(self._host))
            self._memory.cleaned = wanted.generation
        self._give_slot_back()
        return self._report(wanted, *done, plan_hash=intended.hash)

    def _rolled_back(self, wanted: Configuration, state: State, intended: Plan) -> Report | None:
        """The report on a change that was tried and given back, as long as nothing new is wanted."""
        before = state.rolled_back
        if before is None or (before.hash, before.generation) != (intended.hash, wanted.generation):
            return None
        self._give_slot_back()
        message = f"The kubelet did not come up and has its files back: {before.reason}"
        return self._report(wanted, "rolledBack", "KubeletNotHealthy", message, plan_hash=intended.hash)

    def _change(self, wanted: Configuration, state: State, intended: Plan) -> Report:
        service = state.layout.service
        if (
            state.phase == "settled"
            and distributions.unit_property(self._host, service, "ActiveState") != "active"
        ):
            return self._report(
                wanted, "waiting", "KubeletNotRunning", f"{service} is not active: it is left alone"
            )
        wait = slots.acquire(self._api, self._node(fresh=True), wanted, intended.hash, self._host.now())
        if wait:
            return self._report(wanted, "waiting", wait.reason, wait.message)
        self._memory.slot_may_be_held = True
        restarting = self._report(
            wanted, "restarting", "", "The kubelet is restarting", plan_hash=intended.hash
        )
        self.say(restarting)
        log("changing", files=[one.path for one in intended.targets], service=service, hash=intended.hash)
        steps.change(self._host, state, intended, wanted.generation)
        return restarting

    def _put_credentials(self, wanted: Configuration) -> datetime | None:
        """Token and CA bundle; when the token runs out."""
        host = self._host
        if wanted.aws.ca_bundle:
            content = wanted.aws.ca_bundle.encode()
            if host.read(CA_BUNDLE_FILE) != content:
                host.make_directory(OURS)
                host.write(CA_BUNDLE_FILE, content, 0o644)
        if not needs_token(wanted):
            return None
        host.make_directory(OURS)
        try:
            return token.copy(host, self._settings.web_identity_token_file).expires_at
        except token.TokenError as error:
            raise Refused("TokenUnreadable", str(error)) from None

    def _drop_credentials(self, wanted: Configuration) -> None:
        """What an earlier configuration needed: only now does no kubelet use it any more."""
        if not needs_token(wanted):
            self._host.remove(TOKEN_FILE)
        if not wanted.aws.ca_bundle:
            self._host.remove(CA_BUNDLE_FILE)

    def _put_plugin(self, state: State) -> Report | None:
        refused, now = self._memory.plugin_refused, self._host.now()
        if refused is None or now - refused[1] > TRY_PLUGIN_AGAIN:
            try:
                state = steps.make_directory(self._host, state, state.layout.bin_directory)
                plugin.put(self._host, state.layout, self._settings.plugin_file)
            except HostError as error:
                refused = (str(error), now)
            else:
                refused = None
            self._memory.plugin_refused = refused
        if refused is None:
            return None
        return Report(
            self._memory.generation,
            self._settings.node,
            state.layout.distribution,
            "refused",
            "PluginCannotRun",
            refused[0],
        )

    def _verified(self, wanted: Configuration, state: State) -> Verification | None:
        image = image_to_verify(wanted)
        if image is None or wanted.identity == "serviceAccount":
            return None
        memory, now = self._memory, self._host.now()
        last = memory.verified
        if (
            last
            and memory.verified_hash == state.hash
            and now - last.at < (VERIFY_AFTER if last.ok else VERIFY_AGAIN)
        ):
            return last
        memory.verified = plugin.verify(self._host, state.layout, environment(wanted), image)
        memory.verified_hash = state.hash
        log("verified", ok=memory.verified.ok, code=memory.verified.code, message=memory.verified.message)
        return memory.verified

    def _give_slot_back(self) -> None:
        if not self._memory.slot_may_be_held or not is_ready(self._node(fresh=True)):
            return
        slots.release(self._api, self._settings.node)
        self._memory.slot_may_be_held = False

    def _node(self, *, fresh: bool) -> Object:
        memory, now = self._memory, self._host.now()
        if fresh or memory.node is None or memory.node_read is None or now - memory.node_read > NODE_AGE:
            try:
                found = self._api.node(self._settings.node)
            except KubernetesError:
                if fresh or memory.node is None:
                    raise
                return memory.node  # a driver goes on with its node while the API server is away
            if found is None:
                raise KubernetesError(f"there is no Node {self._settings.node}")
            memory.node, memory.node_read = found, now
        return memory.node

    def _detected(self, node: Object) -> Layout | Unsupported:
        memory, now = self._memory, self._host.now()
        if memory.detected is None or memory.detected_at is None or now - memory.detected_at > DETECT_AGAIN:
            memory.detected = distributions.detect(self._host, node=self._settings.node, labels=labels(node))
            memory.detected_at = now
        return memory.detected

    def _configuration_bytes(self) -> bytes:
        try:
            return self._settings.configuration_file.read_bytes()
        except OSError:
            return b""

    def _report(
        self,
        wanted: Configuration,
        state: NodeState,
        reason: str = "",
        message: str = "",
        *,
        plan_hash: str | None = None,
    ) -> Report:
        record = states.read(self._host)
        found = record.layout if record else self._memory.detected
        if plan_hash is None:
            plan_hash = record.hash if record else ""
        return Report(
            wanted.generation,
            self._settings.node,
            found.distribution if found else "",
            state,
            reason,
            message,
            plan_hash,
        )


def _kubelet_version(node: Object) -> str:
    return str(node.get("status", {}).get("nodeInfo", {}).get("kubeletVersion", ""))


def _flags_not_taken(host: Host, layout: Layout) -> bool:
    """Whether the kubelet runs without the flags we set; unknown (False) where it shares a process with others."""
    if layout.flags_file is None or layout.distribution != "kubeadm":
        return False
    arguments = distributions.kubelet_arguments(host, layout.service)
    return (
        bool(arguments)
        and distributions.argument(arguments, "--image-credential-provider-config") != layout.config
    )
