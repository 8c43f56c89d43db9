from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from controller.connecting import access_of, check_version
from controller.outcomes import Obstacle
from kube.client import Access, Client
from schemas.connection import Connection


class Answering(Client):
    """A client of an API server that says its version."""

    def __init__(self, version: Mapping[str, Any]) -> None:
        self._version = version

    def read_path(self, path: str) -> Mapping[str, Any]:
        assert path == "/version"
        return self._version


@pytest.mark.parametrize(("major", "minor"), [("1", "30"), ("1", "34+"), ("1", "100"), ("2", "0")])
def test_a_kubernetes_that_is_new_enough_is_taken(major: str, minor: str) -> None:
    check_version(Answering({"major": major, "minor": minor}))


@pytest.mark.parametrize(("major", "minor"), [("1", "29"), ("1", "9+"), ("0", "99"), ("", "")])
def test_an_older_kubernetes_is_an_obstacle(major: str, minor: str) -> None:
    with pytest.raises(Obstacle) as caught:
        check_version(Answering({"major": major, "minor": minor, "gitVersion": "v1.29.3"}))
    assert (caught.value.code, caught.value.values) == ("KubernetesTooOld", {"VERSION": "v1.29.3"})


def test_a_connection_is_dialled_as_it_was_stored() -> None:
    connection = Connection(
        server="https://10.0.0.1:6443",
        certificate_authority="PEM",
        token="secret",
        tls_server_name="api.example.org",
        proxy="http://proxy:3128",
        timeout_seconds=3,
    )
    assert access_of(connection, allow_loopback=True) == Access(
        server="https://10.0.0.1:6443",
        certificate_authority="PEM",
        token="secret",
        tls_server_name="api.example.org",
        proxy="http://proxy:3128",
        timeout_seconds=3,
        allow_loopback=True,
    )
