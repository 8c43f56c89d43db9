"""`python -m agent cluster`: the agent's process. All facts come in as environment and files; see `agent.settings`.

Logs go to standard error, one JSON object a line. SIGTERM and SIGINT end it within a few seconds.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping

import structlog

from agent import settings
from agent.brain import Brain
from agent.metrics import Metrics
from agent.secrets.verification import RealAws
from kube.errors import KubeError
from reconcile.clock import SystemClock, SystemRandom
from reconcile.stopping import told_to_stop

_UNEXPECTED = 1
_USAGE_ERROR = 2


def run(environment: Mapping[str, str]) -> int:
    """Runs the agent until a signal ends it.

    Returns:
        The exit code: 2 for a wrong environment or a port that is taken, 1 for what nobody expected.
    """
    _log_as_json()
    log = structlog.get_logger("agent")
    metrics = Metrics()
    try:
        brain = Brain(
            settings.read(environment),
            RealAws(metrics.called_aws),
            clock=SystemClock(),
            random=SystemRandom(),
            metrics=metrics,
        )
    except (settings.SettingsError, KubeError, OSError) as error:
        log.error("cannot start", error=str(error))  # noqa: TRY400 - the message says all; a traceback would not help
        return _USAGE_ERROR
    stop = told_to_stop()
    log.info("started", health_port=brain.health_port)
    try:
        brain.run(stop)
    except Exception:
        log.exception("cannot go on")
        return _UNEXPECTED
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
