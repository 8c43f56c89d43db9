"""`pullpass serve`: API and console under gunicorn, one process with threads; more processes are more hubs on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import gunicorn.app.base

from cli import logs, settings, wiring

Application = Callable[..., Any]  # WSGI (PEP 3333)


class Server(gunicorn.app.base.BaseApplication):  # type: ignore[misc]  # gunicorn is untyped
    """gunicorn around an app that is made after the fork, so that no connection is shared with the parent."""

    def __init__(self, make_app: Callable[[], Application], options: dict[str, Any]) -> None:
        self._make_app = make_app
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Application:
        return self._make_app()


@click.command()
def serve() -> None:
    """Serve the API and the console (PULLPASS_HOST, PULLPASS_PORT)."""
    configured = settings.read()
    logs.set_up(configured.log_level)
    database = wiring.open_database(configured)
    wiring.bootstrap(database, configured)
    database.close()

    def make_app() -> Application:
        return wiring.hub_app(wiring.open_database(configured), configured)

    options = {
        "bind": f"{configured.host}:{configured.port}",
        "worker_class": "gthread",
        "workers": 1,
        "threads": configured.threads,
        "keepalive": 75,
        "graceful_timeout": 10,
        "loglevel": "warning",
        "control_socket_disable": True,
    }
    Server(make_app, options).run()
