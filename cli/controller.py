"""`pullpass controller`: the engine that reconciles this process's share of the fleet."""

from __future__ import annotations

import click

from cli import logs, settings, wiring
from controller.engine import Engine
from reconcile.clock import SystemClock, SystemRandom
from reconcile.stopping import told_to_stop


@click.command()
def controller() -> None:
    """Reconcile clusters until told to stop (SIGTERM or Ctrl-C); runs beside others on PostgreSQL."""
    configured = settings.read()
    logs.set_up(configured.log_level)
    stop = told_to_stop()
    database = wiring.open_database(configured)
    if configured.metrics_port:
        from prometheus_client import start_http_server  # noqa: PLC0415 - only where it is asked for

        start_http_server(configured.metrics_port, addr=configured.host)
    try:
        Engine(
            database, wiring.controller_settings(configured), clock=SystemClock(), random=SystemRandom()
        ).run(stop)
    finally:
        database.close()
