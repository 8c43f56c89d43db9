"""What one cluster's API answers, beyond what the contract tests hold it to together with a real one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import Caller

_NUMBERS = itertools.count(1)
META_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@pytest.fixture
def namespace(admin: Caller) -> Iterator[str]:
    name = f"ns-{next(_NUMBERS)}"
    admin.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    admin.call("DELETE", f"/api/v1/namespaces/{name}")


def maps(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")


def config_map(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data}


def test_a_new_namespace_holds_its_account_and_the_ca(admin: Caller, namespace: str) -> None:
    accounts = admin.call("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts")[1]["items"]
    certificates = admin.call("GET", maps(namespace, "kube-root-ca.crt"))[1]["data"]["ca.crt"]

    assert (["default"], admin.cluster.certificate_authority) == (
        [account["metadata"]["name"] for account in accounts],
        certificates,
    )


def test_a_cluster_has_two_nodes(admin: Caller) -> None:
    assert 2 == len(admin.call("GET", "/api/v1/nodes")[1]["items"])


def test_a_deleted_namespace_takes_its_content_along(admin: Caller, namespace: str) -> None:
    admin.call("POST", maps(namespace), config_map(a="1"))

    admin.call("DELETE", f"/api/v1/namespaces/{namespace}")

    assert [404, 404] == [
        admin.call("GET", path)[0] for path in (f"/api/v1/namespaces/{namespace}", maps(namespace, "x"))
    ]


def test_a_namespace_waits_for_the_finalizers_of_its_content(admin: Caller, namespace: str) -> None:
    admin.call("POST", maps(namespace), config_map() | {"metadata": {"name": "x", "finalizers": ["a/b"]}})
    admin.call("DELETE", f"/api/v1/namespaces/{namespace}")
    waiting = admin.call("GET", f"/api/v1/namespaces/{namespace}")[1]["status"]["phase"]

    patch = {"metadata": {"finalizers": None}}
    admin.call("PATCH", maps(namespace, "x"), patch, content_type="application/merge-patch+json")

    assert ("Terminating", 404) == (waiting, admin.call("GET", f"/api/v1/namespaces/{namespace}")[0])


def test_an_unchanged_apply_writes_nothing(admin: Caller, namespace: str) -> None:
    first = admin.apply(maps(namespace, "x"), config_map(a="1"))[1]

    assert (200, first) == admin.apply(maps(namespace, "x"), config_map(a="1"))


def test_a_dry_run_changes_nothing(admin: Caller, namespace: str) -> None:
    code, _ = admin.call("POST", maps(namespace) + "?dryRun=All", config_map(a="1"))

    assert (201, 404) == (code, admin.call("GET", maps(namespace, "x"))[0])


def test_generation_counts_changes_of_the_spec_alone(admin: Caller, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/x"
    labels = {"app": "x"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    body: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    admin.apply(path, body)
    labelled = admin.apply(path, body | {"metadata": {"name": "x", "labels": labels}})[1]
    body["spec"]["replicas"] = 3

    assert [1, 2] == [
        labelled["metadata"]["generation"],
        admin.apply(path, body)[1]["metadata"]["generation"],
    ]


def test_a_status_is_written_by_its_subresource_alone(admin: Caller, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    pod = {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    admin.call("POST", path, pod)
    patch = {"status": {"phase": "Running"}, "spec": {"nodeName": "node-2"}}

    admin.call("PATCH", f"{path}/x", patch, content_type="application/merge-patch+json")
    before = admin.call("GET", f"{path}/x")[1]["status"]["phase"]
    admin.call("PATCH", f"{path}/x/status", patch, content_type="application/merge-patch+json")

    assert ("Pending", "Running") == (before, admin.call("GET", f"{path}/x")[1]["status"]["phase"])


def test_a_pod_inherits_its_accounts_pull_secrets(admin: Caller, namespace: str) -> None:
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    patch = {"imagePullSecrets": [{"name": "pullpass-ecr"}]}
    admin.call("PATCH", account, patch, content_type="application/merge-patch+json")
    pod = {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}

    _, made = admin.call("POST", f"/api/v1/namespaces/{namespace}/pods", pod)

    assert [{"name": "pullpass-ecr"}] == made["spec"]["imagePullSecrets"]


def test_pages_of_a_list_follow_each_other(admin: Caller, namespace: str) -> None:
    for number in range(4):
        admin.call("POST", maps(namespace), {"metadata": {"name": f"m{number}"}})
    first = admin.call("GET", maps(namespace) + "?limit=3")[1]

    second = admin.call("GET", maps(namespace) + f"?limit=3&continue={first['metadata']['continue']}")[1]

    assert ["kube-root-ca.crt", "m0", "m1", "m2", "m3"] == [
        item["metadata"]["name"] for page in (first, second) for item in page["items"]
    ]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("app=a", ["m0"]),
        ("app!=a", ["kube-root-ca.crt", "m1"]),
        ("app in (a,b)", ["m0", "m1"]),
        ("!app", ["kube-root-ca.crt"]),
    ],
)
def test_label_selectors_narrow_a_list(
    admin: Caller, namespace: str, selector: str, names: list[str]
) -> None:
    for number, app in enumerate("ab"):
        admin.call("POST", maps(namespace), {"metadata": {"name": f"m{number}", "labels": {"app": app}}})

    found = admin.call("GET", maps(namespace) + f"?labelSelector={selector.replace(' ', '%20')}")[1]

    assert names == [item["metadata"]["name"] for item in found["items"]]


def test_a_metadata_list_holds_metadata_alone(admin: Caller, namespace: str) -> None:
    _, found = admin.call("GET", maps(namespace), accept=META_LIST)

    assert ("PartialObjectMetadataList", [{"kind", "apiVersion", "metadata"}]) == (
        found["kind"],
        [set(item) for item in found["items"]],
    )


def test_a_watch_with_a_selector_tells_of_what_leaves_it_as_deleted(admin: Caller, namespace: str) -> None:
    path = maps(namespace)
    _, made = admin.call("POST", path, {"metadata": {"name": "x", "labels": {"app": "a"}}})
    patch = {"metadata": {"labels": {"app": "b"}}}
    admin.call("PATCH", f"{path}/x", patch, content_type="application/merge-patch+json")

    version = made["metadata"]["resourceVersion"]
    events = admin.events(f"{path}?watch=1&labelSelector=app%3Da&resourceVersion={version}&timeoutSeconds=0")

    assert ["DELETED"] == [event["type"] for event in events]


def test_a_watch_from_before_the_window_ends_with_410(admin: Caller, namespace: str) -> None:
    _, made = admin.call("POST", maps(namespace), config_map())
    admin.call("POST", maps(namespace), config_map() | {"metadata": {"name": "y"}})
    admin.cluster.cluster.store.restart()

    version = made["metadata"]["resourceVersion"]
    events = admin.events(f"{maps(namespace)}?watch=1&resourceVersion={version}&timeoutSeconds=5")

    assert [("ERROR", 410, "Expired")] == [
        (event["type"], event["object"]["code"], event["object"]["reason"]) for event in events
    ]


def test_fields_that_a_kind_does_not_have_are_dropped_with_a_warning(admin: Caller, namespace: str) -> None:
    code, made = admin.call("POST", maps(namespace), config_map() | {"dta": {}})

    assert (201, False) == (code, "dta" in made)


def test_an_account_without_rights_may_read_discovery_and_nothing_else(admin: Caller, namespace: str) -> None:
    robot = admin.become(namespace, "default")

    assert [200, 200, 403] == [
        robot.call("GET", path)[0] for path in ("/version", "/openid/v1/jwks", maps(namespace))
    ]


def test_a_token_dies_with_its_account(admin: Caller, namespace: str) -> None:
    robot = admin.become(namespace, "default")
    admin.call("DELETE", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")

    assert 401 == robot.call("GET", "/version")[0]


def grant(admin: Caller, namespace: str, name: str, rules: list[dict[str, Any]]) -> None:
    """Gives the namespace's default account a ClusterRole of these rules."""
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    admin.call("POST", f"{rbac}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    body = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }
    admin.call("POST", f"{rbac}/clusterrolebindings", body)


def binding(namespace: str, role: str) -> dict[str, Any]:
    return {
        "metadata": {"name": f"robot-{role}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }


def test_binding_a_role_takes_its_rights_or_bind_on_its_name(admin: Caller, namespace: str) -> None:
    rbac = "rbac.authorization.k8s.io"
    may_bind = [
        {"apiGroups": [rbac], "resources": ["rolebindings"], "verbs": ["create"]},
        {"apiGroups": [rbac], "resources": ["clusterroles"], "resourceNames": ["named"], "verbs": ["bind"]},
    ]
    grant(admin, namespace, f"binder-{namespace}", may_bind)
    rights = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    for name in ("named", "other"):
        admin.call("POST", f"/apis/{rbac}/v1/clusterroles", {"metadata": {"name": name}, "rules": rights})
    robot = admin.become(namespace, "default")
    path = f"/apis/{rbac}/v1/namespaces/{namespace}/rolebindings"

    assert [403, 201] == [
        robot.call("POST", path, binding(namespace, name))[0] for name in ("other", "named")
    ]


def test_an_apply_that_creates_needs_create_on_the_name(admin: Caller, namespace: str) -> None:
    secrets = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["x"]}
    grant(admin, namespace, f"patcher-{namespace}", [secrets | {"verbs": ["patch"]}])
    robot = admin.become(namespace, "default")
    refused, _ = robot.apply(maps(namespace, "x"), config_map())

    grant(admin, namespace, f"creator-{namespace}", [secrets | {"verbs": ["create"]}])

    assert (403, 201) == (refused, robot.apply(maps(namespace, "x"), config_map())[0])
