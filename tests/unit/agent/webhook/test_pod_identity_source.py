from collections.abc import Iterator

import pytest
import yaml

from agent.webhook.pod_identity_source import PodIdentity
from agent.webhook.review import Answer, Review
from kube.client import Access, Client
from kube.objects import CONFIG_MAP
from reconcile.clock import SystemClock, SystemRandom
from sandbox.world import World
from schemas.agent_documents import NAMESPACE_NAME
from schemas.pod_identity_documents import POD_IDENTITY_NAME, PodIdentityConfiguration, dump_pod_identity
from tests.unit.agent.cell import eventually

ROLE = "arn:aws:iam::111122223333:role/s3-reader"
CONFIGURATION = PodIdentityConfiguration(1, "c-1", "sts.amazonaws.com", None, False, 86_400)
REVIEW = Review(
    "u-1",
    "CREATE",
    "default",
    "app",
    "someone",
    dry_run=False,
    object={"metadata": {}, "spec": {"serviceAccountName": "reader", "containers": [{"name": "app"}]}},
)


@pytest.fixture
def client() -> Iterator[Client]:
    world = World(run_workloads=False)
    world.start()
    cluster = world.add_cluster("demo", issuer="https://issuer.example", public=False)
    client = Client(
        Access(
            yaml.safe_load(cluster.kubeconfig())["clusters"][0]["cluster"]["server"],
            certificate_authority=world._certificates.authority,
            token=cluster.admin_token,
            allow_loopback=True,
        )
    )
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE_NAME}})
    metadata = {
        "name": "reader",
        "namespace": "default",
        "annotations": {"eks.amazonaws.com/role-arn": ROLE},
    }
    client.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    yield client
    client.close()
    world.stop()


@pytest.fixture
def webhook(client: Client) -> Iterator[PodIdentity]:
    webhook = PodIdentity(client, client, clock=SystemClock(), random=SystemRandom())
    webhook.start()
    yield webhook
    webhook.stop()
    webhook.join(60)


def configure(client: Client, text: str) -> None:
    metadata = {"name": POD_IDENTITY_NAME, "namespace": NAMESPACE_NAME}
    client.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"configuration.json": text}}
    )


def test_no_pod_is_changed_without_a_configuration(webhook: PodIdentity) -> None:
    eventually(lambda: webhook.ready)
    assert Answer() == webhook.handle(REVIEW)


def test_it_is_ready_only_when_what_stands_is_in_force(client: Client) -> None:
    configure(client, dump_pod_identity(CONFIGURATION))
    webhook = PodIdentity(client, client, clock=SystemClock(), random=SystemRandom())
    webhook.start()
    eventually(lambda: webhook.ready)
    assert CONFIGURATION == webhook.configuration
    webhook.stop()
    webhook.join(60)


def test_a_configuration_that_nobody_can_read_does_not_hold_up_the_rest(
    client: Client, webhook: PodIdentity
) -> None:
    configure(client, "{}")
    eventually(lambda: webhook.ready)
    assert Answer() == webhook.handle(REVIEW)


def test_pods_are_served_once_a_configuration_comes(client: Client, webhook: PodIdentity) -> None:
    configure(client, dump_pod_identity(CONFIGURATION))
    eventually(lambda: webhook.configuration == CONFIGURATION)
    assert 3 == len(webhook.handle(REVIEW).patch)


def test_no_pod_is_changed_after_the_configuration_went(client: Client, webhook: PodIdentity) -> None:
    configure(client, dump_pod_identity(CONFIGURATION))
    eventually(lambda: webhook.configuration is not None)
    client.delete(CONFIG_MAP, POD_IDENTITY_NAME, namespace=NAMESPACE_NAME)
    eventually(lambda: webhook.configuration is None)
    assert Answer() == webhook.handle(REVIEW)


def test_a_configuration_that_cannot_be_read_leaves_the_last_in_force(
    client: Client, webhook: PodIdentity
) -> None:
    configure(client, dump_pod_identity(CONFIGURATION))
    eventually(lambda: webhook.configuration is not None)
    configure(client, "{}")
    eventually(lambda: webhook._text() == "{}")
    assert CONFIGURATION == webhook.configuration
