"""What a manifest would change in a cluster, by the API server's own dry run. Changes nothing.

Plans as a reconcile would (`controller.planning`), then applies each object with `dryRun=All`: admission rules and
defaults of the cluster show, as they would at the real thing. Called by `controller.errands`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from controller import applying, connecting, issuer, planning, removal
from controller.addons import ADD_ONS
from controller.addons.addon import Context
from controller.issuer import Shelf
from controller.memory import Memory
from kube.client import Client
from kube.errors import NotFound
from kube.objects import CONFIG_MAP, Object, ObjectKey
from schemas.status import Json

# What the server keeps for itself, and what says nothing to a reader.
_SERVERS_OWN = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")


def preview(
    context: Context, client: Client, shelf: Shelf, *, public_url: str | None, issuer_by_eks: str = ""
) -> Json:
    """The changes and what else there is to say.

    Args:
        context: The cluster with the manifest as it would be, nothing asked yet.
        client: Of the cluster.
        shelf: Where published issuers stand.
        public_url: Of the hub.
        issuer_by_eks: The issuer that EKS names, where the cluster was reached by it.

    Raises:
        kube.errors.KubeError: the cluster did not answer, or refuses an object.
        controller.outcomes.Obstacle: it cannot be worked with.
    """
    memory = Memory(context.generation, context.since, context.manifest, context.connection)
    memory.server = connecting.check_rights(client, connecting.check_version(client))
    memory.identity = issuer.discover(context, client, shelf, public_url=public_url, by_eks=issuer_by_eks)
    context = replace(context, identity=memory.identity, server=memory.server)
    wanted = tuple(key for key, add_on in ADD_ONS.items() if add_on.enabled(context.manifest))
    seen = applying.look(client, context.uid)
    interested = (*wanted, *removal.leaving(seen, wanted))
    evidence = {
        key: found
        for key in planning.evidence_keys(interested) & seen.keys()
        if (found := _get(client, key)) is not None
    }
    plan = planning.plan(context, memory, seen, wanted=wanted, evidence=evidence)
    changes = [*_applied(client, plan.desired)]
    changes += [
        _change(key, _get(client, key), None)
        for key in seen
        if key not in plan.keep and key not in plan.desired.objects
    ]
    notes = [f"{key}: {issue.message}" for key in wanted for issue in ADD_ONS[key].obstacles(context)]
    notes += [
        f"{key} is to be removed: the agent gives back what it did first, then the rest of it goes"
        for key, step in plan.departing.items()
        if not step.finished
    ]
    return {"changes": changes, "notes": notes}


def _applied(client: Client, desired: applying.Desired) -> Iterator[Json]:
    for key, obj in desired.objects.items():
        before = _get(client, key)
        after = client.apply(obj, dry_run=True)
        if before is None or _shown(before) != _shown(after):
            yield _change(key, before, after)


def _get(client: Client, key: ObjectKey) -> Object | None:
    try:
        return client.get(applying.kind_named(key), key.name, namespace=key.namespace or None)
    except NotFound:
        return None


def _change(key: ObjectKey, before: Object | None, after: Object | None) -> Json:
    return {
        "kind": key.kind,
        "namespace": key.namespace,
        "name": key.name,
        "before": None if before is None else _shown(before),
        "after": None if after is None else _shown(after),
    }


def _shown(obj: Object) -> dict[str, Any]:
    """What a person compares: no status, and nothing that is the server's own."""
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _SERVERS_OWN}
    shown = {**{name: value for name, value in obj.items() if name != "status"}, "metadata": metadata}
    if obj["kind"] == CONFIG_MAP.kind and "data" in obj:
        shown["data"] = {name: _parsed(name, text) for name, text in obj["data"].items()}
    return shown


def _parsed(name: str, text: str) -> Any:
    """A configuration member by member: on one line, nobody sees what differs."""
    if not name.endswith(".json"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
