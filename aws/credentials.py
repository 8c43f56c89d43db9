"""What the calls to AWS share: where they go, what signs them, and what they give.

Made by `aws.sessions` and `aws.ecr`; used by the agent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class AwsEndpoints:
    """Overrides for one cluster; None: AWS's own. `ca_bundle` is a PEM text added to the system's.

    `ecr` is the API of private registries, `ecr_public` that of ECR Public; `registry` is where every registry is
    reached, under its own `Host`; `metadata` is where the instance metadata service answers.
    """

    sts: str | None = None
    ecr: str | None = None
    ecr_public: str | None = None
    registry: str | None = None
    metadata: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    ca_bundle: str | None = None


@dataclass(frozen=True)
class SessionCredentials:
    """What signs calls: a session of STS or of the instance, or a key pair as it was given (`aws.sessions`).

    `expires_at` is None for given keys, which have a `session_token` only if they came with one.
    """

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(repr=False)
    expires_at: datetime | None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never stand in anybody's words."""
        return tuple(filter(None, (self.access_key_id, self.secret_access_key, self.session_token)))

    @property
    def are_given(self) -> bool:
        """Whether a person gave them: what AWS says against them, a person has to mend."""
        return self.expires_at is None


@dataclass(frozen=True)
class RegistryCredential:
    """What GetAuthorizationToken gave: opens every registry of `region` that the identity may read.

    `region` is `aws.registry_hosts.PUBLIC` where it opens ECR Public.
    """

    region: str
    username: str
    password: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime
