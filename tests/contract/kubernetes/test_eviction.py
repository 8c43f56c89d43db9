from __future__ import annotations

import pytest

from kube import errors
from kube.client import Client
from kube.objects import POD, Object


@pytest.fixture
def pod(client: Client, namespace: str) -> Object:
    metadata = {"name": "app", "namespace": namespace}
    client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    spec = {
        "serviceAccountName": "app",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "app", "image": "example.com/app:1"}],
    }
    return client.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def evict(client: Client, pod: Object, **changes: str) -> None:
    metadata = pod["metadata"]
    wanted = {"uid": metadata["uid"], "resource_version": metadata["resourceVersion"]} | changes
    client.evict(metadata["namespace"], metadata["name"], **wanted)


def test_an_evicted_pod_is_gone(client: Client, namespace: str, pod: Object) -> None:
    evict(client, pod)

    with pytest.raises(errors.NotFound):
        client.get(POD, "app", namespace=namespace)


def test_a_pod_of_another_uid_is_not_evicted(client: Client, namespace: str, pod: Object) -> None:
    with pytest.raises(errors.Conflict):
        evict(client, pod, uid="00000000-0000-0000-0000-000000000000")

    assert pod["metadata"]["uid"] == client.get(POD, "app", namespace=namespace)["metadata"]["uid"]


def test_a_pod_that_changed_is_not_evicted(client: Client, namespace: str, pod: Object) -> None:
    client.merge_patch(POD, "app", {"metadata": {"labels": {"changed": "yes"}}}, namespace=namespace)

    with pytest.raises(errors.Conflict):
        evict(client, pod)

    assert pod["metadata"]["uid"] == client.get(POD, "app", namespace=namespace)["metadata"]["uid"]


def test_evicting_an_absent_pod_is_not_found(client: Client, namespace: str) -> None:
    with pytest.raises(errors.NotFound):
        client.evict(namespace, "never-made", uid="u", resource_version="1")


def test_pods_can_be_listed_by_phase(client: Client, namespace: str, pod: Object) -> None:
    pending = client.list(POD, namespace=namespace, field_selector="status.phase=Pending")
    running = client.list(POD, namespace=namespace, field_selector="status.phase=Running")

    assert (["app"], []) == ([each["metadata"]["name"] for each in pending.items], list(running.items))
