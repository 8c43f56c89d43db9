"""What an API server knows of its kinds' types: fields, defaults, and how lists and maps merge.

Read from `types.json`, which `extract_types` made from a real API server's OpenAPI. Used by `field_ownership` to
walk objects as structured-merge-diff does, and by the writes to refuse and drop what the kind does not have.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from sandbox.kubernetes.kinds import Kind


@dataclass(frozen=True)
class Scalar:
    """A leaf: `s`, `i`, `n`, `b`, `x` (any scalar) or `*` (anything, owned as a whole)."""

    code: str


@dataclass(eq=False)
class Struct:
    """Named fields; `whole`: owned as one value."""

    name: str
    fields: dict[str, Type] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    defaults: dict[str, Any] = field(default_factory=dict)
    embedded: tuple[str, ...] = ()
    whole: bool = False


@dataclass(frozen=True, eq=False)
class MapOf:
    """Free keys."""

    element: Type
    whole: bool = False


@dataclass(frozen=True, eq=False)
class ListOf:
    """`keys`: items merge by them; `unique`: a set of values; neither: owned as one value."""

    element: Type
    keys: tuple[str, ...] = ()
    unique: bool = False
    key_defaults: dict[str, Any] = field(default_factory=dict)


Type = Scalar | Struct | MapOf | ListOf
# Booleans that are no pointers in Go, so that false is left out; and a string that is one, so that "" stays.
_PLAIN_FLAGS = {
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "stdin",
    "stdinOnce",
    "tty",
    "readOnly",
    "paused",
    "unschedulable",
}
_KEPT_EMPTY = {("core.v1.HostPathVolumeSource", "type")}
_WORDS = {"s": "string", "i": "number", "n": "number", "b": "boolean", "x": "number or string"}
_SCALAR_TYPES: dict[str, tuple[type, ...]] = {
    "s": (str,),
    "i": (int,),
    "n": (int, float),
    "b": (bool,),
    "x": (str, int, float),
}


class WrongType(Exception):
    """A value that is not of its field's type."""

    def __init__(self, path: str, expected: str, value: Any) -> None:
        super().__init__(f"{path}: expected {expected}, got {type(value).__name__}")
        self.path = path
        self.expected = expected


@lru_cache(maxsize=1)
def _roots() -> dict[str, Struct]:
    table = json.loads(Path(__file__).with_name("types.json").read_text())
    structs = {name: Struct(name) for name in table["types"]}

    def compiled(spec: Any) -> Type:
        if isinstance(spec, str):
            return structs[spec[1:]] if spec.startswith("#") else Scalar(spec)
        if "map" in spec:
            return MapOf(compiled(spec["map"]), whole=spec.get("whole", False))
        element = compiled(spec["list"])
        if isinstance(spec["by"], list):
            keys = tuple(spec["by"])
            defaults = table["types"][element.name].get("defaults", {}) if isinstance(element, Struct) else {}
            return ListOf(element, keys, key_defaults={key: defaults[key] for key in keys if key in defaults})
        return ListOf(element, unique=spec["by"] == "value")

    for name, spec in table["types"].items():
        struct = structs[name]
        struct.fields = {key: compiled(value) for key, value in spec["fields"].items()}
        struct.required = tuple(spec.get("required", ()))
        struct.defaults = spec.get("defaults", {})
        struct.embedded = tuple(spec.get("embedded", ()))
        struct.whole = spec.get("whole", False)
    return {key: structs[name] for key, name in table["roots"].items()}


def type_of(kind: Kind) -> Struct:
    """The type of a kind's objects."""
    return _roots()[f"{kind.api_version}/{kind.kind}"]


def zero(of: Struct) -> dict[str, Any]:
    """What an object is before anybody wrote to it: the structs that are always there belong to nobody."""
    made: dict[str, Any] = {}
    for key in of.embedded:
        inner = of.fields[key]
        if isinstance(inner, Struct) and not inner.whole:
            made[key] = zero(inner)
    return made | {key: [] for key in of.required if isinstance(of.fields[key], ListOf)}


def conformed(
    value: Any, of: Type, path: str = "", *, unknown: list[str] | None = None, stored: bool = True
) -> Any:
    """A copy of `value` with what its type has: nulls and unknown fields dropped (named in `unknown`).

    `stored`: as the server keeps it, with defaults, and without what Go's JSON leaves out when it is empty.

    Raises:
        WrongType: a value is of another type than its field.
    """
    if isinstance(of, Scalar):
        return _scalar(value, of.code, path)
    if isinstance(of, ListOf):
        if not isinstance(value, list):
            raise WrongType(path, "list", value)
        return [
            conformed(item, of.element, f"{path}[{index}]", unknown=unknown, stored=stored)
            for index, item in enumerate(value)
        ]
    if not isinstance(value, dict):
        raise WrongType(path, "map", value)
    made: dict[str, Any] = {}
    for key, item in value.items():
        element = of.fields.get(key) if isinstance(of, Struct) else of.element
        if element is None:
            if unknown is not None:
                unknown.append(f"{path}.{key}")
        elif item is not None:
            made[key] = conformed(item, element, f"{path}.{key}", unknown=unknown, stored=stored)
    return _as_stored(made, of) if stored and isinstance(of, Struct) else made


def _as_stored(value: dict[str, Any], of: Struct) -> dict[str, Any]:
    for key in [key for key, item in value.items() if not item and _left_out(key, item, of)]:
        del value[key]
    for key, default in of.defaults.items():
        value.setdefault(key, default)
    return value


def _left_out(key: str, empty: Any, of: Struct) -> bool:
    """Whether an empty value disappears: structs (which are pointers) and numbers (most are) stay."""
    if key in of.required:
        return False
    if isinstance(empty, list | dict):
        return isinstance(of.fields[key], ListOf | MapOf)
    if empty == "":
        return (of.name, key) not in _KEPT_EMPTY
    return empty is False and key in _PLAIN_FLAGS


def _scalar(value: Any, code: str, path: str) -> Any:
    if code == "*":
        return value
    if isinstance(value, _SCALAR_TYPES[code]) and (code == "b" or not isinstance(value, bool)):
        return value
    raise WrongType(path, _WORDS[code], value)
