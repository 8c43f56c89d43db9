"""What came of each claim in each namespace. Written by the loop's workers, read for the report and the claimants."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from agent.secrets.claims import Claim, ClaimKey
from schemas.agent_documents import NamespaceError


@dataclass(frozen=True)
class Outcome:
    """One claim in one namespace: until when it has a good secret there (None: it has none), and what is wrong."""

    claim: Claim
    good_until: datetime | None = None
    error: NamespaceError | None = None


@dataclass(frozen=True)
class NamespaceResult:
    """One namespace brought to what the plan of that `serial` says; `leftovers` could not be taken back."""

    serial: int
    outcomes: Mapping[ClaimKey, Outcome] = field(default_factory=dict)
    leftovers: tuple[NamespaceError, ...] = ()

    @property
    def errors(self) -> tuple[NamespaceError, ...]:
        """All that is wrong there."""
        found = (outcome.error for outcome in self.outcomes.values())
        return (*(error for error in found if error is not None), *self.leftovers)


class NamespaceResults:
    """By name. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: dict[str, NamespaceResult] = {}

    def put(self, namespace: str, result: NamespaceResult) -> NamespaceResult | None:
        """Remembers the latest; returns the one before."""
        with self._lock:
            before = self._results.get(namespace)
            self._results[namespace] = result
            return before

    def drop(self, namespace: str) -> None:
        """The namespace is gone or going."""
        with self._lock:
            self._results.pop(namespace, None)

    def all(self) -> Mapping[str, NamespaceResult]:
        """By name, of whatever plan."""
        with self._lock:
            return dict(self._results)

    def of(self, claim: Claim) -> Mapping[str, Outcome]:
        """By namespace: what came of exactly this claim, not of one that it was before."""
        found = {}
        for name, result in self.all().items():
            outcome = result.outcomes.get(claim.key)
            if outcome is not None and outcome.claim is claim:
                found[name] = outcome
        return found
