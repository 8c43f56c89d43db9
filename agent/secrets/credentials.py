"""The credentials of the agent: one per region, whatever the number of namespaces.

A credential is replaced only by a newer one, never by a failure; it is due for refresh at about half of its life,
or at once when the configuration asks for another identity. Pure but for its lock: `now` is passed in, and chance.
Called by `agent.secrets.loop` and `agent.secrets.filling`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from aws.credentials import AwsEndpoints, RegistryCredential
from reconcile.clock import Random

# An outage of AWS has half of a credential's life (six hours) before anybody notices; the jitter keeps the clusters
# of a fleet from asking together.
EARLIEST_REFRESH, LATEST_REFRESH = 0.45, 0.55


@dataclass(frozen=True)
class Identity:
    """What a credential is fetched with: another one is another credential."""

    role_arn: str
    audience: str
    endpoints: AwsEndpoints


@dataclass(frozen=True)
class _Held:
    credential: RegistryCredential
    identity: Identity | None  # None: recovered for a role that is not known
    refresh_at: datetime
    recovered: bool


class CredentialCache:
    """One credential per region. Safe for several threads."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}

    def put(
        self, credential: RegistryCredential, identity: Identity | None, *, recovered: bool = False
    ) -> None:
        """Serves `credential` from now on. `recovered`: found in a secret of ours, not fetched."""
        life = (credential.expires_at - credential.issued_at).total_seconds()
        due_after = timedelta(seconds=life * self._random.uniform(EARLIEST_REFRESH, LATEST_REFRESH))
        held = _Held(credential, identity, credential.issued_at + due_after, recovered)
        with self._lock:
            self._held[credential.region] = held

    def refresh_in(self, region: str, identity: Identity, now: datetime) -> float:
        """Seconds until a new credential is due; 0 when it is due now."""
        with self._lock:
            held = self._held.get(region)
        if held is None or held.identity != identity:
            return 0.0
        return max(0.0, (held.refresh_at - now).total_seconds())

    def good(self, regions: Iterable[str], now: datetime) -> Mapping[str, RegistryCredential]:
        """By region: what may be given to namespaces now, expired ones left out."""
        with self._lock:
            return {
                region: self._held[region].credential
                for region in regions
                if region in self._held and now < self._held[region].credential.expires_at
            }

    def role_of(self, regions: Iterable[str]) -> str:
        """The ARN of the role that the credentials of all `regions` are for; "" when that is not one role."""
        with self._lock:
            identities = {self._held[region].identity for region in regions if region in self._held}
        roles = {identity.role_arn if identity else "" for identity in identities}
        return roles.pop() if len(roles) == 1 else ""

    def is_recovered(self, region: str) -> bool:
        """Whether what is served was found in a secret, so that it may not be what AWS gave."""
        with self._lock:
            held = self._held.get(region)
        return held is not None and held.recovered

    def distrust(self, region: str) -> None:
        """A recovered credential was refused: it stays until there is another, which is due at once."""
        with self._lock:
            held = self._held.get(region)
            if held is not None:
                self._held[region] = _Held(held.credential, None, held.refresh_at, held.recovered)

    def keep_only(self, regions: Iterable[str]) -> None:
        """Forgets the credentials of regions that are no longer wanted."""
        wanted = set(regions)
        with self._lock:
            self._held = {region: held for region, held in self._held.items() if region in wanted}

    def regions(self) -> frozenset[str]:
        """Those a credential is held for."""
        with self._lock:
            return frozenset(self._held)
