from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import pytest

from kube import errors
from kube.client import Client, WatchEvent
from kube.objects import CONFIG_MAP, NAMESPACE, Object
from tests.support.kubernetes import ClusterUnderTest

ConfigMaps = Callable[..., Object]


def told(event: WatchEvent) -> tuple[str, str]:
    return event.type, event.object["metadata"]["name"]


def test_a_watch_tells_of_additions_changes_and_deletions_in_order(
    client: Client, namespace: str, config_map: ConfigMaps
) -> None:
    version = client.create(config_map("before"))["metadata"]["resourceVersion"]
    selector = "metadata.name!=kube-root-ca.crt"
    with client.watch(
        CONFIG_MAP, resource_version=version, namespace=namespace, field_selector=selector, timeout_seconds=30
    ) as events:
        client.create(config_map("a", x="1"))
        client.merge_patch(CONFIG_MAP, "a", {"data": {"x": "2"}}, namespace=namespace)
        client.delete(CONFIG_MAP, "a", namespace=namespace)

        seen = [next(events) for _ in range(3)]

    assert [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")] == [told(event) for event in seen]
    assert [{"x": "1"}, {"x": "2"}, {"x": "2"}] == [event.object["data"] for event in seen]


def test_a_watch_goes_on_where_a_list_ended(client: Client, namespace: str, config_map: ConfigMaps) -> None:
    client.create(config_map("before", labels={"suite": "watch"}))
    version = client.list(CONFIG_MAP, namespace=namespace, label_selector="suite=watch").resource_version
    client.create(config_map("after", labels={"suite": "watch"}))

    with client.watch(
        CONFIG_MAP,
        resource_version=version,
        namespace=namespace,
        label_selector="suite=watch",
        timeout_seconds=30,
    ) as events:
        assert ("ADDED", "after") == told(next(events))


def test_a_watch_over_all_namespaces_tells_of_each(client: Client, namespace: str) -> None:
    version = client.get(NAMESPACE, namespace)["metadata"]["resourceVersion"]
    name = f"{namespace}-second"
    with client.watch(NAMESPACE, resource_version=version, timeout_seconds=30) as events:
        client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        added = next(told(event) for event in events if event.type == "ADDED")
    client.delete(NAMESPACE, name)

    assert ("ADDED", name) == added


def test_an_object_that_leaves_the_selection_is_told_as_deleted(
    client: Client, namespace: str, config_map: ConfigMaps
) -> None:
    created = client.create(config_map("a", labels={"team": "red"}))
    with client.watch(
        CONFIG_MAP,
        resource_version=created["metadata"]["resourceVersion"],
        namespace=namespace,
        label_selector="team=red",
        timeout_seconds=30,
    ) as events:
        client.merge_patch(CONFIG_MAP, "a", {"metadata": {"labels": {"team": "blue"}}}, namespace=namespace)

        assert ("DELETED", "a") == told(next(events))


def test_an_object_that_enters_the_selection_is_told_as_added(
    client: Client, namespace: str, config_map: ConfigMaps
) -> None:
    created = client.create(config_map("a", labels={"team": "blue"}))
    with client.watch(
        CONFIG_MAP,
        resource_version=created["metadata"]["resourceVersion"],
        namespace=namespace,
        label_selector="team=red",
        timeout_seconds=30,
    ) as events:
        client.merge_patch(CONFIG_MAP, "a", {"metadata": {"labels": {"team": "red"}}}, namespace=namespace)

        assert ("ADDED", "a") == told(next(events))


def test_a_metadata_only_watch_leaves_the_content_out(
    client: Client, namespace: str, config_map: ConfigMaps
) -> None:
    version = client.create(config_map("before"))["metadata"]["resourceVersion"]
    with client.watch(
        CONFIG_MAP,
        resource_version=version,
        namespace=namespace,
        field_selector="metadata.name=a",
        metadata_only=True,
        timeout_seconds=30,
    ) as events:
        created = client.create(config_map("a", secret="not to be seen"))

        event = next(events)

    assert {"apiVersion": "v1", "kind": "ConfigMap", "metadata": created["metadata"]} == event.object


def test_a_watch_sends_a_bookmark_before_it_ends(
    client: Client, namespace: str, config_map: ConfigMaps
) -> None:
    version = client.create(config_map("a"))["metadata"]["resourceVersion"]

    with client.watch(
        CONFIG_MAP,
        resource_version=version,
        namespace=namespace,
        field_selector="metadata.name=a",
        timeout_seconds=5,
    ) as events:
        later = client.create(config_map("b"))["metadata"]["resourceVersion"]
        seen = list(events)

    assert {"BOOKMARK"} == {event.type for event in seen}
    assert int(seen[-1].object["metadata"]["resourceVersion"]) >= int(later)


def test_a_watch_from_a_version_that_is_forgotten_has_expired(
    cluster: ClusterUnderTest, client: Client
) -> None:
    cluster.restart()

    with (
        pytest.raises(errors.Expired) as caught,
        client.watch(CONFIG_MAP, resource_version="1", timeout_seconds=30) as events,
    ):
        next(events)

    assert 410 == caught.value.status
    assert caught.value.reason in {"Expired", "Gone"}


def test_a_watch_ends_or_breaks_when_the_server_restarts(
    cluster: ClusterUnderTest, client: Client, namespace: str, config_map: ConfigMaps
) -> None:
    version = client.create(config_map("a"))["metadata"]["resourceVersion"]
    events = client.watch(
        CONFIG_MAP,
        resource_version=version,
        namespace=namespace,
        field_selector="metadata.name=a",
        timeout_seconds=300,
    )

    cluster.restart()

    with contextlib.suppress(errors.Unreachable):
        for event in events:
            assert "BOOKMARK" == event.type
    assert {"name": "a"}.items() <= client.get(CONFIG_MAP, "a", namespace=namespace)["metadata"].items()


def test_a_watch_that_is_closed_from_another_thread_ends(
    client: Client, namespace: str, config_map: ConfigMaps
) -> None:
    version = client.create(config_map("a"))["metadata"]["resourceVersion"]
    events = client.watch(
        CONFIG_MAP,
        resource_version=version,
        namespace=namespace,
        field_selector="metadata.name=a",
        timeout_seconds=300,
    )
    seen: list[WatchEvent] = []
    reader = threading.Thread(target=lambda: seen.extend(events))
    reader.start()

    events.close()
    reader.join(10)

    assert not reader.is_alive()
    assert [] == seen
