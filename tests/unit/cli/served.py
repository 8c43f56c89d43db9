"""The real API on loopback, and the command line as somebody runs it against it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner, Result
from werkzeug.serving import WSGIRequestHandler, make_server

from cli.main import main
from tests.support.hub import Hub


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - Werkzeug's name
        del type, message, args


@contextmanager
def serving(hub: Hub) -> Iterator[str]:
    """The address of a hub's API while it is served."""
    server = make_server("127.0.0.1", 0, hub.app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Shell:
    """Somebody's shell: `pullpass(…)` runs a command with the environment of an admin of acme."""

    hub: Hub
    endpoint: str
    environment: Mapping[str, str]

    def pullpass(
        self, *arguments: str, stdin: str | None = None, environment: Mapping[str, str | None] | None = None
    ) -> Result:
        return CliRunner().invoke(
            main, list(arguments), input=stdin, env={**self.environment, **(environment or {})}
        )

    def fine(self, *arguments: str, stdin: str | None = None) -> str:
        """What a command that must succeed prints."""
        result = self.pullpass(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output + repr(result.exception)
        return str(result.stdout)

    def read(self, *arguments: str) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.fine(*arguments, "-o", "json"))


def rows(printed: str) -> Sequence[list[str]]:
    """Tab-separated lines."""
    return [line.split("\t") for line in printed.splitlines()]
