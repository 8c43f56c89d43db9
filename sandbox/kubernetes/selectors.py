"""Label and field selectors (k8s.io/apimachinery `pkg/labels`, `pkg/fields`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sandbox.kubernetes.kinds import Kind
from sandbox.kubernetes.statuses import StatusError, bad_request

Matcher = Callable[[dict[str, Any]], bool]

_SET = re.compile(r"^\s*([\w./-]+)\s+(in|notin)\s+\(([^)]*)\)\s*$")
_EQUALITY = re.compile(r"^\s*([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)\s*$")
_EXISTS = re.compile(r"^\s*(!?)\s*([\w./-]+)\s*$")
# Beside metadata.name and metadata.namespace, which every kind has.
_FIELDS: dict[str, tuple[str, ...]] = {
    "Pod": ("spec.nodeName", "spec.serviceAccountName", "status.phase", "status.podIP"),
    "Secret": ("type",),
    "Namespace": ("status.phase",),
    "Event": ("involvedObject.name", "involvedObject.namespace", "involvedObject.kind", "reason", "type"),
}


def label_matcher(selector: str) -> Matcher | None:
    """None: everything matches. Raises `StatusError` 400 for a selector that cannot be read."""
    if not selector.strip():
        return None
    tests = [_label_test(part) for part in re.split(r",(?![^(]*\))", selector)]

    def matches(obj: dict[str, Any]) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(test(labels) for test in tests)

    return matches


def _label_test(part: str) -> Callable[[dict[str, str]], bool]:
    if found := _SET.match(part):
        key, operator, values = found[1], found[2], {value.strip() for value in found[3].split(",")}
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUALITY.match(part):
        key, operator, value = found[1], found[2], found[3]
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.match(part):
        absent, key = found[1] == "!", found[2]
        return lambda labels: (key in labels) != absent
    raise bad_request(f'unable to parse requirement: found "{part}", expected: a label selector')


def field_matcher(selector: str, kind: Kind) -> Matcher | None:
    """None: everything matches. Raises `StatusError` 400 for a field that the kind cannot be asked by."""
    if not selector.strip():
        return None
    known = {"metadata.name", "metadata.namespace", *_FIELDS.get(kind.kind, ())}
    tests: list[tuple[list[str], str, bool]] = []
    for part in selector.split(","):
        found = re.match(r"^([\w.]+)(==|=|!=)(.*)$", part.strip())
        if found is None:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        if found[1] not in known:
            raise _unsupported(kind, found[1])
        tests.append((found[1].split("."), found[3], found[2] != "!="))

    def matches(obj: dict[str, Any]) -> bool:
        return all((_value(obj, path) == value) == wanted for path, value, wanted in tests)

    return matches


def _unsupported(kind: Kind, name: str) -> StatusError:
    return bad_request(
        f'Unable to find "{kind.api_version}, Resource={kind.plural}" that match label selector "", '
        f'field selector "{name}": field label not supported: {name}'
    )


def _value(obj: dict[str, Any], path: list[str]) -> str:
    value: Any = obj
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return "" if value is None else str(value)
