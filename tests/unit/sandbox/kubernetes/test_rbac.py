"""RBAC: who may do what."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.kubernetes.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, RBAC_GROUP, ROLE_BINDING, Kind
from sandbox.kubernetes.rbac import MASTERS, Ask, Rule, User, allowed, service_account_user, told, uncovered
from sandbox.kubernetes.store import Store

ROBOT = service_account_user("apps", "robot")
SUBJECT = {"kind": "ServiceAccount", "name": "robot", "namespace": "apps"}


def put(store: Store, kind: Kind, name: str, namespace: str = "", **body: Any) -> None:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    store.write(kind, {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata} | body, {})


def store_with(
    rules: list[Rule], *, namespace: str = "", subjects: list[dict[str, str]] | None = None
) -> Store:
    """The rules bound to the robot, in a namespace or everywhere."""
    store = Store()
    put(store, CLUSTER_ROLE, "role", rules=rules)
    reference = {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": "role"}
    kind = ROLE_BINDING if namespace else CLUSTER_ROLE_BINDING
    put(store, kind, "binding", namespace, roleRef=reference, subjects=subjects or [SUBJECT])
    return store


def rule(**parts: list[str]) -> Rule:
    return {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]} | parts


def test_a_rule_allows_what_it_says() -> None:
    store = store_with([rule()])

    assert allowed(store, ROBOT, Ask("get", "", "secrets", "any", "x"))


@pytest.mark.parametrize(
    "ask",
    [
        Ask("list", "", "secrets", "any"),
        Ask("get", "apps", "secrets", "any", "x"),
        Ask("get", "", "configmaps", "any", "x"),
        Ask("get", path="/metrics"),
    ],
)
def test_a_rule_allows_nothing_else(ask: Ask) -> None:
    assert not allowed(store_with([rule()]), ROBOT, ask)


def test_resource_names_narrow_a_rule() -> None:
    store = store_with([rule(resourceNames=["ours"])])

    assert [True, False, False] == [
        allowed(store, ROBOT, Ask("get", "", "secrets", "any", name)) for name in ("ours", "theirs", "")
    ]


def test_a_role_binding_reaches_no_further_than_its_namespace() -> None:
    store = store_with([rule()], namespace="here")

    assert [True, False, False] == [
        allowed(store, ROBOT, Ask("get", "", "secrets", namespace, "x"))
        for namespace in ("here", "there", "")
    ]


def test_a_resource_does_not_cover_its_subresource() -> None:
    store = store_with([rule(resources=["serviceaccounts"], verbs=["create"])])

    assert not allowed(store, ROBOT, Ask("create", "", "serviceaccounts/token", "any", "x"))


def test_stars_cover_everything() -> None:
    store = store_with([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}])

    assert allowed(store, ROBOT, Ask("create", "", "serviceaccounts/token", "any", "x"))


def test_paths_are_covered_by_prefix() -> None:
    store = store_with([{"verbs": ["get"], "nonResourceURLs": ["/openid/*"]}])

    assert [True, False] == [
        allowed(store, ROBOT, Ask("get", path=path)) for path in ("/openid/v1/jwks", "/version")
    ]


def test_groups_of_service_accounts_are_subjects() -> None:
    store = store_with([rule()], subjects=[{"kind": "Group", "name": "system:serviceaccounts:apps"}])

    assert [True, False] == [
        allowed(store, user, Ask("get", "", "secrets", "any", "x"))
        for user in (ROBOT, service_account_user("other", "robot"))
    ]


def test_masters_need_no_rule() -> None:
    assert allowed(Store(), User("admin", (MASTERS,)), Ask("delete", "", "nodes", "", "x"))


def test_rights_not_held_are_named_one_by_one() -> None:
    held = [rule(resourceNames=["ours"]), rule(verbs=["list"])]

    missing = uncovered(held, [rule(verbs=["get", "list"]), rule(resourceNames=["ours"])])

    assert ['{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'] == [told(right) for right in missing]
