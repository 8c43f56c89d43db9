"""What a run is going to apply and to leave alone: from what is wanted and what is there. Pure.

Called by `controller.cluster` between looking and applying.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from controller import removal
from controller.addons import ADD_ONS
from controller.addons.addon import Context, Departure, Evidence
from controller.applying import Desired, Seen, add_on_of
from controller.memory import Memory
from controller.ownership import OWNER_KEY
from kube.objects import ObjectKey


@dataclass(frozen=True)
class Plan:
    """One run's intentions.

    Attributes:
        wanted: Add-ons that are enabled.
        departing: Add-ons in their removal phase, with the step each is at.
        desired: What should stand in the cluster.
        keep: What must not be pruned.
        last: What is pruned behind everything else, in this order.
    """

    wanted: tuple[str, ...]
    departing: Mapping[str, Departure]
    desired: Desired
    keep: frozenset[ObjectKey]
    last: tuple[ObjectKey, ...]


def evidence_keys(add_ons: Collection[str]) -> frozenset[ObjectKey]:
    """What these add-ons want to see whole."""
    return frozenset(key for add_on in add_ons for key in ADD_ONS[add_on].evidence)


def plan(
    context: Context, memory: Memory, seen: Seen, *, wanted: tuple[str, ...], evidence: Evidence
) -> Plan:
    """The plan for one cluster.

    An add-on with obstacles is held: nothing is applied for it, and what is there of it is kept.
    """
    held = frozenset(key for key in wanted if ADD_ONS[key].obstacles(context))
    departing = removal.departures(context, removal.leaving(seen, wanted), evidence)
    going_on = {key: departure for key, departure in departing.items() if not departure.finished}
    stages = {key: ADD_ONS[key].stage(context, evidence) for key in wanted if key not in held}

    def build() -> Desired:
        objects = [obj for key, stage in stages.items() for obj in ADD_ONS[key].desired(context, stage)]
        objects += [obj for departure in going_on.values() for obj in departure.objects]
        return Desired.of(objects)

    signature = (
        context.generation,
        context.connection,
        context.identity,
        context.server,
        wanted,
        tuple(stages.items()),
        tuple(going_on),
    )
    desired = memory.desired(signature, build)
    staying = (*wanted, *going_on)
    keep = {*desired.objects, *(key for add_on in staying for key in ADD_ONS[add_on].kept)}
    for key, obj in seen.items():
        add_on = add_on_of(obj)
        unknown = staying and add_on and add_on not in ADD_ONS  # a newer hub's: its own to remove
        if add_on in held or unknown:
            keep.add(key)
    if staying:
        keep.add(OWNER_KEY)
    last = [key for departure in departing.values() for key in departure.last]
    # Of the past: whoever still needs it makes it anew.
    keep -= set(last) - desired.objects.keys()
    return Plan(wanted, departing, desired, frozenset(keep), (*last, OWNER_KEY))
