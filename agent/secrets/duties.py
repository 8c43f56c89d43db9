"""What the leading agent does beside its own loop, and how the loop speaks with it.

A duty follows the configuration with informers and threads of its own, and contributes to the report. A claimant is a
duty that also makes claims. Implemented by `agent.custom_resources`, `agent.labelled` and `agent.pods`; composed in
`agent.brain`; driven by `agent.secrets.loop`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from agent.secrets.claims import Claim, ClaimKey
from schemas.agent_documents import AgentConfiguration, NamespaceError


@dataclass(frozen=True)
class Contribution:
    """What a duty says in the report.

    Pairs are (all, those that are well). `left` tells, while the add-on is being removed, that nothing of this duty's
    is left in the cluster.
    """

    custom_resources: tuple[int, int] | None = None
    labelled_secrets: tuple[int, int] | None = None
    errors: tuple[NamespaceError, ...] = ()
    left: bool = True


class Duty(Protocol):
    """One of them. Methods return at once; work is done in threads of the duty's own."""

    def follow(self, configuration: AgentConfiguration) -> None:
        """Takes up a configuration: starts what it asks for, ends what it does not. Called again on each change."""

    def contribution(self) -> Contribution:
        """What is known now."""

    def stop(self) -> None:
        """Ends all work: leadership was lost, or the process ends."""

    def join(self, timeout_seconds: float) -> None:
        """Waits for the threads after `stop`."""


@dataclass(frozen=True)
class ClaimStatus:
    """How a claim fares.

    `ready` and `selected` count namespaces. `failure` is the issue code and AWS's words of the first identity or
    region that fails now, with nothing good held or a refresh overdue. Times are by region.
    """

    claim: Claim
    selected: int = 0
    ready: int = 0
    errors: tuple[NamespaceError, ...] = ()
    failure: tuple[str, str] | None = None
    refreshed_at: Mapping[str, datetime] = field(default_factory=dict)
    expires_at: Mapping[str, datetime] = field(default_factory=dict)


class Claimant(Duty, Protocol):
    """A duty with claims. It is given, at construction, a function to call when its claims changed."""

    @property
    def synced(self) -> bool:
        """Whether `claims` is the whole truth; until then nothing of a claimant's is taken back."""

    def claims(self) -> tuple[Claim, ...]:
        """What is claimed now."""

    def tell(self, statuses: Mapping[ClaimKey, ClaimStatus], remaining: frozenset[ClaimKey]) -> None:
        """How its claims fare, after each change; `remaining` are claims some secret of which still stands."""
