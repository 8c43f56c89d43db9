"""The controller against the sandbox's API server, with RBAC enforced, and a real fleet in SQLite."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.database import Database
from sandbox.world import SandboxCluster, World
from tests.contract.controller.harness import BOTH, ISSUER, HasKubeconfig, Hub, opened

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    started = World(run_workloads=False)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def cluster(world: World, signing_key: str) -> SandboxCluster:
    return world.add_cluster(
        f"cluster-{next(_NUMBERS)}", issuer=ISSUER, public=False, signing_key=signing_key
    )


@pytest.fixture
def new_hub(migrated: Path, tmp_path: Path, cluster: SandboxCluster) -> Iterator[Callable[..., Hub]]:
    """Makes hubs over the one cluster, each with a database of its own."""
    made: list[tuple[Hub, Database]] = []

    def make(name: str = "demo", cluster: HasKubeconfig = cluster) -> Hub:
        path = tmp_path / f"{len(made)}.db"
        if not made:
            shutil.copy(migrated, path)
        database = opened(path)
        if made:
            database.migrate()  # an id of its own
        hub = Hub(database, cluster, name=name)
        made.append((hub, database))
        return hub

    yield make
    for hub, database in made:
        hub.close()
        database.close()


@pytest.fixture
def hub(new_hub: Callable[..., Hub]) -> Hub:
    """Connected with the hub's own rights, both add-ons wished for, nothing reconciled yet."""
    made = new_hub()
    made.install_rights()
    made.wish(BOTH)
    made.connect()
    return made


@pytest.fixture
def ready_hub(hub: Hub) -> Hub:
    """The same, Ready."""
    hub.settle()
    return hub
