"""Looking at what is ours in a cluster, applying what differs, pruning what is no longer wanted.

A look is one metadata-only list per kind we own. What was applied is remembered by the text of the desired object and
the resource version that came of it: as long as both stand, nothing is sent. Called by `controller.cluster`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from controller.agent_rights import CLUSTER_WIDE_ROLES, OWN_SECRETS, WEBHOOK_NAMES
from controller.ownership import CLUSTER_LABEL
from controller.rights import NODE_AUDIENCE_ROLE, NODE_ROLE
from kube.client import FIELD_MANAGER, Client
from kube.errors import Conflict
from kube.objects import (
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    DAEMON_SET,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    KINDS,
    LEASE,
    MUTATING_WEBHOOK,
    RESOURCE_QUOTA,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    Kind,
    Object,
    ObjectKey,
    in_apply_order,
    key_of,
)
from schemas.agent_documents import AGENT_ACCOUNT, LEASE_NAME, NAMESPACE_NAME
from schemas.node_documents import NODE_COMPONENT, NODE_NAME

LOOKED_AT = (CONFIG_MAP, SERVICE_ACCOUNT, SERVICE, DEPLOYMENT, DISRUPTION_BUDGET, ROLE, ROLE_BINDING)
# Of which most clusters have few: after a first look, only those that are there or ought to be are asked for.
CLUSTER_SCOPED = (
    *(
        ObjectKey(CLUSTER_ROLE_BINDING.api_version, CLUSTER_ROLE_BINDING.kind, "", name)
        for name in CLUSTER_WIDE_ROLES
    ),
    *(ObjectKey(MUTATING_WEBHOOK.api_version, MUTATING_WEBHOOK.kind, "", name) for name in WEBHOOK_NAMES),
)
# Only where drivers have an account, which comes before and goes after everything else of theirs.
LOOKED_AT_FOR_DRIVERS = (DAEMON_SET, RESOURCE_QUOTA)
ADD_ON_LABEL = "pullpass.dev/add-on"

_PRUNE_ORDER = {(kind.api_version, kind.kind): -position for position, kind in enumerate(KINDS)}
# What drivers wrote goes with their account: by then they have lost the right to write more.
_DRIVERS = ObjectKey(SERVICE_ACCOUNT.api_version, SERVICE_ACCOUNT.kind, NAMESPACE_NAME, NODE_NAME)
# The same holds for what the agent keeps in our namespace: its secrets, and the Lease that tells who leads.
_AGENT = ObjectKey(SERVICE_ACCOUNT.api_version, SERVICE_ACCOUNT.kind, NAMESPACE_NAME, AGENT_ACCOUNT)
_KIND = {(kind.api_version, kind.kind): kind for kind in KINDS}

Seen = Mapping[ObjectKey, Object]


@dataclass(frozen=True)
class Desired:
    """Objects in the order in which to apply them, each with its canonical text."""

    objects: Mapping[ObjectKey, Object]
    texts: Mapping[ObjectKey, str]

    @classmethod
    def of(cls, objects: Iterable[Object]) -> Desired:
        """Of what the add-ons want; an object that several want is one object.

        Raises:
            ValueError: they want it to be different things.
        """
        by_key: dict[ObjectKey, Object] = {}
        for obj in in_apply_order(list(objects)):
            if by_key.setdefault(key_of(obj), obj) != obj:
                raise ValueError(f"add-ons want {obj['kind']} {obj['metadata']['name']} in different ways")
        return cls(by_key, {key: json.dumps(obj, sort_keys=True) for key, obj in by_key.items()})


@dataclass
class Remembered:
    """What this process applied to one cluster: the desired text, and the resource version that came of it.

    `fields` are those that we own in a MutatingWebhookConfiguration, as the server keeps account of them: the agent
    writes into the same object, and as long as nobody took a field of ours away there is nothing to put right.
    """

    texts: dict[ObjectKey, str] = field(default_factory=dict)
    versions: dict[ObjectKey, str] = field(default_factory=dict)
    fields: dict[ObjectKey, str] = field(default_factory=dict)

    def holds(self, key: ObjectKey, text: str, seen: Seen) -> bool:
        """Whether the object is as we left it."""
        if key not in seen or self.texts.get(key) != text:
            return False
        ours = self.fields.get(key)
        return self.versions.get(key) == version_of(seen[key]) or (
            ours is not None and ours == _own_fields(seen[key])
        )

    def note(self, key: ObjectKey, text: str, result: Object) -> None:
        """Remembers what was applied and what came of it."""
        self.texts[key] = text
        self.versions[key] = version_of(result)
        ours = _own_fields(result) if key.kind == MUTATING_WEBHOOK.kind else None
        if ours is not None:
            self.fields[key] = ours

    def forget(self, key: ObjectKey) -> None:
        """It is gone."""
        for part in (self.texts, self.versions, self.fields):
            part.pop(key, None)


@dataclass(frozen=True)
class Applied:
    """What one pass changed: `changed` for the first time or on purpose, `repaired` what somebody else had changed.

    `objects` holds the server's whole answers.
    """

    changed: tuple[ObjectKey, ...]
    repaired: tuple[ObjectKey, ...]
    objects: Mapping[ObjectKey, Object]


def kind_named(key: ObjectKey) -> Kind:
    """The kind of a key that a look found."""
    return _KIND[key.api_version, key.kind]


def version_of(obj: Object) -> str:
    """The resource version."""
    return str(obj["metadata"]["resourceVersion"])


def add_on_of(obj: Object) -> str:
    """The key of the add-on that an object of ours belongs to; "" for none."""
    return str((obj["metadata"].get("labels") or {}).get(ADD_ON_LABEL, ""))


def look(client: Client, uid: str, *, expected: Collection[ObjectKey] = CLUSTER_SCOPED) -> Seen:
    """Metadata of everything in the cluster that carries our labels with this uid.

    Of `CLUSTER_SCOPED`, only the `expected` ones are asked for.
    """
    found: dict[ObjectKey, Object] = {}

    def add(kind: Kind, *, name: str | None = None) -> None:
        # Cluster-wide by name: the hub's rights to bindings end at those.
        listed = client.list(
            kind,
            namespace=NAMESPACE_NAME if kind.namespaced else None,
            label_selector=f"{CLUSTER_LABEL}={uid}" if name is None else None,
            field_selector=None if name is None else f"metadata.name={name}",
            metadata_only=True,
        )
        found.update({key_of(obj): obj for obj in listed.items if name is None or _is_ours(obj, uid)})

    for kind in LOOKED_AT:
        add(kind)
    for key in CLUSTER_SCOPED:
        if key in expected:
            add(kind_named(key), name=key.name)
    if _DRIVERS in found:
        for kind in LOOKED_AT_FOR_DRIVERS:
            add(kind)
        for role in (NODE_ROLE, NODE_AUDIENCE_ROLE):
            add(CLUSTER_ROLE_BINDING, name=role)
    return found


def apply(client: Client, desired: Desired, seen: Seen, remembered: Remembered) -> Applied:
    """Applies what is not as we left it.

    Raises:
        kube.errors.KubeError: at the first object that is refused; those before it stay applied.
    """
    changed: list[ObjectKey] = []
    repaired: list[ObjectKey] = []
    objects: dict[ObjectKey, Object] = {}
    for key, obj in desired.objects.items():
        text = desired.texts[key]
        if remembered.holds(key, text, seen):
            continue
        result = client.apply(obj)
        objects[key] = result
        if key not in seen or _was_changed(seen[key], result):
            (repaired if remembered.texts.get(key) == text else changed).append(key)
        remembered.note(key, text, result)
    return Applied(tuple(changed), tuple(repaired), objects)


def prune(
    client: Client,
    uid: str,
    seen: Seen,
    *,
    keep: Collection[ObjectKey],
    last: Sequence[ObjectKey],
    remembered: Remembered,
) -> tuple[ObjectKey, ...]:
    """Deletes what is ours and not in `keep`: backwards through the apply order, then `last` in its order.

    Returns:
        What was deleted; an object that somebody replaced meanwhile is left for the next look.
    """

    def position(key: ObjectKey) -> tuple[int, int, ObjectKey]:
        behind = last.index(key) + 1 if key in last else 0
        return behind, _PRUNE_ORDER[key.api_version, key.kind], key

    gone = []
    unwanted = (key for key, obj in seen.items() if key not in keep and _is_ours(obj, uid))
    for key in sorted(unwanted, key=position):
        metadata = seen[key]["metadata"]
        if key == _DRIVERS:
            _delete_leases(client)
        if key == _AGENT:
            _delete_belongings(client)
        try:
            client.delete(kind_named(key), key.name, namespace=key.namespace or None, uid=metadata.get("uid"))
        except Conflict:
            continue
        gone.append(key)
        remembered.forget(key)
    return tuple(gone)


def _delete_leases(client: Client) -> None:
    listed = client.list(LEASE, namespace=NAMESPACE_NAME, label_selector=NODE_COMPONENT, metadata_only=True)
    for obj in listed.items:
        client.delete(LEASE, obj["metadata"]["name"], namespace=NAMESPACE_NAME)


def _delete_belongings(client: Client) -> None:
    for name in OWN_SECRETS:
        client.delete(SECRET, name, namespace=NAMESPACE_NAME)
    client.delete(LEASE, LEASE_NAME, namespace=NAMESPACE_NAME)


def _own_fields(obj: Object) -> str | None:
    """The fields that we own by server-side apply; None where the server keeps no account of them."""
    for entry in obj["metadata"].get("managedFields") or ():
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply":
            return json.dumps(entry.get("fieldsV1"), sort_keys=True)
    return None


def _is_ours(obj: Object, uid: str) -> bool:
    labels = obj["metadata"].get("labels") or {}
    return str(labels.get(CLUSTER_LABEL)) == uid


def _was_changed(before: Object, after: Object) -> bool:
    """Whether the apply changed anything; a status that moved meanwhile is no change of ours."""
    generations = before["metadata"].get("generation"), after["metadata"].get("generation")
    if None not in generations:
        return bool(generations[0] != generations[1])
    return version_of(before) != version_of(after)
