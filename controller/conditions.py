"""A cluster's status put together: from a run that went through, and from one that was cut short; and its events.

Pure. Called by `controller.cluster`, which writes a status only where it differs from the stored one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from controller.addons.addon import Context, Departure
from controller.applying import Applied
from controller.outcomes import Failure
from fleet.events import NewEvent
from kube.objects import ObjectKey
from schemas.status import AddOnStatus, ClusterStatus, Condition, Issue, State

_BAD = frozenset({State.BLOCKED, State.DEGRADED, State.FAILED})


def reached(
    context: Context, add_ons: Mapping[str, AddOnStatus], *, issues: Iterable[Issue] = ()
) -> ClusterStatus:
    """The status after a run that went through. `issues` are the cluster's own, beside those of its add-ons."""
    condition = context.condition("Reachable", "True", "Reachable", "the API server answers")
    return ClusterStatus(
        observed_generation=context.generation,
        oidc_provider_url=context.identity.provider_url,
        server_url=context.connection.server,
        conditions=(condition,),
        issues=tuple(issues),
        add_ons={
            key: replace(status, conditions=(condition, *status.conditions))
            for key, status in add_ons.items()
        },
    )


def cut_short(
    context: Context, failure: Failure, old: ClusterStatus, keys: Iterable[str], *, removing: bool
) -> ClusterStatus:
    """The status after `failure`: what was known stays, under the issue that keeps us from knowing more.

    Args:
        context: The cluster; its connection's server may be empty.
        failure: With a code.
        old: The stored status.
        keys: The add-ons that are enabled or still there.
        removing: Whether the whole cluster is on its way out.
    """
    issue = context.issue(failure.code, {"MESSAGE": failure.message, **failure.values})
    reachable = context.condition(
        "Reachable",
        "True" if failure.reached else "Unknown" if failure.code == "ConnectionMissing" else "False",
        "Reachable" if failure.reached else failure.code,
        "the API server answers" if failure.reached else issue.message,
    )
    return ClusterStatus(
        observed_generation=context.generation,
        oidc_provider_url=old.oidc_provider_url,
        server_url=context.connection.server or None,
        conditions=(reachable,),
        issues=(issue,),
        add_ons={
            key: _impaired(context, failure, issue, reachable, old.add_ons.get(key), removing=removing)
            for key in keys
        },
    )


def all_removing(context: Context, status: ClusterStatus, old: ClusterStatus) -> ClusterStatus:
    """A cluster on its way out: what has nothing to give back goes with the rest, and keeps its details until then."""
    ready = context.condition("Ready", "False", "Removing", "the cluster is being removed")
    waiting = {
        key: AddOnStatus(State.REMOVING, conditions=(ready,), details=was.details)
        for key, was in old.add_ons.items()
        if key not in status.add_ons
    }
    return replace(status, add_ons={**status.add_ons, **waiting})


def _impaired(
    context: Context,
    failure: Failure,
    issue: Issue,
    reachable: Condition,
    old: AddOnStatus | None,
    *,
    removing: bool,
) -> AddOnStatus:
    if removing or (old is not None and old.state is State.REMOVING):
        state = State.REMOVING
    elif failure.waits_for_a_person:
        state = State.BLOCKED
    elif old is not None and old.state in {State.READY, State.DEGRADED}:
        state = State.DEGRADED  # what runs in the cluster goes on without us
    else:
        state = State.FAILED
    kept = [
        replace(condition, observed_generation=context.generation)
        for condition in (old.conditions if old is not None else ())
        if condition.type not in {"Reachable", "Ready"}
    ]
    ready = context.condition("Ready", "Unknown", failure.code, issue.message)
    return AddOnStatus(
        state=state,
        conditions=(reachable, *kept, ready),
        issues=(issue,),
        details=old.details if old is not None else {},
    )


def changes(applied: Applied, pruned: Collection[ObjectKey]) -> list[NewEvent]:
    """What a run did in the cluster."""
    found = []
    if applied.changed:
        found.append(NewEvent("Normal", "Applied", f"Applied {_names(applied.changed)}"))
    if applied.repaired:
        words = f"Somebody else changed or deleted {_names(applied.repaired)}: put right"
        found.append(NewEvent("Normal", "DriftRepaired", words))
    if pruned:
        found.append(NewEvent("Normal", "Pruned", f"Deleted {_names(pruned)}"))
    return found


def undone(departing: Mapping[str, Departure]) -> list[NewEvent]:
    """What add-ons leave behind that are gone now: told once, for there is no status any more to tell it in."""
    return [
        NewEvent("Warning", issue.code, issue.message, {"remedy": issue.remedy, "addOn": key})
        for key, departure in departing.items()
        if departure.finished
        for issue in departure.status.issues
    ]


def _names(keys: Collection[ObjectKey]) -> str:
    return ", ".join(f"{key.kind} {key.name}" for key in keys)


def events(old: ClusterStatus, new: ClusterStatus) -> list[NewEvent]:
    """What a person should read in the event log about the way from `old` to `new`."""
    found = []
    before = _issues(old)
    for code, (issue, add_on) in _issues(new).items():
        if code not in before:
            context = {"remedy": issue.remedy} | ({"addOn": add_on} if add_on else {})
            found.append(NewEvent("Warning", code, issue.message, context))
    for key, status in new.add_ons.items():
        was = old.add_ons[key].state if key in old.add_ons else State.DISABLED
        if was is not status.state:
            reason = next((each.reason for each in status.conditions if each.type == "Ready"), "")
            why = f" ({reason})" if reason and reason != str(status.state) else ""
            found.append(
                NewEvent(
                    "Warning" if status.state in _BAD else "Normal",
                    str(status.state),
                    f"{key}: {was} → {status.state}{why}",
                    {"addOn": key},
                )
            )
    found += [
        NewEvent("Normal", "Removed", f"{key}: all of it is gone from the cluster", {"addOn": key})
        for key in old.add_ons
        if key not in new.add_ons
    ]
    if new.oidc_provider_url and new.oidc_provider_url != old.oidc_provider_url:
        found.append(NewEvent("Normal", "IssuerFound", f"The OIDC provider URL is {new.oidc_provider_url}"))
    return found


def _issues(status: ClusterStatus) -> dict[str, tuple[Issue, str]]:
    """The first of each code, with the add-on it belongs to ("": the cluster)."""
    found: dict[str, tuple[Issue, str]] = {issue.code: (issue, "") for issue in status.issues}
    for key, add_on in status.add_ons.items():
        for issue in add_on.issues:
            found.setdefault(issue.code, (issue, key))
    return found
