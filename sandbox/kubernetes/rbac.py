"""RBAC as a real API server evaluates it (k8s.io/kubernetes `plugin/pkg/auth/authorizer/rbac`).

Rules are additive; `system:masters` may do everything. Escalation checks are those of the registry: whoever writes a
role must hold its rights or `escalate`, whoever binds one must hold its rights or `bind`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.kubernetes.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from sandbox.kubernetes.store import Store

Rule = dict[str, Any]
MASTERS = "system:masters"


@dataclass(frozen=True)
class User:
    """Who asks."""

    name: str
    groups: tuple[str, ...]

    @property
    def is_master(self) -> bool:
        """Beyond RBAC."""
        return MASTERS in self.groups


@dataclass(frozen=True)
class Ask:
    """What is asked: about a resource (`resource` with its subresource, as `serviceaccounts/token`) or a path."""

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


def service_account_user(namespace: str, name: str) -> User:
    """The user that a service account's token makes."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", groups)


def allowed(store: Store, user: User, ask: Ask) -> bool:
    """Whether any rule of the user's covers what is asked."""
    if user.is_master:
        return True
    if ask.path:
        return any(_covers_path(rule, ask) for rule in _cluster_rules(store, user))
    return any(_covers(rule, ask) for rule in rules_of(store, user, ask.namespace))


def rules_of(store: Store, user: User, namespace: str) -> Iterator[Rule]:
    """Every rule that holds for the user in a namespace ("": cluster-wide ones only)."""
    yield from _cluster_rules(store, user)
    if namespace:
        for stored in store.all(ROLE_BINDING, namespace)[0]:
            if _is_subject(stored.object, user, namespace):
                yield from referenced_rules(store, stored.object["roleRef"], namespace)


def _cluster_rules(store: Store, user: User) -> Iterator[Rule]:
    for stored in store.all(CLUSTER_ROLE_BINDING)[0]:
        if _is_subject(stored.object, user, ""):
            yield from referenced_rules(store, stored.object["roleRef"], "")


def referenced_rules(store: Store, reference: dict[str, str], namespace: str) -> list[Rule]:
    """The rules of a roleRef; none when the role is not there."""
    cluster_wide = reference["kind"] == "ClusterRole"
    kind, where = (CLUSTER_ROLE, "") if cluster_wide else (ROLE, namespace)
    stored = store.get(kind, where, reference["name"])
    return list(stored.object.get("rules") or ()) if stored is not None else []


def _is_subject(binding: dict[str, Any], user: User, namespace: str) -> bool:
    for subject in binding.get("subjects") or ():
        if subject["kind"] == "User" and subject["name"] == user.name:
            return True
        if subject["kind"] == "Group" and subject["name"] in user.groups:
            return True
        if subject["kind"] == "ServiceAccount":
            where = subject.get("namespace") or namespace
            if user.name == f"system:serviceaccount:{where}:{subject['name']}":
                return True
    return False


def _covers(rule: Rule, ask: Ask) -> bool:
    return (
        _has(rule.get("verbs"), ask.verb)
        and _has(rule.get("apiGroups"), ask.group)
        and _has_resource(rule.get("resources") or (), ask.resource)
        and (not rule.get("resourceNames") or ask.name in rule["resourceNames"])
    )


def _has(values: list[str] | None, wanted: str) -> bool:
    return values is not None and (wanted in values or "*" in values)


def _has_resource(resources: Iterable[str], wanted: str) -> bool:
    _, slash, subresource = wanted.partition("/")
    return any(one in ("*", wanted) or (slash and one == f"*/{subresource}") for one in resources)


def _covers_path(rule: Rule, ask: Ask) -> bool:
    if not _has(rule.get("verbs"), ask.verb):
        return False
    return any(
        one == ask.path or (one.endswith("*") and ask.path.startswith(one[:-1]))
        for one in rule.get("nonResourceURLs") or ()
    )


def uncovered(owned: list[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The rights of `wanted`, one by one, that `owned` does not cover (component-helpers' `rbac/validation`)."""
    return [
        right
        for rule in wanted
        for right in _single_rights(rule)
        if not any(_covers_right(has, right) for has in owned)
    ]


def _single_rights(rule: Rule) -> Iterator[Rule]:
    for verb in rule.get("verbs") or ():
        for url in rule.get("nonResourceURLs") or ():
            yield {"nonResourceURLs": [url], "verbs": [verb]}
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                right = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                if not rule.get("resourceNames"):
                    yield right
                for name in rule.get("resourceNames") or ():
                    yield right | {"resourceNames": [name]}


def _covers_right(owned: Rule, right: Rule) -> bool:
    if not _has(owned.get("verbs"), right["verbs"][0]):
        return False
    if "nonResourceURLs" in right:
        url = right["nonResourceURLs"][0]
        return any(
            one == url or (one.endswith("*") and url.startswith(one[:-1]))
            for one in owned.get("nonResourceURLs") or ()
        )
    if not _has(owned.get("apiGroups"), right["apiGroups"][0]):
        return False
    if not _has_resource(owned.get("resources") or (), right["resources"][0]):
        return False
    names = owned.get("resourceNames")
    return not names or right.get("resourceNames", [None])[0] in names


def told(right: Rule) -> str:
    """A right as the refusal of an escalation says it: `{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}`."""
    names = {
        "apiGroups": "APIGroups",
        "resources": "Resources",
        "resourceNames": "ResourceNames",
        "nonResourceURLs": "NonResourceURLs",
        "verbs": "Verbs",
    }
    parts = [f"{said}:{_quoted(right[key])}" for key, said in names.items() if key in right]
    return "{" + ", ".join(parts) + "}"


def _quoted(values: list[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
