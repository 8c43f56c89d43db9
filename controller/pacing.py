"""When a cluster is looked at again, from how it stands. Pure. Called by `controller.cluster` at the end of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from controller import renewal
from reconcile.outcome import Done, Outcome, RequeueAfter
from schemas.connection import Connection
from schemas.status import AddOnStatus, State

INSTALLING_SECONDS = (1, 1, 1, 1, 1, 1, 2, 3, 5)  # who switched it on is watching
REMOVING_SECONDS = (1, 2, 3, 5, 8, 10)
NOT_READY_SECONDS = 30

# These wait for the hub's own users, whose change comes as work: looking at the cluster again is of no use.
_WAITING_FOR_THE_HUB = frozenset({"RoleArnMissing", "PublicUrlMissing"})


def waits_for_the_cluster(states: Collection[State]) -> bool:
    """Whether something in the cluster is about to happen."""
    return State.INSTALLING in states or State.REMOVING in states


def after(
    add_ons: Mapping[str, AddOnStatus],
    *,
    attempts: int,
    connection: Connection,
    now: datetime,
    look_seconds: float,
) -> Outcome:
    """The outcome of a run that went through.

    Args:
        add_ons: As they stand now.
        attempts: Runs before this one that waited for the cluster, in a row.
        connection: Its token may have to be renewed before the next periodic look.
        now: The time.
        look_seconds: The mean time between periodic looks.
    """
    states = {status.state for status in add_ons.values()}
    if State.REMOVING in states:
        return RequeueAfter(_step(REMOVING_SECONDS, attempts))
    if State.INSTALLING in states:
        return RequeueAfter(_step(INSTALLING_SECONDS, attempts))
    if any(_may_change_by_itself(status) for status in add_ons.values()):
        return RequeueAfter(NOT_READY_SECONDS)
    due = renewal.due_at(connection)
    if due is not None and (left := (due - now).total_seconds()) < look_seconds:
        return RequeueAfter(max(left, NOT_READY_SECONDS))  # later, where the last attempt has just failed
    return Done()


def _may_change_by_itself(status: AddOnStatus) -> bool:
    if status.state is State.READY:
        return False
    codes = {issue.code for issue in status.issues}
    return not codes or not codes <= _WAITING_FOR_THE_HUB


def _step(seconds: Collection[float], attempts: int) -> float:
    steps = tuple(seconds)
    return steps[min(attempts, len(steps) - 1)]
