import threading
from collections.abc import Callable, Iterator

import pytest
import yaml

from agent.informer import Informer, Scope
from kube.client import Access, Client
from kube.objects import CONFIG_MAP, Object
from reconcile.clock import SystemClock, SystemRandom
from sandbox.world import SandboxCluster, World

Values = Informer[str]


class Told:
    """Collects the keys that an informer tells of; `wait_for` waits until one was told."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._keys: list[tuple[str, str]] = []

    def __call__(self, namespace: str, name: str) -> None:
        with self._condition:
            self._keys.append((namespace, name))
            self._condition.notify_all()

    def wait_for(self, name: str, times: int = 1) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: self._keys.count(("default", name)) >= times, 10)

    def count(self, name: str) -> int:
        with self._condition:
            return self._keys.count(("default", name))


@pytest.fixture
def world() -> Iterator[World]:
    world = World(run_workloads=False)
    world.start()
    yield world
    world.stop()


@pytest.fixture
def cluster(world: World) -> SandboxCluster:
    return world.add_cluster("demo", issuer="https://issuer.example", public=False)


@pytest.fixture
def client(world: World, cluster: SandboxCluster) -> Iterator[Client]:
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


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def started(client: Client, told: Told) -> Iterator[Callable[..., Values]]:
    made: list[Values] = []

    def start(**more: Callable[[], list[str]]) -> Values:
        informer = Informer(
            client,
            Scope(CONFIG_MAP),
            view=value_of,
            changed=told,
            clock=SystemClock(),
            random=SystemRandom(),
            **more,
        )
        informer.start()
        made.append(informer)
        return informer

    yield start
    for informer in made:
        informer.stop()
        assert informer.join(60)


def value_of(obj: Object) -> str | None:
    found: str | None = (obj.get("data") or {}).get("value")
    return found


def write(client: Client, name: str, value: str) -> Object:
    metadata = {"name": name, "namespace": "default"}
    return client.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}}
    )


def test_what_is_there_is_listed(client: Client, told: Told, started: Callable[..., Values]) -> None:
    write(client, "one", "1")
    informer = started()
    told.wait_for("one")
    assert (informer.synced, informer.get("default", "one")) == (True, "1")


def test_what_comes_changes_and_goes_is_told(
    client: Client, told: Told, started: Callable[..., Values]
) -> None:
    informer = started()
    write(client, "one", "1")
    told.wait_for("one")
    write(client, "one", "2")
    told.wait_for("one", 2)
    assert informer.in_namespace("default")["one"] == "2"
    client.delete(CONFIG_MAP, "one", namespace="default")
    told.wait_for("one", 3)
    assert informer.get("default", "one") is None


def test_what_makes_no_difference_to_the_view_is_not_told(
    client: Client, told: Told, started: Callable[..., Values]
) -> None:
    started()
    write(client, "one", "1")
    told.wait_for("one")
    client.merge_patch(CONFIG_MAP, "one", {"data": {"other": "x"}}, namespace="default")
    write(client, "two", "2")
    told.wait_for("two")
    assert told.count("one") == 1


def test_nothing_is_kept_of_what_has_no_view(
    client: Client, told: Told, started: Callable[..., Values]
) -> None:
    informer = started()
    write(client, "one", "1")
    told.wait_for("one")
    client.merge_patch(CONFIG_MAP, "one", {"data": {"value": None}}, namespace="default")
    told.wait_for("one", 2)
    assert informer.get("default", "one") is None


def test_a_server_that_restarts_is_watched_on(
    cluster: SandboxCluster, client: Client, told: Told, started: Callable[..., Values]
) -> None:
    informer = started()
    write(client, "one", "1")
    told.wait_for("one")
    cluster.set_issuer("https://other.example")  # restarts it: watches end
    write(client, "two", "2")
    told.wait_for("two")
    assert (informer.get("default", "one"), informer.get("default", "two")) == ("1", "2")


def test_a_list_by_namespaces_is_followed_by_a_watch_of_all(
    client: Client, told: Told, started: Callable[..., Values]
) -> None:
    write(client, "one", "1")
    informer = started(list_by=lambda: ["default", "kube-system"])
    told.wait_for("one")
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}})
    client.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "three", "namespace": "later"},
            "data": {"value": "3"},
        }
    )
    write(client, "two", "2")
    told.wait_for("two")
    assert {("default", "one", "1"), ("later", "three", "3")} <= set(informer.everywhere())


def test_the_answer_to_a_write_of_our_own_is_known_at_once_and_not_told(
    cluster: SandboxCluster, client: Client, told: Told, started: Callable[..., Values]
) -> None:
    informer = started()
    write(client, "one", "1")
    told.wait_for("one")
    with informer.writing("default", "one") as answered:
        answered({"data": {"value": "2"}})
        assert informer.get("default", "one") == "2"
    write(client, "one", "2")
    write(client, "two", "2")
    told.wait_for("two")
    assert told.count("one") == 1


def test_what_the_watch_told_meanwhile_stands_over_the_answer(
    client: Client, told: Told, started: Callable[..., Values]
) -> None:
    informer = started()
    write(client, "one", "1")
    told.wait_for("one")
    with informer.writing("default", "one") as answered:
        answer = write(client, "one", "2")
        client.delete(CONFIG_MAP, "one", namespace="default")
        told.wait_for("one", 3)
        answered(answer)
    assert informer.get("default", "one") is None
