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
        struct.whole = spec.get("whole", False)
    return {key: structs[name] for key, name in table["roots"].items()}


def type_of(kind: Kind) -> Struct:
    """The type of a kind's objects."""
    return _roots()[f"{kind.api_version}/{kind.kind}"]


def conformed(
    value: Any, of: Type, path: str = "", *, unknown: list[str] | None = None, defaults: bool = True
) -> Any:
    """A copy of `value` with what its type has: nulls and unknown fields dropped (named in `unknown`), defaults in.

    Raises:
        WrongType: a value is of another type than its field.
    """
    if isinstance(of, Scalar):
        return _scalar(value, of.code, path)
    if isinstance(of, ListOf):
        if not isinstance(value, list):
            raise WrongType(path, "list", value)
        return [
            conformed(item, of.element, f"{path}[{index}]", unknown=unknown, defaults=defaults)
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
            made[key] = conformed(item, element, f"{path}.{key}", unknown=unknown, defaults=defaults)
    return _defaulted(made, of) if defaults and isinstance(of, Struct) else made


def _defaulted(value: dict[str, Any], of: Struct) -> dict[str, Any]:
    for key, default in of.defaults.items():
        value.setdefault(key, default)
    return value


def _scalar(value: Any, code: str, path: str) -> Any:
    if code == "*":
        return value
    if isinstance(value, _SCALAR_TYPES[code]) and (code == "b" or not isinstance(value, bool)):
        return value
    raise WrongType(path, _WORDS[code], value)
