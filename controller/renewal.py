"""Renewing the hub's own token before it dies; a failure never costs the one that works.

Asks for 30 days and stores what was granted (EKS grants 24 hours at most), at a third of the granted life. Called by
`controller.entrance` in every run.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from controller.addons.addon import Context
from kube.client import Client
from kube.errors import KubeError
from schemas.agent_documents import HUB_ACCOUNT, NAMESPACE_NAME
from schemas.connection import Connection
from schemas.status import Issue
from schemas.times import format_time

WANTED_SECONDS = 30 * 24 * 3600
_RENEW_AT = 1 / 3
_WORRY_AT = 3 / 4


def due_at(connection: Connection) -> datetime | None:
    """When the token should be renewed; None: it cannot be, or does not say how long it lives."""
    return _at(connection, _RENEW_AT) if connection.renewable else None


def renewed(connection: Connection, client: Client, *, now: datetime) -> Connection:
    """The same connection with a token granted now.

    Raises:
        kube.errors.KubeError: no token was granted; the old one is as good as before.
    """
    issued = client.request_token(
        NAMESPACE_NAME, HUB_ACCOUNT, audiences=(), expiration_seconds=WANTED_SECONDS
    )
    # Whole seconds, as they are stored: what is renewed next must equal what is stored then.
    return replace(
        connection,
        token=issued.token,
        granted_at=now.replace(microsecond=0),
        expires_at=issued.expires_at.replace(microsecond=0),
    )


def expiring(context: Context, failure: KubeError | None) -> Issue | None:
    """The issue ConnectionExpiring when less than a quarter of the token's life remains."""
    connection = context.connection
    worry = _at(connection, _WORRY_AT)
    if worry is None or connection.expires_at is None or context.now < worry:
        return None
    if failure is not None:
        words = str(failure)
    elif connection.renewable:
        words = "the API server grants no longer life"
    else:
        words = "it is no token of the hub's own account, which alone can be renewed"
    values = {"EXPIRES_AT": format_time(connection.expires_at), "MESSAGE": words}
    return context.issue("ConnectionExpiring", values)


def _at(connection: Connection, part: float) -> datetime | None:
    if connection.granted_at is None or connection.expires_at is None:
        return None
    life: timedelta = connection.expires_at - connection.granted_at
    return connection.granted_at + life * part
