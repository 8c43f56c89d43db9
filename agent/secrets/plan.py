"""The plan: everything that is wanted now, from the add-on's settings and from all claimants. Pure.

Made by `agent.secrets.loop` whenever something of it may have changed; read by all that act on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from agent.nodes.summing import Secrets
from agent.secrets import add_on, verification
from agent.secrets.claims import Claim, ClaimKey, ClaimSource
from agent.secrets.identity import CredentialKey, Identity
from agent.secrets.selection import selects_namespace
from agent.secrets.verification import Asked
from aws.registry_hosts import RegistryHost, partition_of
from schemas.agent_documents import AgentConfiguration

_OWN = (ClaimSource.ADD_ON, ClaimSource.PUBLIC)


@dataclass(frozen=True)
class Plan:
    """What the agent is to do now.

    `configured_at` is when this configuration was taken up, or the agent started. `registries` are the add-on's; none
    as long as none is known, or nothing of it needs a credential. `secrets` is what is to become of the add-on's own
    pull secrets. `claims` are in the order of their keys, the add-on's included. `complete`: all claimants have
    spoken; until then nothing of theirs is taken back.
    """

    configuration: AgentConfiguration
    configured_at: datetime
    registries: tuple[RegistryHost, ...]
    secrets: Secrets
    claims: tuple[Claim, ...] = ()
    complete: bool = True
    serial: int = 0

    @cached_property
    def identity(self) -> Identity:
        """The add-on's."""
        return add_on.identity_of(self.configuration)

    @cached_property
    def own_keys(self) -> tuple[CredentialKey, ...]:
        """The add-on's credentials, in the order of their regions."""
        regions = sorted({registry.region for registry in self.registries})
        identity = self.identity
        return tuple(CredentialKey(identity, region) for region in regions)

    @cached_property
    def keys(self) -> tuple[CredentialKey, ...]:
        """All credentials that are fetched, the add-on's first. Suspended claims fetch nothing."""
        if self.configuration.removing:
            return ()
        claimed = [
            key
            for claim in self.claims
            if not claim.suspended
            for key in sorted(claim.credential_keys, key=lambda key: key.region)
        ]
        return tuple(dict.fromkeys([*self.own_keys, *claimed]))

    @cached_property
    def kept_keys(self) -> frozenset[CredentialKey]:
        """All credentials that are worth keeping: those of suspended claims too."""
        return frozenset({*self.own_keys, *(key for claim in self.claims for key in claim.credential_keys)})

    @cached_property
    def own_claims(self) -> tuple[Claim, ...]:
        """The add-on's."""
        return tuple(claim for claim in self.claims if claim.key.source in _OWN)

    @cached_property
    def others(self) -> tuple[Claim, ...]:
        """Those of claimants."""
        return tuple(claim for claim in self.claims if claim.key.source not in _OWN)

    @cached_property
    def suspended(self) -> frozenset[ClaimKey]:
        """The claims that keep what stands, also where they would not select it any more."""
        return frozenset(claim.key for claim in self.claims if claim.suspended)

    def registries_of(self, key: CredentialKey) -> tuple[RegistryHost, ...]:
        """All registries that somebody wants to open with a key, each once."""
        own = [registry for registry in self.registries if key in self.own_keys]
        claimed = [
            registry
            for claim in self.claims
            if claim.identity == key.identity
            for registry in claim.registries
        ]
        found = [registry for registry in (*own, *claimed) if registry.region == key.region]
        return tuple(dict.fromkeys(found))

    def asked(self, key: CredentialKey) -> Asked:
        """The walk for a key: the add-on's are proven to the registry, others are only fetched."""
        configuration = self.configuration
        own = key in self.own_keys
        registries = tuple(each for each in self.registries if own and each.region == key.region)
        sts_region = configuration.region or (self.registries[0].region if own else key.region)
        if not own and partition_of(sts_region) != partition_of(key.region):
            sts_region = key.region
        session_name = verification.session_name(configuration)
        return Asked(key, registries, configuration.verify_image, sts_region, session_name)

    def keys_changed_since(self, before: Plan | None) -> tuple[CredentialKey, ...]:
        """The credentials of which something else is asked than by `before`; each of `keys` without one."""
        if before is None or before.configuration != self.configuration:
            return self.keys
        known = {key: before.asked(key) for key in before.keys}
        return tuple(key for key in self.keys if known.get(key) != self.asked(key))

    def claims_in(self, namespace: str, labels: Mapping[str, str]) -> tuple[Claim, ...]:
        """The claims that select a namespace, in the order of their keys."""
        return tuple(claim for claim in self.claims if selects_namespace(claim.selection, namespace, labels))

    def only_holds(self, claim: Claim) -> bool:
        """Whether a claim only keeps good what stands, and makes nothing new."""
        return self.secrets is Secrets.HOLD and claim.key.source in _OWN

    def says_the_same(self, other: Plan | None) -> bool:
        """Whether nothing has to be looked at again."""
        return other is not None and replace(self, serial=other.serial) == other


def merged(own: Iterable[Claim], others: Iterable[Claim], before: Iterable[Claim]) -> tuple[Claim, ...]:
    """All claims in order, each key once; equal ones are the same objects as `before`, so that `is` tells a change."""
    known = {claim.key: claim for claim in before}
    found: dict[ClaimKey, Claim] = {}
    for claim in (*own, *others):
        same = known.get(claim.key)
        found.setdefault(claim.key, same if same == claim and same is not None else claim)
    return tuple(found[key] for key in sorted(found))
