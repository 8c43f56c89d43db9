"""Nodes and their drivers' Leases, watched: what the agent knows of delivery by nodes.

Watched only while there are drivers. Called by `agent.secrets.loop`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime

from agent.informer import Informer, Scope
from agent.nodes import leases, summing
from agent.nodes.leases import NodeReport
from agent.nodes.summing import Scene, Secrets
from kube.client import Client
from kube.objects import LEASE, NODE, Object
from reconcile.clock import Clock, Random
from schemas.agent_documents import NAMESPACE_NAME, AgentConfiguration
from schemas.node_documents import ReportedNodes

_SYNC_POLL_SECONDS = 1.0
_SYSTEM, _LINUX = "kubernetes.io/os", "linux"
_DEFAULTS = {_SYSTEM: _LINUX}  # a kubelet sets it; a node without one is no Windows node


class Nodes:
    """What is known of the cluster's nodes.

    Args:
        client: The cluster.
        changed: Called when something may have to be summed up anew.
        clock: The time, and that of the informers.
        random: For the informers.
    """

    def __init__(self, client: Client, *, changed: Callable[[], None], clock: Clock, random: Random) -> None:
        self._client = client
        self._changed = changed
        self._clock = clock
        self._random = random
        self._nodes: Informer[Mapping[str, str]] | None = None
        self._leases: Informer[NodeReport] | None = None
        self._lock = threading.Lock()
        self._unready_since: dict[str, datetime] = {}
        self._asked_at: tuple[str, int, datetime] | None = None

    def follow(self, configuration: AgentConfiguration) -> None:
        """Begins to watch, or ends it, as the configuration has drivers or none."""
        if configuration.nodes == "none":
            self.stop()
            self._nodes = self._leases = None
            return
        key = (configuration.nodes, configuration.generation)
        if self._asked_at is None or self._asked_at[:2] != key:
            self._asked_at = (*key, self._clock.now())
        if self._nodes is not None:
            return
        self._nodes = Informer(
            self._client,
            Scope(NODE, metadata_only=True),
            view=_labels,
            changed=lambda _, __: self._changed(),
            clock=self._clock,
            random=self._random,
        )
        self._leases = Informer(
            self._client,
            Scope(LEASE, NAMESPACE_NAME),
            view=leases.read,
            changed=lambda _, __: self._changed(),
            clock=self._clock,
            random=self._random,
        )
        self._nodes.start()
        self._leases.start()

    def stop(self) -> None:
        """Ends the watches."""
        for informer in (self._nodes, self._leases):
            if informer is not None:
                informer.stop()

    def join(self, timeout_seconds: float) -> None:
        """Waits for the watches to end."""
        for informer in (self._nodes, self._leases):
            if informer is not None:
                informer.join(timeout_seconds)

    def summary(self, configuration: AgentConfiguration) -> ReportedNodes | None:
        """The sum for the report; None while there are no drivers or nothing is known yet."""
        scene = self._scene(configuration)
        if scene is None or self._asked_at is None:
            return None
        if configuration.nodes == "leaving":
            return summing.leaving(configuration, scene, scene.now - self._asked_at[2])
        return summing.serving(configuration, scene)

    def secrets(self, configuration: AgentConfiguration) -> Secrets:
        """What is to become of pull secrets."""
        return summing.secrets_for(configuration, self._scene(configuration))

    def look_again_in(self, configuration: AgentConfiguration) -> float | None:
        """Seconds until time alone may change the sum; None: it does not."""
        scene = self._scene(configuration)
        if scene is None:
            # Lists without an entry tell nobody that they have been read.
            return None if self._nodes is None else _SYNC_POLL_SECONDS
        if configuration.nodes == "leaving":
            return summing.PATIENCE.total_seconds()
        return summing.look_again_in(scene)

    def _scene(self, configuration: AgentConfiguration) -> Scene | None:
        nodes, reports = self._nodes, self._leases
        if nodes is None or reports is None or not (nodes.synced and reports.synced):
            return None
        now, labels_of = self._clock.now(), {name: labels for _, name, labels in nodes.everywhere()}
        # Drivers run on Linux alone.
        wanted = {**configuration.node_selector, _SYSTEM: _LINUX}
        selected = {
            name
            for name, labels in labels_of.items()
            if all(labels.get(key, _DEFAULTS.get(key)) == value for key, value in wanted.items())
        }
        found = {report.node: report for _, _, report in reports.everywhere()}
        with self._lock:
            self._unready_since = {
                name: self._unready_since.get(name, now)
                for name in selected
                if not summing.delivers(found.get(name))
            }
            unready_since = dict(self._unready_since)
        return Scene(selected, labels_of.keys() - selected, found, unready_since, now)


def _labels(node: Object) -> Mapping[str, str]:
    return dict(node["metadata"].get("labels") or {})
