"""The way into one cluster for who asks once: `controller.errands` opens one for each errand.

A reconcile comes by `controller.entrance` instead, which keeps both client and what is known of an EKS cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from controller import connecting
from controller.eks import EksAccesses
from controller.outcomes import Failure
from fleet.records import ClusterKey
from kube.client import Access, Client
from schemas.connection import Connection


@dataclass
class Door:
    """Of one cluster.

    Once open, `server` is the API server's URL, and `issuer_by_eks` the issuer that EKS names: "" for other clusters.
    """

    key: ClusterKey
    connection: Connection
    accesses: EksAccesses
    dial: Callable[[Access], Client]
    allow_loopback: bool
    issuer_by_eks: str = field(default="", init=False)

    @property
    def server(self) -> str:
        """Of the API server; empty for an EKS cluster that was not asked for yet."""
        return self.connection.server

    def open(self, now: datetime) -> Client:
        """A client, which the caller closes.

        Raises:
            kube.errors.KubeError: the connection cannot work.
            aws.hub_failures.HubAwsFailure: as `controller.eks`.
        """
        connection = self.connection
        if connection.eks is not None:
            access = self.accesses.open(self.key, connection.eks, None, now=now)
            self.issuer_by_eks = access.description.issuer
            connection = self.connection = access.dialled(connection)
        return self.dial(connecting.access_of(connection, allow_loopback=self.allow_loopback))

    def explained(self, failure: Failure) -> Failure:
        """`failure` of this cluster, in the words that fit it."""
        wanted = self.connection.eks
        return failure if wanted is None else self.accesses.explained(self.key, wanted, failure)
