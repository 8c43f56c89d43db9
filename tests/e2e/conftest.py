"""One test bed for the whole session; `make e2e` brings what it is made of and runs it where nothing can leave."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nodes import parts
from tests.support.nodes.bed import Bed
from tests.support.nodes.layouts import KUBEADM
from tests.support.nodes.run import MARK


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    """Two Ready nodes in kubeadm's layout, in a cluster with an AWS and a registry."""
    folder = os.environ.get(MARK)
    if folder is None:
        pytest.skip("these tests take over a network and processes: run them with `make e2e`, as root")
    parts.require_programs()
    made = Bed(Path(folder), {"node-1": KUBEADM, "node-2": KUBEADM})
    try:
        made.start()
        yield made
    finally:
        made.stop()
