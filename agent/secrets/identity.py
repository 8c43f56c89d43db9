"""Whose credentials a pull secret holds. Pure; nothing here is a secret: a key pair is named, never held.

Equal identities share one ECR call per region. Called by `agent.secrets.claims` and all that keep credentials.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

from aws.credentials import AwsEndpoints
from aws.identities import InstanceMetadata, RoleLink, WebIdentity


@dataclass(frozen=True)
class StoredKeys:
    """A key pair in a Secret; the three `…_key` name its data keys.

    `version` is the Secret's `uid/resourceVersion`, "" while it is not there: a changed Secret is another identity,
    so its credentials are fetched anew.
    """

    namespace: str
    name: str
    access_key_id_key: str = "AWS_ACCESS_KEY_ID"
    secret_access_key_key: str = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a key
    session_token_key: str = "AWS_SESSION_TOKEN"  # noqa: S105 - the name of a key
    version: str = ""


@dataclass(frozen=True)
class Identity:
    """Where credentials come from, and by which way AWS is asked; `roles` are assumed one after the other."""

    source: WebIdentity | StoredKeys | InstanceMetadata
    roles: tuple[RoleLink, ...] = ()
    endpoints: AwsEndpoints = field(default_factory=AwsEndpoints)

    @property
    def digest(self) -> str:
        """16 hex digits that stand for this identity in the store, in metrics and in the report."""
        members = {"source": type(self.source).__name__, **asdict(self)}
        return hashlib.sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def named(self) -> str:
        """In words: the ARN of the last role, or where the keys are."""
        if self.roles:
            return self.roles[-1].role_arn
        match self.source:
            case WebIdentity(role_arn=role_arn):
                return role_arn
            case StoredKeys(namespace=namespace, name=name):
                return f"the keys in secret {namespace}/{name}"
            case InstanceMetadata():
                return "the instance's role"


@dataclass(frozen=True)
class CredentialKey:
    """One ECR call: an identity in a region (`aws.registry_hosts.PUBLIC` for ECR Public)."""

    identity: Identity
    region: str
