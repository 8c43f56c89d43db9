"""The body of `PUT …/-connection`: how the hub reaches one cluster, and what it must not be.

Write-only on the wire. Called by `addon_api` (to refuse) and by `controller` (to read what `fleet` unsealed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class AwsAccess:
    """How this cluster reaches AWS: admin settings; None means AWS's own public endpoint, no proxy."""

    sts_endpoint: str | None = None
    ecr_endpoint: str | None = None
    registry_endpoint: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    ca_bundle: str | None = None  # PEM, added to the system's


@dataclass(frozen=True)
class Connection:
    """One cluster's API server and the credential for it.

    Exactly one of `token` and the client certificate pair is set; certificates and keys are PEM.
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
    timeout_seconds: float = 10.0
    agent_image: str | None = None
    aws: AwsAccess = field(default_factory=AwsAccess)


def parse(body: Mapping[str, Any], *, now: datetime, allow_loopback: bool) -> Connection:
    """Reads `{kubeconfig: str | {server, certificateAuthorityData, token, …}, settings: {…}}`.

    Raises:
        schemas.errors.Invalid: `exec`, `auth-provider`, file paths, `insecure-skip-tls-verify`, plain http, a
            link-local address, and (unless `allow_loopback`) a loopback one are refused, each saying why.
    """
    raise NotImplementedError


def to_json(connection: Connection) -> dict[str, Any]:
    """The form `fleet` seals: holds secrets."""
    raise NotImplementedError


def from_json(document: Mapping[str, Any]) -> Connection:
    """The inverse of `to_json`."""
    raise NotImplementedError
