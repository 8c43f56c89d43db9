from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from kube import errors
from kube.client import Client
from kube.objects import CONFIG_MAP, NAMESPACE, SECRET, SERVICE_ACCOUNT, Object, ObjectKey, key_of

ConfigMaps = Callable[..., Object]


def test_an_object_comes_back_with_what_the_server_gave_it(
    client: Client, namespace: str, config_map: ConfigMaps
) -> None:
    created = client.create(config_map("settings", region="eu-central-1"))

    found = client.get(CONFIG_MAP, "settings", namespace=namespace)

    assert created == found
    assert {"region": "eu-central-1"} == found["data"]
    assert found["metadata"].keys() >= {"uid", "resourceVersion", "creationTimestamp", "managedFields"}


def test_an_absent_object_is_not_found(client: Client, namespace: str) -> None:
    with pytest.raises(errors.NotFound) as caught:
        client.get(CONFIG_MAP, "nowhere", namespace=namespace)

    assert ("NotFound", 'configmaps "nowhere" not found') == (caught.value.reason, caught.value.message)


def test_a_path_that_is_not_served_is_not_found(client: Client) -> None:
    with pytest.raises(errors.NotFound):
        client.read_path("/apis/nothing.example.com/v1/things")


def test_the_server_tells_a_version_that_has_admission_policies(client: Client) -> None:
    version = client.read_path("/version")

    assert (1, 30) <= (int(version["major"]), int(version["minor"].rstrip("+")))


def test_a_list_holds_named_objects_of_one_namespace(
    client: Client, namespace: str, config_map: ConfigMaps
) -> None:
    client.create(config_map("a"))
    client.create(config_map("b"))

    keys = {key_of(obj) for obj in client.list(CONFIG_MAP, namespace=namespace).items}

    assert {ObjectKey("v1", "ConfigMap", namespace, name) for name in ("a", "b")} <= keys


def test_a_list_without_a_namespace_holds_those_of_all(
    client: Client, namespace: str, config_map: ConfigMaps
) -> None:
    client.create(config_map("a"))

    namespaces = {obj["metadata"]["namespace"] for obj in client.list(CONFIG_MAP).items}

    assert namespace in namespaces


def test_a_new_cluster_has_its_own_namespaces(client: Client) -> None:
    names = {obj["metadata"]["name"] for obj in client.list(NAMESPACE).items}

    assert {"default", "kube-system", "kube-public"} <= names


def test_a_namespace_carries_its_own_name_as_a_label(client: Client, namespace: str) -> None:
    found = client.get(NAMESPACE, namespace)

    assert namespace == found["metadata"]["labels"]["kubernetes.io/metadata.name"]
    assert "Active" == found["status"]["phase"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("team=red", {"a"}),
        ("team==red", {"a"}),
        ("team!=red", {"b", "c"}),
        ("team in (red,blue)", {"a", "b"}),
        ("team notin (red)", {"b", "c"}),
        ("team", {"a", "b"}),
        ("!team", {"c"}),
        ("team=red,tier=1", {"a"}),
        ("team=blue,tier=1", set()),
    ],
)
def test_a_label_selector_chooses(
    client: Client, namespace: str, config_map: ConfigMaps, selector: str, expected: set[str]
) -> None:
    client.create(config_map("a", labels={"suite": "labels", "team": "red", "tier": "1"}))
    client.create(config_map("b", labels={"suite": "labels", "team": "blue"}))
    client.create(config_map("c", labels={"suite": "labels"}))

    found = client.list(CONFIG_MAP, namespace=namespace, label_selector=f"suite=labels,{selector}")

    assert expected == {obj["metadata"]["name"] for obj in found.items}


def test_a_label_selector_that_is_none_is_a_bad_request(client: Client) -> None:
    with pytest.raises(errors.ApiError) as caught:
        client.list(CONFIG_MAP, label_selector="team in red")

    assert (400, "BadRequest") == (caught.value.status, caught.value.reason)


def test_a_field_selector_chooses_by_name(client: Client, namespace: str, config_map: ConfigMaps) -> None:
    client.create(config_map("a"))
    client.create(config_map("b"))

    found = client.list(CONFIG_MAP, namespace=namespace, field_selector="metadata.name=b")

    assert ["b"] == [obj["metadata"]["name"] for obj in found.items]


def test_a_field_selector_chooses_secrets_by_type(client: Client, namespace: str) -> None:
    for name, kind in (("plain", "Opaque"), ("pull", "kubernetes.io/dockerconfigjson")):
        data = {".dockerconfigjson": "e30="} if name == "pull" else {}
        metadata = {"name": name, "namespace": namespace}
        client.create(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": data}
        )

    found = client.list(SECRET, namespace=namespace, field_selector="type=kubernetes.io/dockerconfigjson")

    assert ["pull"] == [obj["metadata"]["name"] for obj in found.items]


def test_a_metadata_only_list_leaves_the_content_out(
    client: Client, namespace: str, config_map: ConfigMaps
) -> None:
    created = client.create(config_map("a", labels={"team": "red"}, secret="not to be seen"))

    found = client.list(CONFIG_MAP, namespace=namespace, label_selector="team=red", metadata_only=True)

    assert [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": created["metadata"]}] == [*found.items]


def test_a_long_list_comes_whole_by_pages(client: Client, namespace: str, config_map: ConfigMaps) -> None:
    with ThreadPoolExecutor(4) as threads:
        made = [config_map(f"page-{number:03}", labels={"suite": "pages"}) for number in range(503)]
        list(threads.map(client.create, made))
    sent_before = client.requests

    found = client.list(CONFIG_MAP, namespace=namespace, label_selector="suite=pages", metadata_only=True)

    assert [f"page-{number:03}" for number in range(503)] == [obj["metadata"]["name"] for obj in found.items]
    assert 2 == client.requests - sent_before


def test_a_new_namespace_gets_its_default_service_account(client: Client, namespace: str) -> None:
    listed = client.list(SERVICE_ACCOUNT, namespace=namespace)
    names = [obj["metadata"]["name"] for obj in listed.items]
    if not names:  # the controller manager is not there yet
        with client.watch(
            SERVICE_ACCOUNT,
            resource_version=listed.resource_version,
            namespace=namespace,
            timeout_seconds=30,
        ) as events:
            names = [next(event.object["metadata"]["name"] for event in events if event.type == "ADDED")]

    assert ["default"] == names
