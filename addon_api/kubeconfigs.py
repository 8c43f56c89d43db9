"""What `cpln mk8s kubeconfig` and `cpln mk8s join` ask for: the cluster's address and CA, and a plain no to the rest.

The hub reaches clusters with its own narrow credential and hands out none: a kubeconfig made from these answers says
where the cluster is, and its user must bring a credential of their own.
"""

from __future__ import annotations

from typing import NoReturn

from flask import Response

from addon_api import answers, connections
from addon_api.routing import Route, context
from fleet import clusters
from fleet.records import ClusterKey, Role
from schemas.errors import NotFound, Unprocessable

_ONE = "/org/<org>/mk8s/<name>"
_CODE = "NOT_SERVED"


def authorities(org: str, name: str) -> Response:
    """The certificate authority of the API server, as the connection has it."""
    here = context()
    cluster = clusters.read(here.database, ClusterKey(org, name))
    connection = connections.stored(here.database, cluster.uid)
    if connection is None or cluster.status.server_url is None:
        raise NotFound(f"{name} was not reached yet, so its address is not known: pullpass connect {name}")
    if connection.eks is not None:
        eks = connection.eks
        raise NotFound(
            f"EKS has the CA of {name}: aws eks describe-cluster --name {eks.cluster} --region {eks.region}"
            " --query cluster.certificateAuthority.data --output text | base64 -d"
        )
    if connection.certificate_authority is None:
        raise NotFound(
            f"the connection of {name} holds no CA: a public one signs the certificate of its API server"
        )
    return answers.of_json({"kind": "cacerts", "cacerts": connection.certificate_authority})


def organisation(org: str) -> NoReturn:
    """Refused: `cpln mk8s auth` asks for it before it hands the hub's token to a cluster as a credential."""
    raise Unprocessable(
        f"Pullpass signs nobody in to the clusters of {org}: use a credential of the cluster's own",
        code=_CODE,
    )


def join(org: str, name: str) -> NoReturn:
    """Refused."""
    clusters.read(context().database, ClusterKey(org, name))
    raise Unprocessable(f"Pullpass joins no nodes to {org}/{name}: use what made the cluster", code=_CODE)


def cloud_init(org: str, name: str) -> NoReturn:
    """Refused."""
    clusters.read(context().database, ClusterKey(org, name))
    raise Unprocessable(
        f"Pullpass makes no nodes for {org}/{name}: use what made the cluster; for the driver on a node there is "
        "`pullpass node install`",
        code=_CODE,
    )


ROUTES = (
    Route(
        "GET",
        f"{_ONE}/-cacerts",
        authorities,
        Role.VIEWER,
        "The certificate authority of the cluster's API server",
        answers={200: "Authorities"},
    ),
    Route(
        "GET",
        "/org/<org>",
        organisation,
        Role.VIEWER,
        "Not served: the hub signs nobody in to a cluster",
        answers={422: "Problem"},
    ),
    Route(
        "POST",
        f"{_ONE}/-join",
        join,
        Role.EDITOR,
        "Not served: the hub joins no nodes",
        answers={422: "Problem"},
    ),
    Route(
        "POST",
        f"{_ONE}/-cloudinit",
        cloud_init,
        Role.EDITOR,
        "Not served: the hub makes no nodes",
        answers={422: "Problem"},
    ),
)
