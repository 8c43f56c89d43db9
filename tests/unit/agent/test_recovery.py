from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from agent.informer import Informer, Scope
from agent.secrets import pull_secret
from agent.secrets.credentials import CredentialCache
from agent.secrets.pull_secret import SecretView
from agent.secrets.recovery import recover
from agent.secrets.regions import identity_of
from agent.secrets.registries import configured
from aws.credentials import RegistryCredential
from kube.client import Access, Client
from kube.objects import SECRET
from reconcile.clock import FakeRandom, SystemClock, SystemRandom
from sandbox.world import World
from schemas.agent_documents import AgentConfiguration

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
REGION = "eu-central-1"
HOST = f"111122223333.dkr.ecr.{REGION}.amazonaws.com"
CONFIGURATION = AgentConfiguration(
    generation=1,
    cluster_uid="c-1",
    organisation="acme",
    cluster="demo",
    removing=False,
    role_arn="arn:aws:iam::111122223333:role/pull",
    audience="sts.amazonaws.com",
    region=None,
    registries=(HOST,),
)


@pytest.fixture
def client() -> Iterator[Client]:
    world = World(run_workloads=False)
    world.start()
    cluster = world.add_cluster("demo", issuer="https://issuer.example", public=False)
    server = yaml.safe_load(cluster.kubeconfig())["clusters"][0]["cluster"]["server"]
    client = Client(
        Access(
            server,
            certificate_authority=world._certificates.authority,
            token=cluster.admin_token,
            allow_loopback=True,
        )
    )
    yield client
    client.close()
    world.stop()


@pytest.fixture
def listed(client: Client) -> Iterator[Callable[[], Informer[SecretView]]]:
    """An informer that has read the secrets that are there."""
    made: list[Informer[SecretView]] = []

    def read() -> Informer[SecretView]:
        informer = Informer(
            client,
            Scope(SECRET, field_selector="metadata.name=pullpass-ecr"),
            view=pull_secret.view,
            changed=lambda _, __: None,
            clock=SystemClock(),
            random=SystemRandom(),
        )
        informer._list()
        made.append(informer)
        return informer

    yield read
    for informer in made:
        informer.stop()


def put(client: Client, namespace: str, word: str) -> None:
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    credential = RegistryCredential(REGION, "AWS", word, NOW, NOW + timedelta(hours=12))
    client.apply(
        pull_secret.desired(
            namespace=namespace,
            cluster_uid="c-1",
            registries=configured(CONFIGURATION),
            credentials={REGION: credential},
            role_arn=CONFIGURATION.role_arn,
        )
    )


def test_without_a_secret_nothing_is_recovered(
    client: Client, listed: Callable[[], Informer[SecretView]]
) -> None:
    cache = CredentialCache(FakeRandom())
    assert recover(client, listed(), cache, CONFIGURATION, NOW) == ()
    assert cache.regions() == frozenset()


def test_credential_and_registries_are_recovered(
    client: Client, listed: Callable[[], Informer[SecretView]]
) -> None:
    put(client, "shop", "word")
    cache = CredentialCache(FakeRandom())
    assert [each.host for each in recover(client, listed(), cache, CONFIGURATION, NOW)] == [HOST]
    assert cache.good([REGION], NOW)[REGION].password == "word"
    assert cache.refresh_in(REGION, identity_of(CONFIGURATION), NOW) == 6 * 3600


def test_what_one_namespace_holds_alone_is_not_handed_to_the_others(
    client: Client, listed: Callable[[], Informer[SecretView]]
) -> None:
    put(client, "a-tenant", "poison")
    put(client, "shop", "word")
    put(client, "web", "word")
    cache = CredentialCache(FakeRandom())
    recover(client, listed(), cache, CONFIGURATION, NOW)
    assert cache.good([REGION], NOW)[REGION].password == "word"


def test_for_another_role_it_is_served_and_a_new_one_is_due(
    client: Client, listed: Callable[[], Informer[SecretView]]
) -> None:
    put(client, "shop", "word")
    other = replace(CONFIGURATION, role_arn="arn:aws:iam::111122223333:role/other")
    cache = CredentialCache(FakeRandom())
    recover(client, listed(), cache, other, NOW)
    assert REGION in cache.good([REGION], NOW)
    assert cache.refresh_in(REGION, identity_of(other), NOW) == 0.0


def test_the_secret_of_another_cluster_is_not_read(
    client: Client, listed: Callable[[], Informer[SecretView]]
) -> None:
    put(client, "shop", "word")
    cache = CredentialCache(FakeRandom())
    assert recover(client, listed(), cache, replace(CONFIGURATION, cluster_uid="c-2"), NOW) == ()
