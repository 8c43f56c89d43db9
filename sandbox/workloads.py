"""placeholder"""

from __future__ import annotations

from pathlib import Path

from sandbox.kubernetes.cluster import Cluster


class Workloads:
    """Runs what a cluster's Deployments say."""

    def __init__(
        self, cluster: Cluster, *, server_url: str, registry_url: str, folder: Path, logs: Path | None
    ) -> None:
        self._cluster = cluster

    def start(self) -> None:
        """Starts."""

    def begin_stop(self) -> None:
        """Asks to stop."""

    def stop(self) -> None:
        """Waits."""
