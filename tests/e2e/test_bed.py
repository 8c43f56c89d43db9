"""The test bed itself: what it refuses without us, so that what it allows with us means something."""

from __future__ import annotations

import base64
import json

from kube.objects import POD, SECRET, Object
from tests.support.nodes.bed import PRIVATE_IMAGE, REGISTRY, Bed
from tests.support.nodes.workloads import pod, wait_for_refusal


def test_a_private_image_with_a_secret_that_aws_issued_runs_on_both_nodes(bed: Bed, namespace: str) -> None:
    bed.trust(f"system:serviceaccount:{namespace}:default")
    auth = base64.b64encode(f"AWS:{bed.issued_password(namespace, 'default')}".encode()).decode()
    bed.apply(SECRET, _pull_secret(namespace, auth))

    for node in bed.nodes:
        bed.apply(POD, pod(f"with-secret-{node}", namespace, node, secret="static"))

    for node in bed.nodes:
        bed.wait_for_phase(f"with-secret-{node}", namespace, "Running")


def test_a_private_image_without_a_secret_does_not_run(bed: Bed, namespace: str) -> None:
    bed.nodes["node-1"].forget_image(PRIVATE_IMAGE)

    bed.apply(POD, pod("without-secret", namespace, "node-1"))

    wait_for_refusal(bed, namespace, "without-secret")


def test_a_made_up_password_is_refused(bed: Bed, namespace: str) -> None:
    bed.nodes["node-2"].forget_image(PRIVATE_IMAGE)
    auth = base64.b64encode(b"AWS:made-up").decode()
    bed.apply(SECRET, _pull_secret(namespace, auth, name="made-up"))

    bed.apply(POD, pod("made-up", namespace, "node-2", secret="made-up"))

    wait_for_refusal(bed, namespace, "made-up")


def test_pods_of_one_node_reach_the_api_server_by_its_service(bed: Bed) -> None:
    answer = bed.nodes["node-1"].run("bash", "-c", "exec 3<>/dev/tcp/10.96.0.1/443 && echo connected")

    assert "connected\n" == answer


def test_a_node_that_loses_its_power_comes_back(bed: Bed) -> None:
    node = bed.nodes["node-2"]

    node.reboot()

    bed.wait_for_node("node-2", fresh=True)


def _pull_secret(namespace: str, auth: str, name: str = "static") -> Object:
    config = json.dumps({"auths": {REGISTRY: {"auth": auth}}}).encode()
    return {
        "metadata": {"name": name, "namespace": namespace},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(config).decode()},
    }
