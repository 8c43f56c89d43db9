"""Before the hub knows a cluster's issuer there is nothing to set up: waiting for it, and what is said instead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import click
import pytest

from cli.aws_wanted import cluster_with_issuer, issuer_of
from cli.hub import Hub
from schemas.status import Issue
from tests.support.hub import CONNECTION, manifest, status
from tests.unit.cli.served import Shell

ISSUER = "https://oidc.acme.com/demo"
STALE = Issue("ConnectionMissing", "The hub has no connection.", "pullpass connect demo", ())


@contextmanager
def soon(shell: Shell) -> Iterator[None]:
    """A controller that finds the issuer in a moment."""
    timer = threading.Timer(0.3, lambda: shell.hub.report("demo", status(ISSUER)))
    timer.start()
    yield
    timer.join()


@pytest.fixture
def client(shell: Shell) -> Hub:
    return Hub(shell.endpoint, shell.hub.admin, "acme")


def connect(shell: Shell) -> None:
    shell.hub.put(manifest())
    assert shell.hub.call("PUT", "/org/acme/mk8s/demo/-connection", json=CONNECTION).status_code < 300


def test_a_cluster_just_connected_is_waited_for(shell: Shell, client: Hub) -> None:
    connect(shell)
    with soon(shell):
        assert ISSUER == issuer_of(cluster_with_issuer(client, "demo"))


def test_an_issue_that_is_older_than_the_connection_is_waited_out(shell: Shell, client: Hub) -> None:
    connect(shell)
    shell.hub.report("demo", replace(status(), oidc_provider_url=None, add_ons={}, issues=(STALE,)))
    with soon(shell):
        assert ISSUER == issuer_of(cluster_with_issuer(client, "demo"))


def test_an_issue_that_stays_is_told_with_its_remedy(shell: Shell, client: Hub) -> None:
    connect(shell)
    shell.hub.report("demo", replace(status(), oidc_provider_url=None, add_ons={}, issues=(STALE,)))
    with pytest.raises(click.ClickException) as caught:
        cluster_with_issuer(client, "demo", stale_seconds=0)
    assert (
        "ConnectionMissing: The hub has no connection.\n  do: pullpass connect demo" in caught.value.message
    )


def test_a_cluster_without_awsecr_is_not_waited_for(shell: Shell, client: Hub) -> None:
    shell.hub.put(manifest(addOns={"awsWorkloadIdentity": {}}))
    with pytest.raises(click.ClickException, match="pullpass addons enable demo awsECR"):
        cluster_with_issuer(client, "demo")
