"""What is claimed: pull secrets by a name, in namespaces, for registries, with an identity.

The add-on's settings make one or two claims, every custom resource makes one; the agent's loop serves them all alike
and knows no source by name. Pure. Made by `agent.secrets.add_on` and `agent.custom_resources`; served by
`agent.secrets.loop`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from agent.secrets.identity import CredentialKey, Identity
from aws.registry_hosts import RegistryHost


class ClaimSource(IntEnum):
    """Where a claim comes from, in the order that decides when two claim one secret: the first has it."""

    ADD_ON = 0  # settings.awsECR.pullSecret
    PUBLIC = 1  # settings.awsECR.pullSecret.publicName
    CUSTOM = 2  # an ECRPullSecret of pullpass.dev
    ADOPTED = 3  # an object of an older operator's CRD


@dataclass(frozen=True, order=True)
class ClaimKey:
    """`name` is the custom resource's, "" for the add-on's own."""

    source: ClaimSource
    name: str = ""


@dataclass(frozen=True)
class Selection:
    """Which namespaces: names (globs), labels and exclusions (globs) all narrow; empty ones select all.

    Our own namespace is never selected. `none` selects nothing (a custom resource that names no namespace).
    """

    namespaces: tuple[str, ...] = ()
    namespace_selector: Mapping[str, str] = field(default_factory=dict)
    exclude_namespaces: tuple[str, ...] = ()
    none: bool = False


@dataclass(frozen=True)
class Claim:
    """One wanted pull secret.

    `service_accounts` is `all`, `default`, `none` or names. A `suspended` claim keeps what stands and changes
    nothing. `registries` may be empty where they are not known yet.
    """

    key: ClaimKey
    secret_name: str
    selection: Selection
    service_accounts: str | tuple[str, ...]
    registries: tuple[RegistryHost, ...]
    identity: Identity
    suspended: bool = False

    @property
    def credential_keys(self) -> frozenset[CredentialKey]:
        """The ECR calls that this claim needs."""
        return frozenset(CredentialKey(self.identity, registry.region) for registry in self.registries)
