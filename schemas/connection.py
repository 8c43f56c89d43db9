"""How the hub reaches one cluster: the connection, and the form in which `fleet` seals it.

Called by whoever holds one; `schemas.connection_bodies` makes it of what an admin sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from schemas import eks
from schemas.eks import EksCluster
from schemas.stored import Members
from schemas.times import format_time


@dataclass(frozen=True)
class AwsAccess:
    """How this cluster reaches AWS: admin settings; None means AWS's own public endpoint, no proxy."""

    sts_endpoint: str | None = None
    ecr_endpoint: str | None = None
    ecr_public_endpoint: str | None = None
    registry_endpoint: str | None = None
    metadata_endpoint: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    ca_bundle: str | None = None  # PEM, added to the system's


@dataclass(frozen=True)
class Connection:
    """One cluster's API server and the credential for it.

    Exactly one of `token`, the client certificate pair and `eks` is set; certificates and keys are PEM. With `eks`, server
    and authority are empty here: EKS says them, and signs the hub in, whenever the cluster is dialled.
    `granted_at`/`expires_at` are known for a token that states them (`exp`). `renewable` tells that the token is of
    the service account `pullpass-system/pullpass-hub`, which may ask for its own next one.
    """

    server: str
    certificate_authority: str | None = None
    token: str | None = field(default=None, repr=False)
    client_certificate: str | None = None
    client_key: str | None = field(default=None, repr=False)
    tls_server_name: str | None = None
    proxy: str | None = None
    granted_at: datetime | None = None
    expires_at: datetime | None = None
    renewable: bool = False
    eks: EksCluster | None = None
    timeout_seconds: float = 10.0
    agent_image: str | None = None
    aws: AwsAccess = field(default_factory=AwsAccess)


def to_json(connection: Connection) -> dict[str, Any]:
    """The form `fleet` seals: holds secrets."""
    return {
        "server": connection.server,
        "certificateAuthority": connection.certificate_authority,
        "token": connection.token,
        "clientCertificate": connection.client_certificate,
        "clientKey": connection.client_key,
        "tlsServerName": connection.tls_server_name,
        "proxy": connection.proxy,
        "grantedAt": None if connection.granted_at is None else format_time(connection.granted_at),
        "expiresAt": None if connection.expires_at is None else format_time(connection.expires_at),
        "renewable": connection.renewable,
        "eks": None if connection.eks is None else eks.to_json(connection.eks),
        "timeoutSeconds": connection.timeout_seconds,
        "agentImage": connection.agent_image,
        "aws": aws_access_to_json(connection.aws),
    }


def from_json(document: Mapping[str, Any]) -> Connection:
    """The inverse of `to_json`.

    Raises:
        ValueError: a member is missing or of another type; the message names it, never its value.
    """
    members = Members(document)
    return Connection(
        server=members.text("server"),
        certificate_authority=members.optional_text("certificateAuthority"),
        token=members.optional_text("token"),
        client_certificate=members.optional_text("clientCertificate"),
        client_key=members.optional_text("clientKey"),
        tls_server_name=members.optional_text("tlsServerName"),
        proxy=members.optional_text("proxy"),
        granted_at=members.optional_time("grantedAt"),
        expires_at=members.optional_time("expiresAt"),
        renewable=members.boolean("renewable", default=False),
        eks=eks.from_json(members.member("eks")) if members.has("eks") else None,
        timeout_seconds=members.number("timeoutSeconds", 10.0),
        agent_image=members.optional_text("agentImage"),
        aws=aws_access_from_json(members.member("aws")),
    )


def aws_access_to_json(access: AwsAccess) -> dict[str, Any]:
    """`access` by the names of the `-connection` body; members that are None are left out."""
    members = {wire: getattr(access, name) for wire, name in AWS_ACCESS_MEMBERS.items()}
    return {wire: value for wire, value in members.items() if value is not None}


def aws_access_from_json(members: Members) -> AwsAccess:
    """The inverse of `aws_access_to_json`."""
    return AwsAccess(**{name: members.optional_text(wire) for wire, name in AWS_ACCESS_MEMBERS.items()})


AWS_ACCESS_MEMBERS = {
    "stsEndpoint": "sts_endpoint",
    "ecrEndpoint": "ecr_endpoint",
    "ecrPublicEndpoint": "ecr_public_endpoint",
    "registryEndpoint": "registry_endpoint",
    "metadataEndpoint": "metadata_endpoint",
    "httpsProxy": "https_proxy",
    "noProxy": "no_proxy",
    "caBundle": "ca_bundle",
}
