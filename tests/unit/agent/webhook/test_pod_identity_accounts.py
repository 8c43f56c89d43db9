# ruff: noqa: ARG002 - the signatures are those of what these stand in for
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import cast

import pytest
import yaml

from agent.webhook.pod_identity_accounts import (
    LOOKUP_SECONDS,
    REMEMBERED_SECONDS,
    AccountIdentity,
    Accounts,
    read,
)
from kube.client import Access, Client
from kube.errors import NotFound, Unreachable
from kube.objects import SERVICE_ACCOUNT, Kind, Object
from reconcile.clock import FakeClock, FakeRandom, SystemClock
from sandbox.world import World
from tests.unit.agent.cell import eventually

ROLE = "arn:aws:iam::111122223333:role/s3-reader"


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
    yield client
    client.close()
    world.stop()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
def unwatched(client: Client, clock: FakeClock) -> Accounts:
    """Accounts whose watch has seen nothing yet."""
    return Accounts(client, client, clock=clock, random=FakeRandom())


class Slow:
    """An API server whose answer waits for `release`."""

    def __init__(self) -> None:
        self.asked = 0
        self.asking = threading.Event()
        self.release = threading.Event()

    def get(self, kind: Kind, name: str, *, namespace: str | None = None) -> Object:
        self.asked += 1
        self.asking.set()
        assert self.release.wait(60)
        return account({"role-arn": ROLE})


def account(annotations: dict[str, str], name: str = "reader") -> Object:
    full = {f"eks.amazonaws.com/{key}": value for key, value in annotations.items()}
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": "default", "annotations": full},
    }


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({"role-arn": ROLE}, AccountIdentity(ROLE)),
        ({"role-arn": ROLE, "audience": "vault"}, AccountIdentity(ROLE, audience="vault")),
        ({"role-arn": ROLE, "sts-regional-endpoints": "true"}, AccountIdentity(ROLE, regional_sts=True)),
        ({"role-arn": ROLE, "sts-regional-endpoints": "F"}, AccountIdentity(ROLE, regional_sts=False)),
        ({"role-arn": ROLE, "sts-regional-endpoints": "yes"}, AccountIdentity(ROLE)),
        (
            {"role-arn": ROLE, "token-expiration": "3600"},
            AccountIdentity(ROLE, token_expiration_seconds=3600),
        ),
        ({"role-arn": ROLE, "token-expiration": "599"}, AccountIdentity(ROLE, token_expiration_seconds=600)),
        ({"role-arn": ROLE, "token-expiration": "+700"}, AccountIdentity(ROLE, token_expiration_seconds=700)),
        ({"role-arn": ROLE, "token-expiration": "1_000"}, AccountIdentity(ROLE)),
        ({"role-arn": ROLE, "token-expiration": " 700"}, AccountIdentity(ROLE)),
        ({"role-arn": ROLE, "token-expiration": "9223372036854775808"}, AccountIdentity(ROLE)),
        (
            {"role-arn": ROLE, "token-expiration": "86401"},
            AccountIdentity(ROLE, token_expiration_seconds=86_400),
        ),
        ({"role-arn": ""}, None),
        ({"audience": "vault"}, None),
    ],
)
def test_annotations_are_read(annotations: dict[str, str], expected: AccountIdentity | None) -> None:
    assert expected == read(account(annotations))


def test_an_account_without_annotations_names_no_role() -> None:
    assert read({"metadata": {"name": "default", "annotations": None}}) is None


def test_an_account_that_the_watch_has_not_seen_is_asked_for(client: Client, unwatched: Accounts) -> None:
    client.apply(account({"role-arn": ROLE}))
    assert AccountIdentity(ROLE) == unwatched.of("default", "reader")


def test_an_account_that_the_watch_has_seen_costs_no_question(client: Client) -> None:
    client.apply(account({"role-arn": ROLE}))
    lookups = Slow()
    accounts = Accounts(client, cast("Client", lookups), clock=SystemClock(), random=FakeRandom())
    accounts.start()
    eventually(lambda: accounts.synced)
    assert (AccountIdentity(ROLE), 0) == (accounts.of("default", "reader"), lookups.asked)
    accounts.stop()
    accounts.join(60)


def test_an_annotation_that_the_watch_has_not_seen_is_asked_for(client: Client, clock: FakeClock) -> None:
    client.apply(account({}))
    accounts = Accounts(client, client, clock=clock, random=FakeRandom())
    client.apply(account({"role-arn": ROLE}))
    assert AccountIdentity(ROLE) == accounts.of("default", "reader")


def test_an_answer_holds_for_the_pods_that_come_together(
    client: Client, unwatched: Accounts, clock: FakeClock
) -> None:
    client.apply(account({}))
    assert unwatched.of("default", "reader") is None
    before = client.requests
    clock.advance(REMEMBERED_SECONDS - 1)
    assert (None, before) == (unwatched.of("default", "reader"), client.requests)


def test_an_answer_is_forgotten_after_a_while(client: Client, unwatched: Accounts, clock: FakeClock) -> None:
    client.apply(account({}))
    assert unwatched.of("default", "reader") is None
    client.apply(account({"role-arn": ROLE}))
    clock.advance(REMEMBERED_SECONDS)
    assert AccountIdentity(ROLE) == unwatched.of("default", "reader")


def test_that_an_account_was_not_there_is_not_remembered(client: Client, unwatched: Accounts) -> None:
    assert unwatched.of("default", "reader") is None
    client.apply(account({"role-arn": ROLE}))
    assert AccountIdentity(ROLE) == unwatched.of("default", "reader")


def test_a_failure_is_told_and_not_remembered(client: Client, clock: FakeClock) -> None:
    class Failing:
        def __init__(self) -> None:
            self.asked = 0

        def get(self, kind: Kind, name: str, *, namespace: str | None = None) -> Object:
            self.asked += 1
            raise Unreachable("no route")

    failing = Failing()
    accounts = Accounts(client, cast("Client", failing), clock=clock, random=FakeRandom())
    for _ in range(2):
        with pytest.raises(Unreachable, match="no route"):
            accounts.of("default", "reader")
    assert 2 == failing.asked


def test_pods_that_come_at_once_share_one_question(client: Client) -> None:
    slow = Slow()
    accounts = Accounts(client, cast("Client", slow), clock=SystemClock(), random=FakeRandom())
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(accounts.of, "default", "reader")
        assert slow.asking.wait(60)
        others = [pool.submit(accounts.of, "default", "reader") for _ in range(7)]
        slow.release.set()
        assert [AccountIdentity(ROLE)] * 8 == [each.result() for each in (first, *others)]
    assert 1 == slow.asked


def test_nobody_waits_long_for_the_question_of_another(client: Client, clock: FakeClock) -> None:
    slow = Slow()
    accounts = Accounts(client, cast("Client", slow), clock=clock, random=FakeRandom())
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(accounts.of, "default", "reader")
        assert slow.asking.wait(60)
        second = pool.submit(accounts.of, "default", "reader")
        clock.until_waiting(1)
        clock.advance(LOOKUP_SECONDS)
        with pytest.raises(Unreachable, match="in time"):
            second.result(10)
        slow.release.set()
        assert AccountIdentity(ROLE) == first.result(10)


def test_the_watch_forgets_an_account_that_loses_its_role(client: Client) -> None:
    client.apply(account({"role-arn": ROLE}))
    accounts = Accounts(client, client, clock=SystemClock(), random=FakeRandom())
    accounts.start()
    eventually(lambda: accounts.synced)
    client.delete(SERVICE_ACCOUNT, "reader", namespace="default")
    eventually(lambda: accounts.of("default", "reader") is None)
    with pytest.raises(NotFound):
        client.get(SERVICE_ACCOUNT, "reader", namespace="default")
    accounts.stop()
    accounts.join(60)
