from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kube import errors
from kube.client import Client
from kube.objects import CLUSTER_ROLE, CONFIG_MAP, SECRET, Object
from tests.support.kubernetes import ClusterUnderTest

ConfigMaps = Callable[..., Object]
RBAC = "rbac.authorization.k8s.io"


def allow(client: Client, namespace: str, *rules: dict[str, Any]) -> None:
    """Gives the ServiceAccount `robot` these rights in its namespace."""
    metadata = {"name": "robot", "namespace": namespace}
    client.apply({"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": [*rules]})
    client.apply(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "robot"},
            "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": namespace}],
        }
    )


def rule(resource: str, *verbs: str, group: str = "", names: list[str] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"apiGroups": [group], "resources": [resource], "verbs": [*verbs]}
    return {**made, "resourceNames": names} if names else made


@pytest.mark.parametrize("token", ["nonsense", "eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl"])
def test_an_unknown_token_is_unauthorized(
    cluster: ClusterUnderTest, open_client: Callable[..., Client], token: str
) -> None:
    with pytest.raises(errors.Unauthorized) as caught:
        open_client(cluster.access(token)).get(CONFIG_MAP, "a", namespace="default")

    assert ("Unauthorized", 401) == (caught.value.reason, caught.value.status)
    assert token not in str(caught.value)


def test_without_rights_the_refusal_names_who_may_not_do_what(
    service_account: Client, namespace: str
) -> None:
    with pytest.raises(errors.Forbidden) as caught:
        service_account.list(SECRET, namespace=namespace)

    said = (
        f'secrets is forbidden: User "system:serviceaccount:{namespace}:robot" cannot list resource "secrets" '
        f'in API group "" in the namespace "{namespace}"'
    )
    assert said == caught.value.message


def test_a_role_that_is_bound_gives_its_rights_and_no_others(
    client: Client, service_account: Client, namespace: str, config_map: ConfigMaps
) -> None:
    client.create(config_map("a", x="1"))
    allow(client, namespace, rule("configmaps", "get"))

    assert {"x": "1"} == service_account.get(CONFIG_MAP, "a", namespace=namespace)["data"]
    with pytest.raises(errors.Forbidden):
        service_account.list(CONFIG_MAP, namespace=namespace)
    with pytest.raises(errors.Forbidden):
        service_account.get(CONFIG_MAP, "a", namespace="default")


def test_applying_what_is_absent_needs_create_on_that_name(
    client: Client, service_account: Client, namespace: str, config_map: ConfigMaps
) -> None:
    allow(client, namespace, rule("configmaps", "create", "patch", names=["mine"]))

    service_account.apply(config_map("mine", x="1"))

    with pytest.raises(errors.Forbidden):
        service_account.apply(config_map("theirs", x="1"))


def test_applying_what_is_absent_is_refused_with_patch_alone(
    client: Client, service_account: Client, namespace: str, config_map: ConfigMaps
) -> None:
    allow(client, namespace, rule("configmaps", "patch"))

    with pytest.raises(errors.Forbidden) as caught:
        service_account.apply(config_map("a", x="1"))

    assert "cannot create resource" in caught.value.message


def test_tokens_are_given_only_for_the_accounts_that_the_right_names(
    client: Client, service_account: Client, namespace: str
) -> None:
    allow(client, namespace, rule("serviceaccounts/token", "create", names=["robot"]))

    issued = service_account.request_token(namespace, "robot", audiences=["x"], expiration_seconds=600)

    assert issued.token
    with pytest.raises(errors.Forbidden):
        service_account.request_token(namespace, "default", audiences=["x"], expiration_seconds=600)


def test_nobody_gives_rights_that_they_do_not_hold(
    client: Client, service_account: Client, namespace: str
) -> None:
    allow(client, namespace, rule("roles", "create", "patch", group=RBAC))
    metadata = {"name": "more", "namespace": namespace}
    rules = [rule("secrets", "get")]

    with pytest.raises(errors.Forbidden) as caught:
        service_account.apply(
            {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": rules}
        )

    assert "attempting to grant RBAC permissions not currently held" in caught.value.message


def test_bind_on_a_named_cluster_role_lets_it_be_bound_and_no_other(
    client: Client, service_account: Client, namespace: str
) -> None:
    role_name = f"{namespace}-secrets"
    metadata = {"name": role_name}
    rules = [rule("secrets", "get")]
    client.apply({"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules})
    allow(
        client,
        namespace,
        rule("rolebindings", "create", "patch", group=RBAC),
        rule("clusterroles", "bind", group=RBAC, names=[role_name]),
    )

    def binding(role: str) -> Object:
        return {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": role, "namespace": namespace},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": namespace}],
        }

    service_account.apply(binding(role_name))
    with pytest.raises(errors.Forbidden):
        service_account.apply(binding("cluster-admin"))

    client.delete(CLUSTER_ROLE, role_name)
