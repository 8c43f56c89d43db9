"""`python -m agent cluster`: the agent's process. All facts come in as environment and files; see `agent.settings`.

Logs go to standard error, one JSON object a line. SIGTERM and SIGINT end it within a few seconds.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Mapping

import structlog

from agent import settings
from agent.health import HealthServer, Metrics
from agent.secrets.loop import SecretsAgent
from agent.secrets.verification import RealAws
from kube.client import Access, Client
from kube.errors import KubeError
from reconcile.clock import SystemClock, SystemRandom

_USAGE_ERROR = 2


def run(environment: Mapping[str, str]) -> int:
    """Runs the agent until a signal ends it; returns the exit code (2: a wrong environment)."""
    _log_as_json()
    log = structlog.get_logger("agent")
    try:
        found = settings.read(environment)
        access = Access(
            server=found.server,
            certificate_authority=found.certificate_authority(),
            token_file=found.kubernetes_token_file,
            allow_loopback=found.on_loopback,
        )
        client = Client(access)
    except (settings.SettingsError, KubeError) as error:
        log.error("cannot start", error=str(error))  # noqa: TRY400 - the message says all; a traceback would not help
        return _USAGE_ERROR
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    metrics = Metrics()
    agent = SecretsAgent(
        client,
        RealAws(metrics.called_aws),
        token_file=found.web_identity_token_file,
        clock=SystemClock(),
        random=SystemRandom(),
        metrics=metrics,
    )
    try:
        health = HealthServer(
            found.health_port, loopback=found.on_loopback, ready=agent.ready, metrics=metrics
        )
    except OSError as error:
        log.error("cannot serve health", port=found.health_port, error=str(error))  # noqa: TRY400 - as above
        return _USAGE_ERROR
    health.start()
    log.info("started", health_port=health.port)
    agent.run(stop)
    health.stop()
    client.close()
    log.info("stopped")
    return 0


def _log_as_json() -> None:
    """Ours and the libraries' alike; exceptions without local variables, which may be secrets."""
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings tell of connections, not of trouble
