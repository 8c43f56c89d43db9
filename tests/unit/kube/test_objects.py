from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube.objects import (
    CLUSTER_ROLE,
    DEPLOYMENT,
    KINDS,
    SECRET,
    Kind,
    Object,
    ObjectKey,
    in_apply_order,
    key_of,
    kind_of,
)


@pytest.mark.parametrize(
    ("kind", "namespace", "name", "expected"),
    [
        (SECRET, None, None, "/api/v1/secrets"),
        (SECRET, "prod", None, "/api/v1/namespaces/prod/secrets"),
        (SECRET, "prod", "pull", "/api/v1/namespaces/prod/secrets/pull"),
        (DEPLOYMENT, "prod", "web", "/apis/apps/v1/namespaces/prod/deployments/web"),
        (CLUSTER_ROLE, None, None, "/apis/rbac.authorization.k8s.io/v1/clusterroles"),
        (CLUSTER_ROLE, "ignored", "view", "/apis/rbac.authorization.k8s.io/v1/clusterroles/view"),
        (CLUSTER_ROLE, None, "system:a/b", "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aa%2Fb"),
    ],
)
def test_a_kind_knows_its_path(kind: Kind, namespace: str | None, name: str | None, expected: str) -> None:
    assert expected == kind.path(namespace, name)


def test_one_object_of_a_namespaced_kind_needs_its_namespace() -> None:
    with pytest.raises(ValueError, match="a Secret lives in a namespace"):
        SECRET.path(None, "pull")


def made(kind: Kind, name: str) -> Object:
    metadata = {"name": name, "namespace": "prod"} if kind.namespaced else {"name": name}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def test_the_key_of_an_object_without_a_namespace_has_an_empty_one() -> None:
    expected = ObjectKey("rbac.authorization.k8s.io/v1", "ClusterRole", "", "view")

    assert expected == key_of(made(CLUSTER_ROLE, "view"))


def test_an_unknown_kind_has_no_place() -> None:
    with pytest.raises(KeyError):
        kind_of({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "a"}})


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(["a", "b", "c"]))))
def test_the_apply_order_is_that_of_the_kinds_and_loses_nothing(chosen: list[tuple[Kind, str]]) -> None:
    objects = [made(kind, name) for kind, name in chosen]

    ordered = in_apply_order(objects)

    places = [(KINDS.index(kind_of(obj)), obj["metadata"]["name"]) for obj in ordered]
    assert sorted(places) == places
    assert sorted(map(key_of, objects)) == sorted(map(key_of, ordered))
