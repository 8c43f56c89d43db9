"""One test bed for the whole session; `make e2e` brings what it is made of and runs it where nothing can leave."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kube.objects import NAMESPACE, NODE, SERVICE_ACCOUNT
from tests.support.nodes import parts
from tests.support.nodes.bed import Bed, eventually
from tests.support.nodes.delivery import SUBJECT, Delivery
from tests.support.nodes.layouts import K3S, KUBEADM
from tests.support.nodes.run import MARK

LAYOUTS = {"node-1": KUBEADM, "node-2": KUBEADM, "edge-1": K3S}


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    """Two Ready nodes in kubeadm's layout and one in k3s', in a cluster with an AWS and a registry."""
    folder = os.environ.get(MARK)
    if folder is None:
        pytest.skip("these tests take over a network and processes: run them with `make e2e`, as root")
    parts.require_programs()
    product = parts.require_product()
    made = Bed(Path(folder), LAYOUTS)
    try:
        made.start()
        made.import_image(product)
        for name, layout in LAYOUTS.items():
            made.client.merge_patch(NODE, name, {"metadata": {"labels": {"layout": layout.name}}})
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def namespace(bed: Bed) -> str:
    """A namespace with nothing of ours in it."""
    name = "shop"
    bed.apply(NAMESPACE, {"metadata": {"name": name}})
    eventually(lambda: bed.get(SERVICE_ACCOUNT, "default", name), what="a default service account")
    return name


@pytest.fixture(scope="session")
def session_delivery(bed: Bed) -> Delivery:
    return Delivery(bed)


@pytest.fixture
def delivery(bed: Bed, session_delivery: Delivery) -> Iterator[Delivery]:
    """The add-on, off; AWS trusts the driver. Off again afterwards, so that every test begins on clean nodes."""
    bed.trust(SUBJECT)
    yield session_delivery
    session_delivery.disable()
