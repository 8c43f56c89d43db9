"""The removal phase: what is no longer wanted gives back what it did before it goes.

For an add-on that was turned off and for a whole cluster alike: each add-on is asked for its `remove` step until it
says that it is finished; only then are its objects pruned. Called by `controller.cluster`.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller.addons import ADD_ONS
from controller.addons.addon import Context, Departure, Evidence
from controller.applying import Seen, add_on_of
from controller.rights import objects as connected_objects
from fleet.events import NewEvent
from kube.objects import NAMESPACE, Object, kind_of
from schemas.agent_documents import NAMESPACE_NAME


def leaving(seen: Seen, staying: Iterable[str]) -> tuple[str, ...]:
    """The add-ons of which something is still in the cluster although nobody wants it."""
    there = {add_on_of(obj) for obj in seen.values()}
    return tuple(key for key in ADD_ONS if key in there and key not in set(staying))


def departures(context: Context, keys: Iterable[str], evidence: Evidence) -> dict[str, Departure]:
    """One step of the removal phase of each."""
    return {key: ADD_ONS[key].remove(context, evidence) for key in keys}


def farewell() -> NewEvent:
    """The last event of a cluster: how to take away what `pullpass connect` installed and the hub may not delete."""
    return NewEvent(
        "Normal",
        "ClusterRemoved",
        "All that the hub installed is gone. What `pullpass connect` installed is an admin's to remove: "
        + "; ".join(farewell_commands()),
        {"commands": farewell_commands()},
    )


def farewell_commands() -> list[str]:
    """`kubectl delete` for what `pullpass connect` installed; the namespace takes what is in it along."""
    outside = [obj for obj in connected_objects() if "namespace" not in obj["metadata"]]
    outside.sort(
        key=lambda obj: (obj["kind"] == NAMESPACE.kind, kind_of(obj).plural, obj["metadata"]["name"])
    )
    return [f"kubectl --context CONTEXT delete {_argument(obj)}" for obj in outside]


def _argument(obj: Object) -> str:
    if obj["kind"] == NAMESPACE.kind:
        return f"namespace {NAMESPACE_NAME}"
    return f"{obj['kind'].lower()} {obj['metadata']['name']}"
