from collections.abc import Iterator

import pytest

from agent.secrets.strangers import MOST_NAMES, Strangers
from kube.client import Client
from kube.objects import SECRET
from reconcile.clock import SystemClock, SystemRandom
from tests.unit.agent.sandboxed import eventually, sandboxed


class Watched:
    def __init__(self, client: Client) -> None:
        self.client = client
        self.told: list[str] = []
        self.strangers = Strangers(
            client, changed=self.told.append, clock=SystemClock(), random=SystemRandom()
        )
        for name in ("shop", "bank"):
            client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def secret(self, namespace: str, name: str, **data: str) -> None:
        metadata = {"name": name, "namespace": namespace}
        self.client.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})


@pytest.fixture
def watched() -> Iterator[Watched]:
    with sandboxed() as client:
        watched = Watched(client)
        yield watched
        watched.strangers.stop()
        watched.strangers.join(60)


def test_who_holds_a_name_and_lets_it_go_is_told(watched: Watched) -> None:
    watched.secret("shop", "theirs")
    watched.strangers.look_out_for("theirs")
    eventually(lambda: watched.told == ["shop"])
    watched.client.delete(SECRET, "theirs", namespace="shop")
    eventually(lambda: watched.told == ["shop", "shop"])


def test_it_counts_as_seen_once_a_whole_list_was_read(watched: Watched) -> None:
    assert not watched.strangers.look_out_for("theirs")
    eventually(lambda: watched.strangers.look_out_for("theirs"))


def test_other_names_and_other_contents_make_no_stir(watched: Watched) -> None:
    watched.secret("shop", "theirs")
    watched.strangers.look_out_for("theirs")
    eventually(lambda: watched.told == ["shop"])
    watched.secret("shop", "theirs", key="new")
    watched.secret("shop", "another")
    watched.secret("bank", "theirs")
    eventually(lambda: watched.told == ["shop", "bank"])


def test_names_that_nobody_claims_are_watched_no_more(watched: Watched) -> None:
    eventually(lambda: watched.strangers.look_out_for("one") and watched.strangers.look_out_for("two"))
    ended = watched.strangers._watched["one"]
    watched.strangers.keep_only({"two", "three"})
    assert ended.join(10)
    watched.secret("shop", "one")
    watched.secret("bank", "two")
    eventually(lambda: watched.told)
    assert ["bank"] == watched.told


def test_there_is_an_end_to_how_many_are_watched(watched: Watched) -> None:
    for number in range(MOST_NAMES + 5):
        watched.strangers.look_out_for(f"name-{number}")
    eventually(lambda: watched.strangers.look_out_for("name-0"))
    watched.secret("shop", f"name-{MOST_NAMES}")
    watched.secret("bank", "name-0")
    eventually(lambda: watched.told)
    assert ["bank"] == watched.told


def test_after_the_end_none_is_begun(watched: Watched) -> None:
    watched.strangers.stop()
    watched.strangers.look_out_for("theirs")
    assert {} == watched.strangers._watched
