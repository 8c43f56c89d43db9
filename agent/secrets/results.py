"""What came of each namespace under what is wanted now. Written by the loop's workers, read for the report."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from agent.secrets.regions import Wanted
from schemas.agent_documents import NamespaceError


@dataclass(frozen=True)
class NamespaceResult:
    """One namespace brought to what `wanted` says; `ready` where it has a good secret, `error` where it cannot."""

    wanted: Wanted
    ready: bool = False
    error: NamespaceError | None = None


class NamespaceResults:
    """By name. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: dict[str, NamespaceResult] = {}

    def put(self, namespace: str, result: NamespaceResult) -> None:
        """Remembers the latest."""
        with self._lock:
            self._results[namespace] = result

    def drop(self, namespace: str) -> None:
        """The namespace is gone or going."""
        with self._lock:
            self._results.pop(namespace, None)

    def of(self, wanted: Wanted) -> Mapping[str, NamespaceResult]:
        """By name: those that were reached under `wanted`, not under what was wanted before."""
        with self._lock:
            return {name: result for name, result in self._results.items() if result.wanted is wanted}
