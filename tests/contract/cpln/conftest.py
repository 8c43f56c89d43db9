"""The hub on a socket, and the real `cpln` that talks to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import WSGIRequestHandler, make_server

from fleet.database import Database
from tests.support.cpln import Cpln, require_cpln
from tests.support.hub import Hub, make_hub

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Requests are no output of a test."""


@pytest.fixture
def hub(database: Database) -> Hub:
    return make_hub(database)


@contextmanager
def served(app: WSGIApplication) -> Iterator[str]:
    """The address under which `app` answers on loopback."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def endpoint(hub: Hub) -> Iterator[str]:
    with served(hub.app) as address:
        yield address


@pytest.fixture
def under_a_path(hub: Hub, cpln: Cpln) -> Iterator[Cpln]:
    """`cpln` with an endpoint that has a path, behind which the hub is mounted."""
    with served(DispatcherMiddleware(NotFound(), {"/pullpass": hub.app})) as address:
        yield replace(cpln, endpoint=f"{address}/pullpass")


@pytest.fixture
def cpln(hub: Hub, endpoint: str, tmp_path: Path) -> Cpln:
    home = tmp_path / "home"
    home.mkdir()
    return Cpln(require_cpln(), endpoint, hub.editor, home)


@pytest.fixture
def as_admin(hub: Hub, cpln: Cpln) -> Cpln:
    return replace(cpln, token=hub.admin)


@pytest.fixture
def as_viewer(hub: Hub, cpln: Cpln) -> Cpln:
    return replace(cpln, token=hub.viewer)
