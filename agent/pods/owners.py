"""How often pods of one owner may be retried, and by which owners at all. Pure but for what it remembers.

Called by `agent.pods.stuck`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from agent.pods.waiting import Owner
from kube.objects import Object
from reconcile.clock import Random
from reconcile.queue import Backoff

# The controllers that make a new pod for one that is gone, and do not count it as a failure of their work. Others (a
# workflow's, a pipeline's) may; their pods are left to them.
_REPLACING = frozenset(
    {
        ("apps", "ReplicaSet"),
        ("apps", "StatefulSet"),
        ("apps", "DaemonSet"),
        ("", "ReplicationController"),
    }
)
_DEFAULT_BACKOFF_LIMIT = 6  # https://kubernetes.io/docs/concepts/workloads/controllers/job/

_BACKOFF = Backoff(base=60.0, maximum=3600.0)
_FORGOTTEN_SECONDS = 3600.0


@dataclass
class _Round:
    """`pods` (uids) may go; those that come after wait until `until`. Times are monotonic."""

    pods: frozenset[str]
    number: int
    until: float
    seen_at: float


class Rounds:
    """Lets the pods go that an owner had when it began, and new ones that are stuck again ever more slowly."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._rounds: dict[str, _Round] = {}

    def admitted(self, owner: str, pods: Collection[str], now: float) -> tuple[frozenset[str], float]:
        """Those of an owner's stuck `pods` (uids) that may go now, and seconds until the others may (0: no others).

        Args:
            owner: Its uid.
            pods: All its pods that a retry would help.
            now: Monotonic.
        """
        current = self._current(owner, now)
        if current is None or now >= current.until:
            number = 0 if current is None else current.number + 1
            until = now + _BACKOFF.delay(number, self._random)
            current = self._rounds[owner] = _Round(frozenset(pods), number, until, now)
        going = current.pods.intersection(pods)
        return going, (current.until - now if len(going) < len(pods) else 0.0)

    def is_first(self, owner: str, pod: str, now: float) -> bool:
        """Whether nothing of the owner's was retried before this pod (uid) was stuck."""
        current = self._current(owner, now)
        return current is None or (current.number == 0 and pod in current.pods)

    def _current(self, owner: str, now: float) -> _Round | None:
        """The owner's round; one with pods that are stuck still is not forgotten."""
        self._rounds = {
            uid: past
            for uid, past in self._rounds.items()
            if now < max(past.until, past.seen_at) + _FORGOTTEN_SECONDS
        }
        current = self._rounds.get(owner)
        if current is not None:
            current.seen_at = now
        return current


def replaces(owner: Owner) -> bool:
    """Whether the owner makes a new pod as a matter of course."""
    return (_group(owner), owner.kind) in _REPLACING


def is_job(owner: Owner) -> bool:
    """Whether the owner is a Job, which makes a new pod only while it has failures left."""
    return (_group(owner), owner.kind) == ("batch", "Job")


def job_bears_a_failure(job: Object) -> bool:
    """Whether a Job goes on after one more of its pods is gone: that counts against `backoffLimit`."""
    spec: Mapping[str, Any] = job.get("spec") or {}
    rules = (spec.get("podFailurePolicy") or {}).get("rules") or ()
    if spec.get("backoffLimitPerIndex") is not None or any(rule.get("action") == "FailJob" for rule in rules):
        return False
    failed = (job.get("status") or {}).get("failed") or 0
    return bool(failed < spec.get("backoffLimit", _DEFAULT_BACKOFF_LIMIT))


def _group(owner: Owner) -> str:
    group, slash, _ = owner.api_version.partition("/")
    return group if slash else ""
