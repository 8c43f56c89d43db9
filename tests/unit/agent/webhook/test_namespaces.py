from collections.abc import Iterator

import pytest

from agent.webhook.namespaces import Namespaces
from kube.client import Client
from reconcile.clock import SystemClock, SystemRandom
from schemas.addons.aws_ecr import Label
from tests.unit.agent.sandboxed import eventually, sandboxed


@pytest.fixture
def client() -> Iterator[Client]:
    with sandboxed() as client:
        yield client


@pytest.fixture
def namespaces(client: Client) -> Iterator[Namespaces]:
    label(client, "shop", {"team": "web"})
    namespaces = Namespaces(client, client, clock=SystemClock(), random=SystemRandom())
    yield namespaces
    namespaces.stop()
    namespaces.join(60)


def label(client: Client, name: str, labels: dict[str, str]) -> None:
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


def test_what_the_watch_knows_needs_no_question(client: Client, namespaces: Namespaces) -> None:
    namespaces.start()
    eventually(lambda: namespaces.synced)
    before = client.requests
    assert namespaces.carries("shop", {"team": "web"})
    assert namespaces.enabled("shop", Label("team", "web"))
    assert namespaces.carries("shop", {})
    assert client.requests - before <= 1  # the watch itself may begin meanwhile


def test_a_label_that_the_watch_has_not_seen_yet_is_asked_for(client: Client, namespaces: Namespaces) -> None:
    label(client, "shop", {"team": "web", "new": "yes"})
    assert namespaces.carries("shop", {"new": "yes"})  # never started


def test_a_label_that_is_not_there_is_not_there(namespaces: Namespaces) -> None:
    assert not namespaces.carries("shop", {"team": "other"})


def test_a_namespace_that_is_not_there_carries_nothing(namespaces: Namespaces) -> None:
    assert not namespaces.carries("nowhere", {"team": "web"})
