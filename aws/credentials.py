"""From a web identity token to an ECR credential: the I/O half (STS, ECR), and the registry's answer.

Every failure leaves as `aws.hops.AwsFailure`. Used by the agent; by the hub's doctor later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class AwsEndpoints:
    """Overrides for one cluster; None: AWS's own. `ca_bundle` is a PEM text added to the system's."""

    sts: str | None = None
    ecr: str | None = None
    registry: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    ca_bundle: str | None = None


@dataclass(frozen=True)
class SessionCredentials:
    """What AssumeRoleWithWebIdentity gave."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class RegistryCredential:
    """What GetAuthorizationToken gave: opens every registry of `region` that the role may read."""

    region: str
    username: str
    password: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime
