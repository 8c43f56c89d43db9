from collections.abc import Iterator

import pytest

from agent.secrets import keys
from agent.secrets.identity import StoredKeys
from aws.hops import AwsFailure
from kube.client import Client
from tests.unit.agent.sandboxed import sandboxed

KEYS = StoredKeys("vault", "aws")


@pytest.fixture
def client() -> Iterator[Client]:
    with sandboxed() as client:
        client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "vault"}})
        yield client


def put(client: Client, **texts: str) -> None:
    metadata = {"name": "aws", "namespace": "vault"}
    client.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": texts})


def test_a_pair_is_read_without_the_white_space_around_it(client: Client) -> None:
    put(client, AWS_ACCESS_KEY_ID="AKIA\n", AWS_SECRET_ACCESS_KEY=" key\n")
    found = keys.read(client, KEYS)
    assert (found.access_key_id, found.secret_access_key, found.session_token) == ("AKIA", "key", None)


def test_a_session_token_is_taken_where_there_is_one(client: Client) -> None:
    put(client, AWS_ACCESS_KEY_ID="AKIA", AWS_SECRET_ACCESS_KEY="key", AWS_SESSION_TOKEN="session")
    assert keys.read(client, KEYS).session_token == "session"


def test_keys_may_have_other_names(client: Client) -> None:
    put(client, id="AKIA", key="word")
    found = keys.read(client, StoredKeys("vault", "aws", "id", "key"))
    assert (found.access_key_id, found.secret_access_key) == ("AKIA", "word")


def test_a_secret_that_is_not_there_is_named(client: Client) -> None:
    with pytest.raises(AwsFailure, match="secret aws in namespace vault does not exist") as caught:
        keys.read(client, KEYS)
    assert caught.value.code == "KeysMissing"


def test_a_key_that_is_not_there_is_named_and_the_other_is_not_shown(client: Client) -> None:
    put(client, AWS_ACCESS_KEY_ID="AKIA")
    with pytest.raises(AwsFailure, match="has no key AWS_SECRET_ACCESS_KEY") as caught:
        keys.read(client, KEYS)
    assert "AKIA" not in str(caught.value)
