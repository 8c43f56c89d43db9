from __future__ import annotations

from collections.abc import Callable

import pytest

from kube import errors
from kube.client import Client
from kube.objects import CONFIG_MAP, DEPLOYMENT, NAMESPACE, SECRET, SERVICE_ACCOUNT, Object

ConfigMaps = Callable[..., Object]


def secret(namespace: str, kind: str, data: dict[str, str]) -> Object:
    metadata = {"name": "pull", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": data}


def deployment(namespace: str, *, selected: str = "agent", image: str = "example.com/agent:1") -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "agent", "namespace": namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": selected}},
            "template": {
                "metadata": {"labels": {"app": "agent"}},
                "spec": {"containers": [{"name": "agent", "image": image}]},
            },
        },
    }


def test_creating_what_exists_is_a_conflict(client: Client, config_map: ConfigMaps) -> None:
    client.create(config_map("a"))

    with pytest.raises(errors.Conflict) as caught:
        client.create(config_map("a"))

    assert ("AlreadyExists", 'configmaps "a" already exists') == (caught.value.reason, caught.value.message)


def test_creating_in_an_absent_namespace_is_not_found(client: Client) -> None:
    metadata = {"name": "a", "namespace": "never-made"}

    with pytest.raises(errors.NotFound) as caught:
        client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})

    assert 'namespaces "never-made" not found' == caught.value.message


@pytest.mark.parametrize(
    "name", ["Upper", "under_score", "-dash", "a" * 254], ids=["upper", "underscore", "dash", "long"]
)
def test_an_impossible_name_is_invalid(client: Client, config_map: ConfigMaps, name: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        client.create(config_map(name))

    assert "Invalid" == caught.value.reason
    assert "metadata.name" in caught.value.message


@pytest.mark.parametrize("data", [{}, {".dockerconfigjson": "bm8ganNvbg=="}], ids=["absent", "no-json"])
def test_a_pull_secret_without_a_docker_configuration_is_invalid(
    client: Client, namespace: str, data: dict[str, str]
) -> None:
    with pytest.raises(errors.Invalid):
        client.apply(secret(namespace, "kubernetes.io/dockerconfigjson", data))


def test_the_type_of_a_secret_cannot_change(client: Client, namespace: str) -> None:
    client.apply(secret(namespace, "Opaque", {".dockerconfigjson": "e30="}))

    with pytest.raises(errors.Invalid):
        client.apply(secret(namespace, "kubernetes.io/dockerconfigjson", {".dockerconfigjson": "e30="}))


def test_a_deployment_that_selects_other_pods_is_invalid(client: Client, namespace: str) -> None:
    with pytest.raises(errors.Invalid):
        client.apply(deployment(namespace, selected="something-else"))


def test_a_changed_specification_is_a_new_generation(client: Client, namespace: str) -> None:
    before = client.apply(deployment(namespace))

    after = client.apply(deployment(namespace, image="example.com/agent:2"))

    assert before["metadata"]["generation"] + 1 == after["metadata"]["generation"]


def test_a_merge_patch_sets_and_removes(client: Client, namespace: str, config_map: ConfigMaps) -> None:
    client.create(config_map("a", keep="1", drop="2", change="3"))

    patched = client.merge_patch(
        CONFIG_MAP, "a", {"data": {"drop": None, "change": "4", "add": "5"}}, namespace=namespace
    )

    assert {"keep": "1", "change": "4", "add": "5"} == patched["data"]


def test_a_merge_patch_that_changes_nothing_keeps_the_version(
    client: Client, namespace: str, config_map: ConfigMaps
) -> None:
    created = client.create(config_map("a", keep="1"))

    patched = client.merge_patch(CONFIG_MAP, "a", {"data": {"keep": "1"}}, namespace=namespace)

    assert created["metadata"]["resourceVersion"] == patched["metadata"]["resourceVersion"]


def test_a_merge_patch_with_the_current_version_is_taken(client: Client, namespace: str) -> None:
    metadata = {"name": "app", "namespace": namespace}
    account = client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    body = {
        "metadata": {"resourceVersion": account["metadata"]["resourceVersion"]},
        "imagePullSecrets": [{"name": "theirs"}, {"name": "pullpass-ecr"}],
    }

    patched = client.merge_patch(SERVICE_ACCOUNT, "app", body, namespace=namespace)

    assert [{"name": "theirs"}, {"name": "pullpass-ecr"}] == patched["imagePullSecrets"]


def test_a_merge_patch_with_a_stale_version_is_a_conflict(
    client: Client, namespace: str, config_map: ConfigMaps
) -> None:
    stale = client.create(config_map("a", x="1"))["metadata"]["resourceVersion"]
    client.merge_patch(CONFIG_MAP, "a", {"data": {"x": "2"}}, namespace=namespace)

    body = {"metadata": {"resourceVersion": stale}, "data": {"x": "3"}}
    with pytest.raises(errors.Conflict) as caught:
        client.merge_patch(CONFIG_MAP, "a", body, namespace=namespace)

    assert "Conflict" == caught.value.reason
    assert {"x": "2"} == client.get(CONFIG_MAP, "a", namespace=namespace)["data"]


def test_a_merge_patch_of_what_is_absent_is_not_found(client: Client, namespace: str) -> None:
    with pytest.raises(errors.NotFound):
        client.merge_patch(CONFIG_MAP, "nowhere", {"data": {"x": "1"}}, namespace=namespace)


def test_a_deletion_with_the_right_uid_takes_the_object_away(
    client: Client, namespace: str, config_map: ConfigMaps
) -> None:
    uid = client.create(config_map("a"))["metadata"]["uid"]

    client.delete(CONFIG_MAP, "a", namespace=namespace, uid=uid)

    with pytest.raises(errors.NotFound):
        client.get(CONFIG_MAP, "a", namespace=namespace)


def test_a_deletion_with_another_uid_is_a_conflict(
    client: Client, namespace: str, config_map: ConfigMaps
) -> None:
    created = client.create(config_map("a"))

    other_uid = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(errors.Conflict):
        client.delete(CONFIG_MAP, "a", namespace=namespace, uid=other_uid)

    assert created == client.get(CONFIG_MAP, "a", namespace=namespace)


def test_deleting_what_is_absent_is_fine(client: Client, namespace: str) -> None:
    client.delete(SECRET, "nowhere", namespace=namespace)
    client.delete(DEPLOYMENT, "nowhere", namespace=namespace, uid="00000000-0000-0000-0000-000000000000")


def test_deleting_a_namespace_takes_its_objects_along(client: Client) -> None:
    metadata = {"name": "contract-short-lived"}
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    inside = {"name": "a", "namespace": "contract-short-lived"}
    version = client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": inside})["metadata"]
    client.delete(NAMESPACE, "contract-short-lived")

    with client.watch(
        CONFIG_MAP,
        resource_version=version["resourceVersion"],
        namespace="contract-short-lived",
        field_selector="metadata.name=a",
        timeout_seconds=60,
    ) as events:
        assert "DELETED" == next(event.type for event in events if event.type != "BOOKMARK")
