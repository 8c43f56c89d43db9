"""Node delivery on real nodes: kubelets ask the plugin, and no node is ever lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml

from kube.objects import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, POD, SERVICE_ACCOUNT, Object
from tests.support.nodes import disk
from tests.support.nodes.bed import AUDIENCE, PRIVATE_IMAGE, ROLE, Bed, eventually
from tests.support.nodes.delivery import SUBJECT, Delivery
from tests.support.nodes.node import Node
from tests.support.nodes.workloads import (
    KUBEADM,
    KUBEADM_NODES,
    deploy,
    pod,
    pod_on,
    undeploy,
    wait_for_refusal,
)

K3S = {"layout": "k3s"}
ROLLED_BACK_SECONDS = 300.0  # the watcher gives a kubelet 120 looks
FLAGS = "/etc/default/kubelet"


def test_a_private_image_runs_with_the_add_on_and_only_with_it(
    bed: Bed, delivery: Delivery, namespace: str
) -> None:
    before = {name: disk.contents(bed.nodes[name]) for name in KUBEADM_NODES}
    deploy(bed, namespace, "before")
    for name in KUBEADM_NODES:
        wait_for_refusal(bed, namespace, pod_on(bed, namespace, "before", name))

    with _watching(bed) as together:
        delivery.enable(selector=KUBEADM)
        for name in KUBEADM_NODES:
            report = delivery.wait(name, "ready")
            assert "kubeadm" == report["distribution"]

    assert 1 == max(len(names) for names in together)
    for name in KUBEADM_NODES:
        bed.wait_for_phase(pod_on(bed, namespace, "before", name), namespace, "Running")
        eventually(
            lambda name=name: (delivery.report(name).get("verified") or {}).get("ok"),  # type: ignore[misc]
            what=f"{name} is verified",
            explain=lambda name=name: delivery.report(name),  # type: ignore[misc]
        )
    undeploy(bed, namespace, "before")

    delivery.disable(selector=KUBEADM)

    for name in KUBEADM_NODES:
        assert {} == disk.difference(before[name], disk.contents(bed.nodes[name]))
        bed.nodes[name].forget_image(PRIVATE_IMAGE)
    deploy(bed, namespace, "after")
    for name in KUBEADM_NODES:
        wait_for_refusal(bed, namespace, pod_on(bed, namespace, "after", name))
    undeploy(bed, namespace, "after")


def test_a_node_in_k3s_layout_pulls_and_is_given_back(bed: Bed, delivery: Delivery, namespace: str) -> None:
    node = bed.nodes["edge-1"]
    before = disk.contents(node)

    delivery.enable(selector=K3S)

    assert "k3s" == delivery.wait("edge-1", "ready")["distribution"]
    bed.apply(POD, pod("on-k3s", namespace, "edge-1"))
    bed.wait_for_phase("on-k3s", namespace, "Running")
    bed.client.delete(POD, "on-k3s", namespace=namespace)
    delivery.disable(selector=K3S)
    assert {} == disk.difference(before, disk.contents(node))


def test_a_spoiled_token_fails_the_pull_and_is_put_right_again(
    bed: Bed, delivery: Delivery, namespace: str
) -> None:
    node = bed.nodes["node-1"]
    delivery.enable(selector=KUBEADM)
    delivery.wait("node-1", "ready")
    delivery.stop_drivers()
    node.write("/var/lib/pullpass/token", "spoiled", mode=0o600)
    node.run("systemctl", "restart", "kubelet")  # forgets the password it has
    node.forget_image(PRIVATE_IMAGE)

    bed.apply(POD, pod("spoiled", namespace, "node-1"))

    wait_for_refusal(bed, namespace, "spoiled")
    eventually(lambda: "InvalidIdentityToken" in node.journal(lines=400), what="the journal says why")
    delivery.enable(selector=KUBEADM)
    bed.wait_for_phase("spoiled", namespace, "Running", patience=120)
    bed.client.delete(POD, "spoiled", namespace=namespace)


def test_with_identity_service_account_only_the_workloads_that_the_role_trusts_pull(
    bed: Bed, delivery: Delivery, namespace: str
) -> None:
    bed.trust(f"system:serviceaccount:{namespace}:till")
    for name in ("till", "guest"):
        annotations = {"eks.amazonaws.com/ecr-role-arn": ROLE}
        metadata = {"name": name, "namespace": namespace, "annotations": annotations}
        bed.apply(SERVICE_ACCOUNT, {"metadata": metadata})
    _let_nodes_ask_for(bed, AUDIENCE)

    delivery.enable(selector=KUBEADM, identity="serviceAccount")

    delivery.wait("node-1", "ready")
    bed.apply(POD, pod("till", namespace, "node-1", account="till"))
    bed.wait_for_phase("till", namespace, "Running")
    bed.apply(POD, pod("guest", namespace, "node-1", account="guest"))
    wait_for_refusal(bed, namespace, "guest")
    for name in ("till", "guest"):
        bed.client.delete(POD, name, namespace=namespace)


def test_a_role_that_does_not_trust_the_driver_is_named_in_the_report(bed: Bed, delivery: Delivery) -> None:
    bed.trust("system:serviceaccount:shop:somebody-else")

    delivery.enable(selector=KUBEADM)

    report = eventually(
        lambda: (delivery.report("node-1").get("verified") or {}).get("code") and delivery.report("node-1"),
        what="the driver says why",
        patience=90,
        explain=lambda: delivery.words("node-1"),
    )
    assert not report["verified"]["ok"]
    assert "TrustPolicyMismatch" == report["verified"]["code"]
    bed.trust(SUBJECT)


def test_a_configuration_with_a_mistake_is_refused_and_the_kubelet_left_alone(
    bed: Bed, delivery: Delivery
) -> None:
    node = bed.nodes["node-1"]
    flags = 'KUBELET_EXTRA_ARGS="--image-credential-provider-config=/etc/other/config.yaml --image-credential-provider-bin-dir=/etc/other/bin"\n'
    provider = {"name": "other", "matchImages": ["registry.example.com"], "defaultCacheDuration": "1h"}
    provider["apiVersion"] = "credentialprovider.kubelet.k8s.io/v1"
    node.write("/etc/other/bin/other", "#!/bin/sh\nexit 1\n", mode=0o755)
    node.write("/etc/other/config.yaml", _providers(provider))
    node.write(FLAGS, flags)
    node.run("systemctl", "restart", "kubelet")
    bed.wait_for_node("node-1", fresh=True)
    node.write("/etc/other/config.yaml", _providers(provider | {"matchImage": ["*.example.com"]}))
    before, process = disk.contents(node), node.kubelet_process()
    try:
        delivery.enable(selector=KUBEADM)

        report = delivery.wait("node-1", "refused")

        assert "ConfigRefused" == report["reason"]
        assert "matchImage" in report["message"]
        assert process == node.kubelet_process()
        changed = disk.difference(before, disk.contents(node))
        assert not [path for path in changed if not path.startswith("/var/lib/pullpass")]
        delivery.wait("node-2", "ready")
    finally:
        node.write(FLAGS, "KUBELET_EXTRA_ARGS=\n")
        node.run("rm", "-r", "/etc/other")
        node.run("systemctl", "restart", "kubelet")
        bed.wait_for_node("node-1", fresh=True)


def test_a_node_that_reboots_in_the_middle_comes_back_and_goes_on(bed: Bed, delivery: Delivery) -> None:
    node = bed.nodes["node-1"]
    delivery.enable(selector=KUBEADM)
    _wait_for_the_restart(node)

    node.reboot()

    bed.wait_for_node("node-1", fresh=True)
    delivery.wait("node-1", "ready", patience=180)


@pytest.mark.timeout(600)
def test_a_kubelet_that_does_not_come_up_gets_its_files_back_even_over_a_reboot(
    bed: Bed, delivery: Delivery
) -> None:
    for name in KUBEADM_NODES:
        bed.nodes[name].write(
            "/etc/systemd/system/kubelet.service.d/no.conf",
            f"[Service]\nExecStartPre=/bin/sh -c '! grep -q image-credential {FLAGS}'\n",
        )
        bed.nodes[name].run("systemctl", "daemon-reload")
    before = {name: disk.contents(bed.nodes[name])[FLAGS] for name in KUBEADM_NODES}
    try:
        delivery.enable(selector=KUBEADM, maxUnavailable=2)
        for name in KUBEADM_NODES:
            _wait_for_the_restart(bed.nodes[name])

        bed.nodes["node-2"].reboot()

        for name in KUBEADM_NODES:
            report = delivery.wait(name, "rolledBack", patience=ROLLED_BACK_SECONDS)
            assert "KubeletNotHealthy" == report["reason"]
            bed.wait_for_node(name, fresh=True)
            assert before[name] == disk.contents(bed.nodes[name])[FLAGS]
    finally:
        for name in KUBEADM_NODES:
            bed.nodes[name].run("rm", "/etc/systemd/system/kubelet.service.d/no.conf")
            bed.nodes[name].run("rmdir", "/etc/systemd/system/kubelet.service.d")
            bed.nodes[name].run("systemctl", "daemon-reload")


def _let_nodes_ask_for(bed: Bed, audience: str) -> None:
    """From 1.33 on a kubelet may ask for tokens of other audiences than the API server's only where RBAC says so."""
    name = "nodes-ask-for-aws-tokens"
    rule = {"apiGroups": [""], "resources": [audience], "verbs": ["request-serviceaccounts-token-audience"]}
    bed.apply(CLUSTER_ROLE, {"metadata": {"name": name}, "rules": [rule]})
    group = "rbac.authorization.k8s.io"
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": "system:nodes"}],
    }
    bed.apply(CLUSTER_ROLE_BINDING, binding)


def _providers(*providers: Object) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "kubelet.config.k8s.io/v1",
            "kind": "CredentialProviderConfig",
            "providers": [*providers],
        }
    )


def _wait_for_the_restart(node: Node) -> None:
    """Until the kubelet was told to start with our files."""
    eventually(
        lambda: (
            node.run("systemctl", "is-active", "pullpass-restore.service", check=False).strip() == "active"
            and "image-credential" in node.run("cat", FLAGS)
        ),
        what=f"{node.name} restarts its kubelet",
        explain=node.journal,
    )


@contextmanager
def _watching(bed: Bed) -> Iterator[list[set[str]]]:
    """Which nodes' watchers had the word at the same moment, look by look."""
    seen: list[set[str]] = [set()]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            seen.append({name for name, node in bed.nodes.items() if _is_restarting(node)})

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def _is_restarting(node: Node) -> bool:
    said = node.run("systemctl", "is-active", "pullpass-restore.service", check=False).strip()
    return said in {"active", "activating"}
