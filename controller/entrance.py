"""The way into one cluster for reconciles: the client and the token that a cluster's memory keeps from run to run.

Who asks once comes by a `controller.doors.Door` instead. Called by `controller.cluster`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from controller import connecting, renewal
from controller.eks import EksAccesses
from controller.memory import Memory
from controller.outcomes import Failure
from controller.settings import ControllerSettings
from fleet import connections
from fleet.database import Database
from fleet.records import Cluster
from kube.client import Access, Client
from kube.errors import KubeError
from reconcile.clock import Clock
from schemas.connection import Connection

_log = structlog.get_logger(__name__)


@dataclass
class Entrance:
    """Of all clusters. `dial` makes the client of one."""

    database: Database
    settings: ControllerSettings
    clock: Clock
    dial: Callable[[Access], Client]
    _eks: EksAccesses = field(init=False)

    def __post_init__(self) -> None:
        self._eks = EksAccesses(self.database, self.settings.aws_principal)

    def client(self, cluster: Cluster, memory: Memory, connection: Connection) -> Client:
        """The client of the run before where it was made from the same connection, else a new one.

        Raises:
            kube.errors.KubeError: the connection cannot work.
            aws.hub_failures.HubAwsFailure: as `controller.eks`.
        """
        if connection.eks is not None:
            memory.eks = self._eks.open(cluster.key, connection.eks, memory.eks, now=self.clock.now())
            connection = memory.eks.dialled(connection)
        if memory.client is None or memory.dialled != connection:
            memory.hang_up()
            access = connecting.access_of(connection, allow_loopback=self.settings.allow_loopback)
            memory.client = self.dial(access)
            memory.dialled = connection
        return memory.client

    def renew(self, cluster: Cluster, memory: Memory, client: Client) -> None:
        """Renews the token where that is due.

        A failure is remembered and told when it gets serious; the token that works goes on being used.
        """
        connection = memory.connection
        due = renewal.due_at(connection) if connection is not None else None
        now = self.clock.now()
        if connection is None or due is None or now < due:
            return
        try:
            renewed = renewal.renewed(connection, client, now=now)
        except KubeError as error:
            memory.renewal_failure = error
            _log.warning("token not renewed", cluster=str(cluster.key), error=str(error))
            return
        memory.renewal_failure = None
        if connections.renew(self.database, cluster.uid, replaces=connection, renewed=renewed, now=now):
            memory.connection = renewed  # the next run dials with it; the old token is good for this one
        else:
            memory.stale = True

    def explained(self, cluster: Cluster, memory: Memory, failure: Failure) -> Failure:
        """`failure` in the words that fit the way in."""
        eks = memory.connection.eks if memory.connection is not None else None
        return failure if eks is None else self._eks.explained(cluster.key, eks, failure)
