"""The add-on's own claims: one pull secret for all registries, or a separate one for ECR Public. Pure.

Called by `agent.secrets.plan`.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.secrets import selection
from agent.secrets.claims import Claim, ClaimKey, ClaimSource
from agent.secrets.identity import Identity
from agent.secrets.verification import endpoints_of
from aws.identities import WebIdentity
from aws.registry_hosts import RegistryHost
from schemas.agent_documents import AgentConfiguration


def identity_of(configuration: AgentConfiguration) -> Identity:
    """Whose credentials the add-on's settings ask for, and by which way."""
    source = WebIdentity(configuration.role_arn, configuration.audience)
    return Identity(source, endpoints=endpoints_of(configuration.aws))


def claims_of(configuration: AgentConfiguration, registries: Sequence[RegistryHost]) -> tuple[Claim, ...]:
    """What `settings.awsECR.pullSecret` wants; `registries` is empty as long as none is known.

    Both claims are made then, so that what stands stays.
    """
    wanted = configuration.pull_secret
    public = tuple(registry for registry in registries if registry.is_public)
    others = tuple(registry for registry in registries if not registry.is_public)
    known = bool(registries)

    def claim(source: ClaimSource, name: str, found: tuple[RegistryHost, ...]) -> Claim:
        return Claim(
            key=ClaimKey(source),
            secret_name=name,
            selection=selection.of_settings(wanted),
            service_accounts=wanted.service_accounts,
            registries=found,
            identity=identity_of(configuration),
        )

    if wanted.public_name in (None, wanted.name) or (known and not public):
        return (claim(ClaimSource.ADD_ON, wanted.name, tuple(registries)),)
    made = [claim(ClaimSource.ADD_ON, wanted.name, others)] if others or not known else []
    return (*made, claim(ClaimSource.PUBLIC, wanted.public_name or "", public))
