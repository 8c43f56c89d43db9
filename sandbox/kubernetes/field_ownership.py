"""Who owns which field: server-side apply's typed merge, after structured-merge-diff (KEP-555).

A field's path is a tuple of `fieldsV1` elements: `f:NAME` of a struct or map, `k:{"name":"x"}` of a list that merges by
keys, `v:"x"` of a set. Objects are never changed in place: what comes back shares what stayed the same.
Used by the writes; `managedFields` as a reader sees them are made and read here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.kubernetes.types import ListOf, MapOf, Struct, Type

Path = tuple[str, ...]
Fields = frozenset[Path]


@dataclass(frozen=True)
class Manager:
    """One entry of `managedFields`, without its fields. `operation`: Apply or Update."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""


@dataclass(frozen=True)
class Owned:
    """What a manager owns, and since when (RFC 3339)."""

    fields: Fields
    time: str


Managers = dict[Manager, Owned]


class OwnershipConflict(Exception):
    """Fields that others own would change: `fields` are (manager, path)."""

    def __init__(self, fields: list[tuple[Manager, Path]]) -> None:
        super().__init__(f"{len(fields)} conflicts")
        self.fields = fields


# What no manager owns: identity, and what the server writes.
_UNOWNED_METADATA = (
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
)
UNOWNED: Fields = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {("f:metadata", f"f:{name}") for name in _UNOWNED_METADATA}
)
_MISSING: Any = object()


def _merges(of: Type) -> bool:
    """Whether fields inside have owners of their own."""
    if isinstance(of, ListOf):
        return bool(of.keys) or of.unique
    return isinstance(of, Struct | MapOf) and not of.whole


def _element(item: Any, of: ListOf) -> str:
    """The path element of a list's item."""
    if of.unique:
        return f"v:{json.dumps(item, separators=(',', ':'))}"
    item = item if isinstance(item, dict) else {}
    keys = {key: item.get(key, of.key_defaults.get(key)) for key in of.keys}
    named = {key: value for key, value in sorted(keys.items()) if value is not None}
    return f"k:{json.dumps(named, separators=(',', ':'))}"


def _children(value: Any, of: Type) -> dict[str, tuple[Any, Type]]:
    """The items of a merging container by path element."""
    if isinstance(of, Struct):
        fields = of.fields
        return {f"f:{key}": (item, fields[key]) for key, item in value.items() if key in fields}
    if isinstance(of, MapOf):
        return {f"f:{key}": (item, of.element) for key, item in value.items()}
    if isinstance(of, ListOf):
        return {_element(item, of): (item, of.element) for item in value}
    raise TypeError(of)


def fields_of(value: Any, of: Type) -> Fields:
    """What somebody who applies `value` owns."""
    found: set[Path] = set()

    def walk(value: Any, of: Type, path: Path) -> None:
        for element, (item, item_type) in _children(value, of).items():
            below = (*path, element)
            if not _merges(item_type):
                found.add(below)
                continue
            if not isinstance(of, Struct) or item == {}:
                found.add(below)
            if item:
                walk(item, item_type, below)

    walk(value, of, ())
    return frozenset(found - UNOWNED)


def differences(old: Any, new: Any, of: Type) -> tuple[Fields, Fields]:
    """(fields added or modified, fields removed) on the way from `old` to `new`."""
    changed: set[Path] = set()
    removed: set[Path] = set()

    def walk(old: Any, new: Any, of: Type, path: Path) -> None:
        if old is new:
            return
        if old is _MISSING:
            _collect(new, of, path, changed)
        elif new is _MISSING:
            _collect(old, of, path, removed)
        elif _merges(of):
            before, after = _children(old, of), _children(new, of)
            gone = (_MISSING, of)
            for element in before.keys() | after.keys():
                then, now = before.get(element, gone), after.get(element, gone)
                item_type = now[1] if element in after else then[1]
                walk(then[0], now[0], item_type, (*path, element))
        elif old != new:
            changed.add(path)

    walk(old, new, of, ())
    return frozenset(changed - UNOWNED), frozenset(removed - UNOWNED)


def _collect(value: Any, of: Type, path: Path, into: set[Path]) -> None:
    """A field and every one below."""
    if path:
        into.add(path)
    if value and _merges(of):
        for element, (item, item_type) in _children(value, of).items():
            _collect(item, item_type, (*path, element), into)


def merged(live: Any, applied: Any, of: Type) -> Any:
    """`live` with what `applied` says put over it."""
    if not _merges(of):
        return applied
    if isinstance(of, ListOf):
        return _merged_list(live, applied, of)
    made = dict(live)
    for element, (item, item_type) in _children(applied, of).items():
        key = element[2:]
        made[key] = merged(made[key], item, item_type) if key in made else item
    return made


def _merged_list(live: list[Any], applied: list[Any], of: ListOf) -> list[Any]:
    """In structured-merge-diff's order: what only `live` has stays ahead of what is new."""
    old = {_element(item, of): item for item in live}
    new = {_element(item, of): item for item in applied}
    old_order, new_order = list(old), list(new)
    shared = [element for element in new_order if element in old]
    made: dict[str, Any] = {}

    def take(element: str) -> None:
        both = element in old and element in new
        made[element] = merged(old[element], new[element], of.element) if both else new[element]
        if shared and shared[0] == element:
            shared.pop(0)

    left = right = 0
    while left < len(old_order) or right < len(new_order):
        if left < len(old_order):
            element = old_order[left]
            if element not in new:
                made[element] = old[element]
                left += 1
                continue
            if element in made or (shared and shared[0] != element):
                left += 1
                continue
            if right < len(new_order) and new_order[right] == element:
                left += 1
        if right < len(new_order):
            take(new_order[right])
            right += 1
    return list(made.values())


def without(value: Any, of: Type, paths: Iterable[Path]) -> Any:
    """`value` with the fields at `paths`, and all below them, taken out."""
    tree: dict[str, Any] = {}
    for path in paths:
        node = tree
        for element in path[:-1]:
            node = node.setdefault(element, {})
        node.setdefault(path[-1], {})["."] = True

    def pruned(value: Any, of: Type, tree: Mapping[str, Any]) -> Any:
        if not _merges(of):
            return value
        kept: list[tuple[str, Any]] = []
        for element, (item, item_type) in _children(value, of).items():
            below = tree.get(element)
            if below is None:
                kept.append((element, item))
            elif "." not in below:
                kept.append((element, pruned(item, item_type, below)))
        if isinstance(of, ListOf):
            return [item for _, item in kept]
        return {element[2:]: item for element, item in kept}

    return pruned(value, of, tree) if tree else value


def _with_ancestors(fields: Fields) -> set[Path]:
    return {path[:length] for path in fields for length in range(1, len(path) + 1)}


def applied(
    live: Any, config: Any, of: Type, managers: Managers, manager: Manager, *, now: str, force: bool
) -> tuple[Any, Managers]:
    """Server-side apply: the object and the managers afterwards.

    Raises:
        OwnershipConflict: it would change what others own, and `force` is not set.
    """
    mine = fields_of(config, of)
    before = managers.get(manager)
    after = dict(managers)
    after[manager] = before if before is not None and before.fields == mine else Owned(mine, now)
    new = merged(live, config, of)
    if before is not None and not before.fields <= mine:
        kept: set[Path] = set()
        for owned in after.values():
            kept |= _with_ancestors(owned.fields)
        new = without(new, of, _with_ancestors(before.fields) - kept - UNOWNED)
    changed, removed = differences(live, new, of)
    return new, _taken(after, manager, changed, removed, force=force)


def updated(live: Any, new: Any, of: Type, managers: Managers, manager: Manager, *, now: str) -> Managers:
    """A write other than apply: whoever changes a field owns it, alone."""
    changed, removed = differences(live, new, of)
    if not changed and not removed:
        return managers
    after = _taken(managers, manager, changed, removed, force=True)
    mine = managers[manager].fields if manager in managers else frozenset()
    fields = (mine - removed) | changed
    if fields:
        after[manager] = Owned(fields, now)
    else:
        after.pop(manager, None)
    return after


def _taken(
    managers: Managers, manager: Manager, changed: Fields, removed: Fields, *, force: bool
) -> Managers:
    """`managers` once `manager` has changed and removed these fields."""
    after: Managers = {}
    conflicts: list[tuple[Manager, Path]] = []
    for other, owned in managers.items():
        if other == manager:
            if owned.fields:
                after[other] = owned
            continue
        conflicts += [(other, path) for path in sorted(owned.fields & changed, key=_told)]
        fields = owned.fields - changed - removed
        if fields:
            after[other] = Owned(fields, owned.time)
    if conflicts and not force:
        raise OwnershipConflict(conflicts)
    return after


def _is_update(manager: Manager) -> bool:
    return manager.operation == "Update"


def _told(path: Path) -> list[tuple[bool, str]]:
    """Conflicts are told in the order of a set's walk: fields of a level, then what lies below."""
    return [(depth < len(path), element) for depth, element in enumerate(path, start=1)]


def encoded(managers: Managers) -> list[dict[str, Any]]:
    """`metadata.managedFields`: applies first, then by time, as the real one sorts them."""
    entries = []
    for manager, owned in sorted(managers.items(), key=_order):
        tree: dict[str, Any] = {}
        for path in sorted(owned.fields):
            node = tree
            for element in path[:-1]:
                if element not in node:
                    node[element] = {}
                node = node[element]
            leaf = node.setdefault(path[-1], {})
            leaf["."] = {}
        entry: dict[str, Any] = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": manager.api_version,
            "time": owned.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": _compacted(tree),
        }
        if manager.subresource:
            entry["subresource"] = manager.subresource
        entries.append(entry)
    return entries


def _order(item: tuple[Manager, Owned]) -> tuple[bool, str, str, str]:
    manager, owned = item
    return (_is_update(manager), owned.time, manager.name, manager.api_version)


def _compacted(tree: dict[str, Any]) -> dict[str, Any]:
    """A leaf is `{}`; only a node with fields below says `.` of itself."""
    if tree.keys() == {"."}:
        return {}
    return {element: below if element == "." else _compacted(below) for element, below in tree.items()}


def decoded(entries: list[dict[str, Any]]) -> Managers:
    """The managers of stored `managedFields`."""
    managers: Managers = {}
    for entry in entries:
        found: set[Path] = set()

        def walk(tree: Mapping[str, Any], path: Path, found: set[Path] = found) -> None:
            for element, below in tree.items():
                if element == ".":
                    found.add(path)
                elif below:
                    walk(below, (*path, element))
                else:
                    found.add((*path, element))

        walk(entry.get("fieldsV1", {}), ())
        manager = Manager(
            entry["manager"], entry["operation"], entry["apiVersion"], entry.get("subresource", "")
        )
        managers[manager] = Owned(frozenset(found), entry["time"])
    return managers


def words(path: Path) -> str:
    """A path as messages say it: `.spec.containers[name="x"].image`."""
    said = ""
    for element in path:
        if element.startswith("f:"):
            said += f".{element[2:]}"
        elif element.startswith("k:"):
            keys = json.loads(element[2:])
            said += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in keys.items()) + "]"
        else:
            said += f"[={element[2:]}]"
    return said
