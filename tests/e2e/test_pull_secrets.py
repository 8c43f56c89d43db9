"""A real kubelet pulls with a pull secret of each route; no node is changed, and the hub and the agent make it all.

One story on one enabled cluster, in order. The API server calls the webhooks by their Service, through kube-proxy.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube.objects import NAMESPACE, POD, SECRET, SERVICE_ACCOUNT, Object
from sandbox.aws.iam import PULL_ACTIONS
from tests.support.kubectl import Kubectl
from tests.support.nodes.bed import (
    ACCOUNT,
    PRIVATE_IMAGE,
    PUBLIC_IMAGE,
    PUBLIC_REGISTRY,
    REGISTRY,
    Bed,
    eventually,
)
from tests.support.nodes.hub import Hub
from tests.support.nodes.workloads import wait_for_refusal

AGENT = "system:serviceaccount:pullpass-system:pullpass-agent"
ACTIONS = [*PULL_ACTIONS, "ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"]
NODE = "node-1"
USER = f"arn:aws:iam::{ACCOUNT}:user/old-tool"
OLDER_TOOLS = Path(__file__).parents[1] / "cluster/older_tools"
NAMESPACES = ("add-on", "labelled", "custom", "analytics", "own-secrets", "stranger")
LABELLED = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "mine", "namespace": "labelled", "labels": {"pullpass.dev/managed": "true"}},
    "type": "kubernetes.io/dockerconfigjson",
    "data": {".dockerconfigjson": "FAKE"},
}
CUSTOM = {
    "apiVersion": "pullpass.dev/v1",
    "kind": "ECRPullSecret",
    "metadata": {"name": "custom"},
    "spec": {
        "secretName": "custom-ecr",
        "registries": [REGISTRY],
        "namespaces": ["custom"],
        "identity": {"secretKeys": {"namespace": "custom", "name": "aws-keys"}},
    },
}


@pytest.fixture(scope="module", autouse=True)
def hub(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The add-on with every route switched on, and what the older operator's users have."""
    bed.trust(AGENT, allow=ACTIONS)
    started = Hub(bed, tmp_path_factory.mktemp("hub"))
    kubectl = Kubectl(bed.client)
    for name in NAMESPACES:
        labels = {"pullpass.dev/pull-secrets": "enabled"} if name == "labelled" else {}
        bed.apply(NAMESPACE, {"metadata": {"name": name, "labels": labels}})
    kubectl.apply(OLDER_TOOLS / "ecr-creds-refresher.yaml")
    bed.world.aws.create_user(USER)
    pair = bed.world.aws.create_access_key(USER)
    keys = {"AWS_ACCESS_KEY_ID": pair.access_key_id, "AWS_SECRET_ACCESS_KEY": pair.secret_access_key}
    metadata = {"name": "aws-keys", "namespace": "custom"}
    kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys})
    try:
        started.start()
        started.wish(
            delivery="pullSecret",
            registries=[REGISTRY, PUBLIC_REGISTRY],
            pullSecret={
                "namespaces": ["add-on", "own-secrets"],
                "publicName": "ecr-public-token",
                "appendToPods": True,
                "labelled": {"failurePolicy": "Fail"},
                "customResources": True,
                "adopt": [
                    {
                        "resource": "ecrpullsecrets.alchemy.com",
                        "registries": [REGISTRY],
                        "keys": {"namespace": "custom", "name": "aws-keys"},
                    }
                ],
            },
        )
        started.connect()
        started.wait_for_state("Ready", patience=240)
        yield started
        started.patch({"spec": {"addOns": {"awsECR": None}}})
        started.wait_for_state("Disabled", patience=120)
    finally:
        started.stop()


def pod(namespace: str, name: str, *secrets: str, **container: Any) -> Object:
    spec: Object = {
        "nodeName": NODE,
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "app", "image": PRIVATE_IMAGE, "imagePullPolicy": "Always"} | container],
    }
    if secrets:
        spec["imagePullSecrets"] = [{"name": secret} for secret in secrets]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def pulls(bed: Bed, hub: Hub, obj: Object, *, secret: str) -> Object:
    """Makes a pod on an image that the node has forgotten, once its secret is there, and waits until it runs."""
    namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
    eventually(lambda: bed.get(SECRET, secret, namespace), what=f"{namespace}/{secret}", explain=hub.logs)
    bed.nodes[NODE].forget_image(obj["spec"]["containers"][0]["image"])
    made = Kubectl(bed.client).create(obj)
    bed.wait_for_phase(name, namespace, "Running", patience=90)
    bed.client.delete(POD, name, namespace=namespace)
    return made


def refers(bed: Bed, namespace: str, secret: str) -> None:
    def look() -> bool:
        account = bed.get(SERVICE_ACCOUNT, "default", namespace) or {}
        return {"name": secret} in account.get("imagePullSecrets", [])

    eventually(look, what=f"{namespace}/default refers to {secret}")


def test_without_a_secret_the_pull_is_refused(bed: Bed) -> None:
    eventually(lambda: bed.get(SERVICE_ACCOUNT, "default", "stranger"), what="a default service account")
    bed.nodes[NODE].forget_image(PRIVATE_IMAGE)
    Kubectl(bed.client).create(pod("stranger", "refused"))
    wait_for_refusal(bed, "stranger", "refused")
    bed.client.delete(POD, "refused", namespace="stranger")


def test_by_the_add_on(bed: Bed, hub: Hub) -> None:
    refers(bed, "add-on", "pullpass-ecr")
    pulls(bed, hub, pod("add-on", "plain"), secret="pullpass-ecr")


def test_from_ecr_public(bed: Bed, hub: Hub) -> None:
    refers(bed, "add-on", "ecr-public-token")
    before = bed.world.registry.calls["GET token"]
    pulls(bed, hub, pod("add-on", "public", image=PUBLIC_IMAGE), secret="ecr-public-token")
    assert bed.world.registry.calls["GET token"] > before


def test_with_a_labelled_secret(bed: Bed, hub: Hub) -> None:
    """Admitted although it says `FAKE`: the API server reached the webhook."""
    made = Kubectl(bed.client).create(LABELLED)
    assert REGISTRY in base64.b64decode(made["data"][".dockerconfigjson"]).decode()
    pulls(bed, hub, pod("labelled", "labelled", "mine"), secret="mine")


def test_with_a_custom_resource_and_keys(bed: Bed, hub: Hub) -> None:
    Kubectl(bed.client).create(CUSTOM)
    eventually(lambda: bed.get(SECRET, "custom-ecr", "custom"), what="its secret", explain=hub.logs)
    refers(bed, "custom", "custom-ecr")
    pulls(bed, hub, pod("custom", "custom"), secret="custom-ecr")


def test_with_an_object_of_the_older_operator(bed: Bed, hub: Hub) -> None:
    Kubectl(bed.client).apply(OLDER_TOOLS / "ecr-creds-refresher-objects.yaml")
    eventually(lambda: bed.get(SECRET, "ecr-pull-secret", "analytics"), what="its secret", explain=hub.logs)
    refers(bed, "analytics", "ecr-pull-secret")
    pulls(bed, hub, pod("analytics", "adopted"), secret="ecr-pull-secret")


def test_appended_to_a_pod_that_names_its_own(bed: Bed, hub: Hub) -> None:
    own = {"name": "my-registry", "namespace": "own-secrets"}
    content = {".dockerconfigjson": '{"auths":{"registry.example.com":{"auth":"YTpi"}}}'}
    Kubectl(bed.client).apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": own,
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": content,
        }
    )
    made = pulls(bed, hub, pod("own-secrets", "appended", "my-registry"), secret="pullpass-ecr")
    assert {"name": "my-registry"} == made["spec"]["imagePullSecrets"][0]
    assert {"name": "pullpass-ecr"} in made["spec"]["imagePullSecrets"]


@pytest.mark.timeout(600)
def test_a_cached_image_stays_pullable_across_a_refresh(bed: Bed, hub: Hub) -> None:
    """With `KubeletEnsureSecretPulledImages` (off in 1.34, on from 1.35): the kubelet knows the secret by its uid.

    The registry is down afterwards, so that nothing can be pulled anew.
    """
    node = bed.nodes[NODE]
    path = "/var/lib/kubelet/config.yaml"
    before = node.run("cat", path)
    configuration = yaml.safe_load(before)
    configuration["featureGates"] = {"KubeletEnsureSecretPulledImages": True}
    node.write(path, yaml.safe_dump(configuration))
    node.run("systemctl", "restart", "kubelet")
    try:
        bed.wait_for_node(NODE, fresh=True)
        bed.world.aws._ecr.lifetime = timedelta(seconds=60)
        _start_anew(bed, hub)
        cached = {"imagePullPolicy": "IfNotPresent"}
        pulls(bed, hub, pod("add-on", "first", **cached), secret="pullpass-ecr")
        old = bed.client.get(SECRET, "pullpass-ecr", namespace="add-on")
        eventually(
            lambda: bed.client.get(SECRET, "pullpass-ecr", namespace="add-on")["data"] != old["data"],
            what="a refresh",
            patience=120,
            explain=hub.logs,
        )
        bed.world.registry.set_down()
        Kubectl(bed.client).create(pod("add-on", "second", **cached))
        bed.wait_for_phase("second", "add-on", "Running")
        Kubectl(bed.client).create(pod("stranger", "refused", **cached))
        eventually(lambda: bed.pull_failures("refused", "stranger"), what="nobody else has it", patience=60)
    finally:
        bed.world.registry.set_down(down=False)
        bed.world.aws._ecr.lifetime = timedelta(hours=12)
        for name, namespace in (("second", "add-on"), ("refused", "stranger")):
            bed.client.delete(POD, name, namespace=namespace)
        node.write(path, before)
        node.run("systemctl", "restart", "kubelet")
        bed.wait_for_node(NODE, fresh=True)


def _start_anew(bed: Bed, hub: Hub) -> None:
    """Has agents that remember nothing ask AWS now."""
    bed.client.delete(SECRET, "pullpass-credentials", namespace="pullpass-system")
    for found in bed.pods("pullpass-system", "app.kubernetes.io/name=pullpass-agent"):
        bed.client.delete(POD, found["metadata"]["name"], namespace="pullpass-system")
    before = bed.client.get(SECRET, "pullpass-ecr", namespace="add-on")["data"]
    eventually(
        lambda: bed.client.get(SECRET, "pullpass-ecr", namespace="add-on")["data"] != before,
        what="a credential of a minute",
        patience=120,
        explain=hub.logs,
    )
