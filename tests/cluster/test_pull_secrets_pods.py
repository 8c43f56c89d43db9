"""Pods: those that are stuck on our registries are retried, and those of an AWS identity get it at admission."""

from __future__ import annotations

from typing import Any

import pytest

from kube.objects import POD, Object
from tests.cluster.conftest import ACCOUNT, REGISTRY, Stage, eventually

IMAGE = f"{REGISTRY}/team/app:1.0"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/workload"
DENIED = (
    f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": pull access denied, '
    "repository does not exist or may require authorization: authorization failed: no basic auth credentials"
)
NOT_FOUND = f'failed to resolve reference "{IMAGE}": {IMAGE}: not found'
TOKEN_FILE = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"


FOREIGN_IMAGE = "registry.example.com/team/app:1.0"
BARE: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "bare", "namespace": "shop", "labels": {"app": "bare"}},
    "spec": {"containers": [{"name": "app", "image": IMAGE}]},
}


@pytest.fixture(scope="module", autouse=True)
def stuck(stage: Stage) -> dict[str, Object]:
    """Pods that came before their credentials, and are stuck when the add-on is enabled; by their app."""
    for name in ("shop", "apps"):
        stage.make_namespace(name)
    stage.kubectl.apply(BARE)
    for name, image in (("early", IMAGE), ("missing", IMAGE), ("foreign", FOREIGN_IMAGE)):
        stage.kubectl.apply(workload(name, image))
    pods = {name: pod_of(stage, name) for name in ("bare", "early", "missing", "foreign")}
    for name, message in (("bare", DENIED), ("early", DENIED), ("missing", NOT_FOUND)):
        stick(stage, pods[name], message)
    stick(stage, pods["foreign"], DENIED.replace(IMAGE, FOREIGN_IMAGE), FOREIGN_IMAGE)
    stage.begin(
        pullSecret={"namespaces": ["shop"], "retryPods": True},
        identity={"region": "eu-central-1"},
    )
    return pods


def workload(name: str, image: str = IMAGE) -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": image}]},
            },
        },
    }


def pod_of(stage: Stage, name: str) -> Object:
    return eventually(
        lambda: next(
            (
                pod
                for pod in stage.client.list(POD, namespace="shop", label_selector=f"app={name}").items
                if not pod["metadata"].get("deletionTimestamp")
            ),
            None,
        ),
        what=f"a pod of {name}",
    )


def stick(stage: Stage, pod: Object, message: str, image: str = IMAGE) -> None:
    """What a kubelet writes when an image cannot be pulled."""
    waiting = {"reason": "ErrImagePull", "message": message}
    container = {
        "name": "app",
        "image": image,
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"waiting": waiting},
    }
    status = {"phase": "Pending", "containerStatuses": [container]}
    stage.kubectl.patch_status("v1", "Pod", pod["metadata"]["name"], status, namespace="shop")


def test_a_pod_that_came_before_its_credentials_is_replaced(stage: Stage, stuck: dict[str, Object]) -> None:
    replaced = eventually(
        lambda: next(
            (
                pod
                for pod in (pod_of(stage, "early"),)
                if pod["metadata"]["uid"] != stuck["early"]["metadata"]["uid"]
            ),
            None,
        ),
        what="another pod",
        explain=stage.logs,
    )
    assert [{"name": "pullpass-ecr"}] == replaced["spec"]["imagePullSecrets"]


def test_others_are_left_alone(stage: Stage, stuck: dict[str, Object]) -> None:
    """Nobody would make a bare pod again; what is not found, no credential brings; other registries are not ours."""
    others = {name: pod["metadata"]["uid"] for name, pod in stuck.items() if name != "early"}
    assert others == {name: pod_of(stage, name)["metadata"]["uid"] for name in others}


def account(name: str, **annotations: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": name,
            "namespace": "apps",
            "annotations": {
                f"eks.amazonaws.com/{key.replace('_', '-')}": value for key, value in annotations.items()
            },
        },
    }


def pod(name: str, service_account: str, *, labels: dict[str, str] | None = None, **extra: Any) -> Object:
    metadata = {"name": name, "namespace": "apps", "labels": labels or {}}
    metadata["annotations"] = extra.pop("annotations", {})
    containers = [{"name": "app", "image": "busybox"}, {"name": "side", "image": "busybox"}]
    spec = {"serviceAccountName": service_account, "containers": containers} | extra
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def environment(made: Object, container: int = 0, kind: str = "containers") -> dict[str, str]:
    return {
        variable["name"]: variable.get("value", "")
        for variable in made["spec"][kind][container].get("env", [])
    }


def create(stage: Stage, obj: Object) -> Object:
    """A new one each time: what stands cannot be made again."""
    stage.kubectl.delete("v1", "Pod", obj["metadata"]["name"], namespace="apps")
    return stage.kubectl.create(obj)


def test_a_pod_of_an_annotated_account_gets_its_identity(stage: Stage) -> None:
    stage.kubectl.apply(account("workload", role_arn=ROLE))
    made = eventually(
        lambda: next(
            (one for one in (create(stage, pod("first", "workload")),) if "AWS_ROLE_ARN" in environment(one)),
            None,
        ),
        what="a pod with an identity",
        explain=stage.logs,
    )
    for container in (0, 1):
        variables = environment(made, container)
        assert ROLE == variables["AWS_ROLE_ARN"]
        assert TOKEN_FILE == variables["AWS_WEB_IDENTITY_TOKEN_FILE"]
        assert ("eu-central-1", "eu-central-1") == (variables["AWS_REGION"], variables["AWS_DEFAULT_REGION"])


def test_the_service_account_plugins_volume_stays_beside_ours(stage: Stage) -> None:
    made = create(stage, pod("volumes", "workload"))
    names = [volume["name"] for volume in made["spec"]["volumes"]]
    assert 1 == sum(name.startswith("kube-api-access-") for name in names)
    assert 1 == names.count("aws-iam-token")
    token = next(volume for volume in made["spec"]["volumes"] if volume["name"] == "aws-iam-token")
    assert {"audience": "sts.amazonaws.com", "expirationSeconds": 86400, "path": "token"} == token[
        "projected"
    ]["sources"][0]["serviceAccountToken"]


def test_a_pod_right_after_its_account_gets_it_too(stage: Stage) -> None:
    """The webhook may not have seen the account yet: it asks."""
    for number in range(15):
        name = f"new-{number}"
        stage.kubectl.create(account(name, role_arn=ROLE))
        made = stage.kubectl.create(pod(name, name))
        assert ROLE == environment(made).get("AWS_ROLE_ARN")


def test_annotations_have_their_say(stage: Stage) -> None:
    stage.kubectl.apply(
        account(
            "choosy", role_arn=ROLE, audience="other", token_expiration="3600", sts_regional_endpoints="true"
        )
    )
    expiration = {"eks.amazonaws.com/token-expiration": "100", "eks.amazonaws.com/skip-containers": "side"}
    eventually(
        lambda: "AWS_STS_REGIONAL_ENDPOINTS" in environment(create(stage, pod("wait", "choosy"))),
        what="the account is known",
    )
    init = [{"name": "init", "image": "busybox"}]
    made = create(stage, pod("choosy", "choosy", annotations=expiration, initContainers=init))
    volume = next(one for one in made["spec"]["volumes"] if one["name"] == "aws-iam-token")
    source = volume["projected"]["sources"][0]["serviceAccountToken"]
    assert ("other", 600) == (source["audience"], source["expirationSeconds"])
    assert "regional" == environment(made)["AWS_STS_REGIONAL_ENDPOINTS"]
    assert {} == environment(made, 1)
    assert ROLE == environment(made, 0, "initContainers")["AWS_ROLE_ARN"]


def test_a_pod_with_its_own_identity_keeps_it(stage: Stage) -> None:
    own = [{"name": "AWS_ROLE_ARN", "value": "mine"}, {"name": "AWS_REGION", "value": "us-west-2"}]
    containers = [{"name": "app", "image": "busybox", "env": own}]
    made = create(stage, pod("own", "workload", containers=containers))
    assert {"AWS_ROLE_ARN": "mine", "AWS_REGION": "us-west-2"} == {
        key: value for key, value in environment(made).items() if key != "AWS_STS_REGIONAL_ENDPOINTS"
    }


def test_pods_that_want_none_get_none(stage: Stage) -> None:
    skipped = create(
        stage, pod("skipped", "workload", labels={"eks.amazonaws.com/skip-pod-identity-webhook": "true"})
    )
    plain = create(stage, pod("plain", "default"))
    assert [{}, {}] == [environment(skipped), environment(plain)]


def test_made_once_more_nothing_is_added_twice(stage: Stage) -> None:
    """As a controller that copies a pod does."""
    made = create(stage, pod("template", "workload"))
    volumes = [one for one in made["spec"]["volumes"] if one["name"] == "aws-iam-token"]
    for container in made["spec"]["containers"]:
        container["volumeMounts"] = [
            one for one in container["volumeMounts"] if one["name"] == "aws-iam-token"
        ]
    copied = create(stage, pod("copy", "workload", containers=made["spec"]["containers"], volumes=volumes))
    assert made["spec"]["containers"][0]["env"] == copied["spec"]["containers"][0]["env"]
    assert 1 == [one["name"] for one in copied["spec"]["volumes"]].count("aws-iam-token")


def test_without_the_webhook_pods_are_made_all_the_same(stage: Stage) -> None:
    stage.services.broken.set()
    stage.services.cut()
    try:
        assert {} == environment(create(stage, pod("alone", "workload")))
    finally:
        stage.services.broken.clear()


def test_turned_off_the_webhook_goes_and_the_agent_stays(stage: Stage) -> None:
    stage.wish(pullSecret={"namespaces": ["shop"]}, identity={"webhook": "off"})
    eventually(
        lambda: (
            stage.kubectl.find(
                "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "pullpass-pod-identity"
            )
            is None
        ),
        what="no webhook",
        explain=stage.logs,
    )
    stage.wait_for_state("Ready")
