from __future__ import annotations

import pytest

from kube.apply import prune
from kube.client import Client
from kube.objects import CONFIG_MAP
from tests.unit.kube.conftest import TinyServer


def test_pruning_without_labels_is_refused_before_anything_is_sent(
    server: TinyServer, client: Client
) -> None:
    with pytest.raises(ValueError, match="not ours"):
        prune(client, [CONFIG_MAP], labels={}, keep=set())

    assert [] == server.seen


def test_what_is_being_deleted_is_left_alone(server: TinyServer, client: Client) -> None:
    metadata = {
        "name": "a",
        "namespace": "prod",
        "uid": "1",
        "labels": {"ours": "1"},
        "deletionTimestamp": "2026-11-22T06:00:00Z",
    }
    server.answer = lambda exchange: exchange.json({"metadata": {}, "items": [{"metadata": metadata}]})

    assert () == prune(client, [CONFIG_MAP], labels={"ours": "1"}, keep=set())
    assert ["GET"] == [exchange.method for exchange in server.seen]


def test_what_a_server_lists_against_the_selector_is_left_alone(server: TinyServer, client: Client) -> None:
    metadata = {"name": "a", "namespace": "prod", "uid": "1", "labels": {"theirs": "1"}}
    server.answer = lambda exchange: exchange.json({"metadata": {}, "items": [{"metadata": metadata}]})

    assert () == prune(client, [CONFIG_MAP], labels={"ours": "1"}, keep=set())
    assert ["GET"] == [exchange.method for exchange in server.seen]
