"""What a pull secret holds: the entries of all registries that there is a credential for. Pure.

Called by `agent.secrets.filling` for each secret and by `agent.secrets.loop` for what labelled secrets get.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aws.credentials import RegistryCredential
from aws.docker_config import docker_config
from aws.registry_hosts import PUBLIC_HOSTS, RegistryHost


@dataclass(frozen=True)
class LabelledContent:
    """A whole `.dockerconfigjson` (not in base64), from when on it is good, until when, and for which role ("": several).

    Named for its first use: what labelled secrets are filled with.
    """

    data: bytes = field(repr=False)
    issued_at: datetime
    expires_at: datetime
    role_arn: str


@dataclass(frozen=True)
class Offer:
    """What there is to give: the registries wanted, credentials by region (the good ones), and whose they are.

    `role_arn` is "" where they are no role's.
    """

    registries: tuple[RegistryHost, ...]
    credentials: Mapping[str, RegistryCredential]
    role_arn: str

    @property
    def complete(self) -> bool:
        """Whether every registry has a credential."""
        return bool(self.registries) and all(
            registry.region in self.credentials for registry in self.registries
        )


def hosts_of(registries: Iterable[RegistryHost]) -> Mapping[str, str]:
    """Every `auths` entry that is wanted: host or glob, to the region whose credential opens it."""
    entries = {}
    for registry in registries:
        hosts = PUBLIC_HOSTS if registry.is_public else (registry.host, registry.wildcard)
        entries.update(dict.fromkeys(hosts, registry.region))
    return entries


def filled(offer: Offer, standing: LabelledContent | None, now: datetime) -> LabelledContent | None:
    """The content that `offer` makes; None when there is nothing to give.

    Where a region has no credential now, its entries in `standing` (what is there already) stay as long as they are
    good: a failure never takes away what still works.
    """
    wanted = hosts_of(offer.registries)
    fresh = {
        host: offer.credentials[region] for host, region in wanted.items() if region in offer.credentials
    }
    if not fresh:
        return None
    used = fresh.values()
    made = LabelledContent(
        docker_config(fresh),
        min(credential.issued_at for credential in used),
        min(credential.expires_at for credential in used),
        offer.role_arn,
    )
    if standing is None or now >= standing.expires_at:
        return made
    kept = {
        host: entry for host, entry in auths_of(standing.data).items() if host in wanted.keys() - fresh.keys()
    }
    if not kept:
        return made
    entries = {**kept, **auths_of(made.data)}
    return LabelledContent(
        json.dumps({"auths": entries}, separators=(",", ":"), sort_keys=True).encode(),
        min(made.issued_at, standing.issued_at),
        min(made.expires_at, standing.expires_at),
        made.role_arn if made.role_arn == standing.role_arn else "",
    )


def covers(content: LabelledContent, registries: Iterable[RegistryHost]) -> bool:
    """Whether every registry has an entry."""
    return hosts_of(registries).keys() <= auths_of(content.data).keys()


def auths_of(data: bytes) -> Mapping[str, Any]:
    """The entries of a `.dockerconfigjson`; none where it cannot be read."""
    try:
        found = json.loads(data)["auths"]
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
