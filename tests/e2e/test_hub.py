"""The whole of it: a person enables awsECR in the hub, and nodes pull; disables it, and they are as before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.nodes import disk
from tests.support.nodes.bed import PRIVATE_IMAGE, Bed, eventually
from tests.support.nodes.delivery import SUBJECT
from tests.support.nodes.hub import Hub
from tests.support.nodes.workloads import KUBEADM, KUBEADM_NODES, deploy, pod_on, undeploy, wait_for_refusal

AGENT = "system:serviceaccount:pullpass-system:pullpass-agent"
STRANGER = "system:serviceaccount:shop:somebody-else"


@pytest.fixture
def hub(bed: Bed) -> Iterator[Hub]:
    started = Hub(bed, bed.directory / "hub")
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.mark.timeout(600)
def test_enabled_in_the_hub_nodes_pull_and_disabled_they_are_as_before(
    bed: Bed, hub: Hub, namespace: str
) -> None:
    before = {name: disk.contents(bed.nodes[name]) for name in KUBEADM_NODES}
    bed.trust(STRANGER)
    deploy(bed, namespace, "cart")
    for name in KUBEADM_NODES:
        wait_for_refusal(bed, namespace, pod_on(bed, namespace, "cart", name))

    hub.put(KUBEADM)
    hub.connect()

    eventually(
        lambda: "TrustPolicyMismatch" in hub.issues(),
        what="the hub says that the role does not trust the nodes",
        patience=180,
        explain=lambda: f"{hub.add_on()}\n{hub.logs()}",
    )
    bed.trust(SUBJECT, AGENT)
    hub.wait_for_state("Ready", patience=240)
    for name in KUBEADM_NODES:
        bed.wait_for_phase(pod_on(bed, namespace, "cart", name), namespace, "Running", patience=330)
    nodes = hub.add_on()["nodes"]
    assert (len(KUBEADM_NODES), len(KUBEADM_NODES)) == (nodes["desired"], nodes["ready"])
    undeploy(bed, namespace, "cart")

    hub.patch({"spec": {"addOns": {"awsECR": None}}})

    hub.wait_for_state("Disabled", patience=240)
    for name in KUBEADM_NODES:
        assert {} == disk.difference(before[name], disk.contents(bed.nodes[name]))
        bed.nodes[name].forget_image(PRIVATE_IMAGE)
    deploy(bed, namespace, "cart")
    for name in KUBEADM_NODES:
        wait_for_refusal(bed, namespace, pod_on(bed, namespace, "cart", name))
    undeploy(bed, namespace, "cart")
