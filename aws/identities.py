"""Who asks AWS for a credential: a web identity, a key pair or the instance, and the roles assumed on top of it.

Pure descriptions; `aws.sessions` makes credentials of them, for the agent's claims, and `aws.hub_identity` for the hub.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class WebIdentity:
    """A projected token exchanged for `role_arn` (AssumeRoleWithWebIdentity); `audience` is the token's."""

    role_arn: str
    audience: str


@dataclass(frozen=True)
class InstanceMetadata:
    """The role of the machine's own instance profile, by IMDSv2."""


@dataclass(frozen=True)
class AccessKeys:
    """A key pair, long-lived or with a session token. Read for one call and dropped: never stored, never logged."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class RoleLink:
    """One role of a chain: assumed (AssumeRole) with the credentials before it; chained sessions last an hour."""

    role_arn: str
    external_id: str | None = None


@dataclass(frozen=True)
class HubRole:
    """A role that the hub assumes for an organisation, and the external id that is sent with it: never none."""

    role_arn: str
    external_id: str
    session_name_prefix: str = ""
