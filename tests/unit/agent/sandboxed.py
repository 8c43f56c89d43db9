"""A sandbox's API server and an admin of it, for tests of what speaks with Kubernetes and not with AWS."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import yaml

from kube.client import Access, Client
from sandbox.world import World

Found = TypeVar("Found")


@contextmanager
def sandboxed() -> Iterator[Client]:
    world = World(run_workloads=False)
    world.start()
    try:
        cluster = world.add_cluster("demo", issuer="https://issuer.example", public=False)
        server = yaml.safe_load(cluster.kubeconfig())["clusters"][0]["cluster"]["server"]
        access = Access(
            server,
            certificate_authority=world._certificates.authority,
            token=cluster.admin_token,
            allow_loopback=True,
        )
        client = Client(access)
        yield client
        client.close()
    finally:
        world.stop()


def eventually(look: Callable[[], Found | None]) -> Found:
    """What `look` finds as soon as it finds something true; a bound, not a measurement."""
    waiting = threading.Event()
    for _ in range(6000):
        found = look()
        if found:
            return found
        waiting.wait(0.01)
    raise AssertionError("it did not come to that in time")
