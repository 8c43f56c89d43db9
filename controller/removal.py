"""The removal phase: what is no longer wanted gives back what it did before it goes.

For an add-on that was turned off and for a whole cluster alike: each add-on is asked for its `remove` step until it
says that it is finished; only then are its objects pruned. Called by `controller.cluster`.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller.addons import ADD_ONS
from controller.addons.addon import Context, Departure, Evidence
from controller.applying import Seen, add_on_of


def leaving(seen: Seen, staying: Iterable[str]) -> tuple[str, ...]:
    """The add-ons of which something is still in the cluster although nobody wants it.

    What others made there for an add-on proves nothing: it is pruned with the rest.
    """
    by_others = {key for add_on in ADD_ONS.values() for key in add_on.kept}
    there = {add_on_of(obj) for key, obj in seen.items() if key not in by_others}
    return tuple(key for key in ADD_ONS if key in there and key not in set(staying))


def departures(context: Context, keys: Iterable[str], evidence: Evidence) -> dict[str, Departure]:
    """One step of the removal phase of each."""
    return {key: ADD_ONS[key].remove(context, evidence) for key in keys}
