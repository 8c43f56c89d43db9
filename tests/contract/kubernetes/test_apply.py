from __future__ import annotations

from collections.abc import Callable

import pytest

from kube import errors
from kube.client import Client
from kube.objects import CONFIG_MAP, Object

ConfigMaps = Callable[..., Object]


def managers(obj: Object) -> dict[tuple[str, str], Object]:
    """(manager, operation) to the fields it owns."""
    return {
        (entry["manager"], entry["operation"]): entry["fieldsV1"]
        for entry in obj["metadata"]["managedFields"]
    }


def container_deployment(namespace: str, container: Object) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "agent", "namespace": namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "agent"}},
            "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [container]}},
        },
    }


def test_applying_what_is_absent_creates_it_under_our_name(client: Client, config_map: ConfigMaps) -> None:
    made = client.apply(config_map("a", x="1"))

    assert {("pullpass", "Apply"): {"f:data": {"f:x": {}}}} == managers(made)


def test_applying_again_with_a_change_changes_it(client: Client, config_map: ConfigMaps) -> None:
    before = client.apply(config_map("a", x="1"))

    after = client.apply(config_map("a", x="2"))

    assert {"x": "2"} == after["data"]
    assert before["metadata"]["uid"] == after["metadata"]["uid"]
    assert before["metadata"]["resourceVersion"] != after["metadata"]["resourceVersion"]


def test_applying_the_same_again_keeps_the_version(client: Client, config_map: ConfigMaps) -> None:
    before = client.apply(config_map("a", x="1"))

    after = client.apply(config_map("a", x="1"))

    assert before == after


def test_a_dry_run_changes_nothing(client: Client, namespace: str, config_map: ConfigMaps) -> None:
    before = client.apply(config_map("a", x="1"))

    imagined = client.apply(config_map("a", x="2"), dry_run=True)

    assert {"x": "2"} == imagined["data"]
    assert before == client.get(CONFIG_MAP, "a", namespace=namespace)


def test_without_force_a_field_of_another_manager_is_a_conflict_that_names_it(
    client: Client, other: Client, config_map: ConfigMaps
) -> None:
    other.apply(config_map("a", x="theirs"))

    with pytest.raises(errors.Conflict) as caught:
        client.apply(config_map("a", x="ours"), force=False)

    assert "Conflict" == caught.value.reason
    assert 'conflict with "other-tool": .data.x' in caught.value.message


def test_without_force_a_field_somebody_wrote_is_a_conflict_too(
    client: Client, other: Client, config_map: ConfigMaps
) -> None:
    other.create(config_map("a", x="theirs"))

    with pytest.raises(errors.Conflict) as caught:
        client.apply(config_map("a", x="ours"), force=False)

    assert "other-tool" in caught.value.message


def test_an_equal_value_is_no_conflict_and_is_owned_by_both(
    client: Client, other: Client, config_map: ConfigMaps
) -> None:
    other.apply(config_map("a", x="1"))

    shared = client.apply(config_map("a", x="1"), force=False)

    assert {("other-tool", "Apply"), ("pullpass", "Apply")} == managers(shared).keys()


def test_force_takes_the_field_over(client: Client, other: Client, config_map: ConfigMaps) -> None:
    other.apply(config_map("a", x="theirs", y="theirs"))

    taken = client.apply(config_map("a", x="ours"))

    assert {"x": "ours", "y": "theirs"} == taken["data"]
    assert {
        ("pullpass", "Apply"): {"f:data": {"f:x": {}}},
        ("other-tool", "Apply"): {"f:data": {"f:y": {}}},
    } == managers(taken)


def test_a_field_we_no_longer_apply_is_removed(client: Client, config_map: ConfigMaps) -> None:
    client.apply(config_map("a", x="1", y="2"))

    after = client.apply(config_map("a", y="2"))

    assert {"y": "2"} == after["data"]


def test_a_field_we_no_longer_apply_stays_when_another_owns_it_too(
    client: Client, other: Client, config_map: ConfigMaps
) -> None:
    client.apply(config_map("a", x="1", y="2"))
    other.apply(config_map("a", x="1"))

    after = client.apply(config_map("a", y="2"))

    assert {"x": "1", "y": "2"} == after["data"]


def test_what_others_added_survives_our_apply(
    client: Client, other: Client, namespace: str, config_map: ConfigMaps
) -> None:
    client.apply(config_map("a", labels={"ours": "1"}, x="1"))
    other.merge_patch(
        CONFIG_MAP,
        "a",
        {"metadata": {"annotations": {"note": "theirs"}, "labels": {"theirs": "1"}}, "data": {"y": "theirs"}},
        namespace=namespace,
    )

    after = client.apply(config_map("a", labels={"ours": "1"}, x="2"))

    assert {"x": "2", "y": "theirs"} == after["data"]
    assert {"ours": "1", "theirs": "1"} == after["metadata"]["labels"]
    assert {"note": "theirs"} == after["metadata"]["annotations"]


def test_what_others_changed_is_put_right(
    client: Client, other: Client, namespace: str, config_map: ConfigMaps
) -> None:
    client.apply(config_map("a", x="1"))
    other.merge_patch(CONFIG_MAP, "a", {"data": {"x": "drifted"}}, namespace=namespace)

    after = client.apply(config_map("a", x="1"))

    assert {"x": "1"} == after["data"]
    assert {("pullpass", "Apply"): {"f:data": {"f:x": {}}}} == managers(after)


def test_containers_merge_by_name_and_environment_by_variable(
    client: Client, other: Client, namespace: str
) -> None:
    ours = {"name": "agent", "image": "example.com/agent:1", "env": [{"name": "A", "value": "1"}]}
    client.apply(container_deployment(namespace, ours))
    other.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "agent", "namespace": namespace},
            "spec": {
                "template": {
                    "spec": {"containers": [{"name": "agent", "env": [{"name": "B", "value": "2"}]}]}
                }
            },
        }
    )

    after = client.apply(container_deployment(namespace, {**ours, "image": "example.com/agent:2"}))

    [container] = after["spec"]["template"]["spec"]["containers"]
    assert "example.com/agent:2" == container["image"]
    assert [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}] == container["env"]


def test_the_image_pull_secrets_of_a_service_account_are_one_whole(
    client: Client, other: Client, namespace: str
) -> None:
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "app", "namespace": namespace},
    }
    other.apply({**account, "imagePullSecrets": [{"name": "theirs"}]})

    with pytest.raises(errors.Conflict) as caught:
        client.apply({**account, "imagePullSecrets": [{"name": "ours"}]}, force=False)

    assert "imagePullSecrets" in caught.value.message
