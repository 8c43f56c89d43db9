import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.secrets import store
from agent.secrets.content import LabelledContent
from agent.secrets.store import StoredContent, StoredCredential
from aws.credentials import RegistryCredential
from kube.client import Client
from kube.errors import NotFound
from kube.objects import SECRET
from reconcile.clock import SystemClock, SystemRandom
from tests.unit.agent.sandboxed import eventually, sandboxed

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
CREDENTIAL = RegistryCredential("eu-central-1", "AWS", "word", NOW, NOW + timedelta(hours=12))
KEPT = StoredCredential("0123.eu-central-1", "the role", "arn", CREDENTIAL, NOW + timedelta(hours=5))
CONTENT = LabelledContent(b'{"auths":{}}', NOW, NOW + timedelta(hours=12), "arn")


@pytest.fixture
def client() -> Iterator[Client]:
    with sandboxed() as client:
        client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pullpass-system"}})
        yield client


def test_what_is_saved_is_loaded(client: Client) -> None:
    store.save(client, "c-1", [KEPT], CONTENT)
    assert store.load(client, NOW) == ({KEPT.name: KEPT}, CONTENT)


def test_without_a_secret_there_is_nothing(client: Client) -> None:
    assert store.load(client, NOW) == ({}, None)


def test_what_is_not_saved_again_is_gone(client: Client) -> None:
    store.save(client, "c-1", [KEPT], CONTENT)
    store.save(client, "c-1", [], None)
    assert store.load(client, NOW) == ({}, None)


def test_what_has_expired_is_not_loaded(client: Client) -> None:
    store.save(client, "c-1", [KEPT], CONTENT)
    assert store.load(client, NOW + timedelta(hours=12)) == ({}, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"issued_at": NOW + timedelta(minutes=6)},
        {"expires_at": NOW + timedelta(hours=13)},
    ],
)
def test_a_life_that_ecr_does_not_give_is_not_believed(client: Client, changes: dict[str, Any]) -> None:
    store.save(client, "c-1", [replace(KEPT, credential=replace(CREDENTIAL, **changes))], None)
    assert store.load(client, NOW) == ({}, None)


def test_clocks_that_differ_a_little_are_no_reason_to_ask_again(client: Client) -> None:
    ahead = replace(
        CREDENTIAL, issued_at=NOW + timedelta(minutes=4), expires_at=NOW + timedelta(hours=12, minutes=4)
    )
    store.save(client, "c-1", [replace(KEPT, credential=ahead)], None)
    assert store.load(client, NOW)[0].keys() == {KEPT.name}


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(b"FAKE").decode(),
        "",
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b"{}").decode(),
    ],
)
def test_what_cannot_be_read_is_left_out(client: Client, text: str) -> None:
    store.save(client, "c-1", [KEPT], CONTENT)
    body = {"data": {"other": text, "add-on": text}}
    client.merge_patch(SECRET, "pullpass-credentials", body, namespace="pullpass-system")
    assert store.load(client, NOW) == ({KEPT.name: KEPT}, None)


def test_what_is_deleted_is_gone(client: Client) -> None:
    store.save(client, "c-1", [KEPT], CONTENT)
    store.delete(client)
    with pytest.raises(NotFound):
        client.get(SECRET, "pullpass-credentials", namespace="pullpass-system")


def test_nothing_but_data_shows_a_password(client: Client) -> None:
    store.save(client, "c-1", [KEPT], CONTENT)
    found = client.get(SECRET, "pullpass-credentials", namespace="pullpass-system")
    assert "word" not in json.dumps({**found, "data": None}) + repr(KEPT)


def test_a_replica_hears_of_new_content_until_it_expires(client: Client) -> None:
    heard = threading.Event()
    watched = StoredContent(client, changed=heard.set, clock=SystemClock(), random=SystemRandom())
    watched.start()
    eventually(lambda: watched.synced)
    assert watched.current(NOW) is None
    store.save(client, "c-1", [KEPT], CONTENT)
    assert heard.wait(60)
    assert (watched.current(NOW), watched.current(CONTENT.expires_at)) == (CONTENT, None)
    watched.stop()
    watched.join(60)
