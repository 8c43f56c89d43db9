from __future__ import annotations

import threading

import pytest

from kube import errors
from kube.client import Client
from kube.objects import NAMESPACE
from tests.unit.kube.conftest import TinyServer


def test_a_fenced_client_reads_but_does_not_write(server: TinyServer, client: Client) -> None:
    closed = threading.Event()
    fenced = client.fenced(closed)
    fenced.merge_patch(NAMESPACE, "a", {})
    closed.set()

    with pytest.raises(errors.Fenced):
        fenced.merge_patch(NAMESPACE, "a", {})
    fenced.get(NAMESPACE, "a")

    assert ["PATCH", "GET"] == [exchange.method for exchange in server.seen]


def test_what_it_sends_is_counted_with_the_others(server: TinyServer, client: Client) -> None:
    server.answer = lambda exchange: exchange.json({})
    client.fenced(threading.Event()).get(NAMESPACE, "a")

    assert 1 == client.requests


def test_the_client_itself_goes_on_writing(server: TinyServer, client: Client) -> None:
    closed = threading.Event()
    client.fenced(closed)
    closed.set()
    client.merge_patch(NAMESPACE, "a", {})

    assert ["PATCH"] == [exchange.method for exchange in server.seen]
