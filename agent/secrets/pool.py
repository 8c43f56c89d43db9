"""The credentials of the agent: one for each identity and region, whatever the number of claims and namespaces.

A credential is replaced only by a newer one, never by a failure. When it is to be refreshed is drawn once, when it is
issued, and outlives restarts (`agent.secrets.store`). Pure but for its lock: `now` is passed in, and chance.
Called by `agent.secrets.fetching` and `agent.secrets.loop`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from agent.secrets.claims import Claim
from agent.secrets.content import Offer
from agent.secrets.identity import CredentialKey, Identity
from agent.secrets.store import StoredCredential
from aws.credentials import RegistryCredential
from aws.identities import WebIdentity
from aws.registry_hosts import RegistryHost
from reconcile.clock import Random

# The middle third of a credential's life: an outage of AWS has four hours of twelve before anybody notices, and the
# clusters of a fleet that began together do not go on together.
EARLIEST_REFRESH, LATEST_REFRESH = 1 / 3, 2 / 3


class CredentialPool:
    """One credential per key. Safe for several threads."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._lock = threading.Lock()
        self._held: dict[str, StoredCredential] = {}

    def restore(self, stored: Mapping[str, StoredCredential]) -> None:
        """Takes over what the last leader kept."""
        with self._lock:
            self._held = dict(stored)

    def put(self, key: CredentialKey, credential: RegistryCredential) -> None:
        """Serves `credential` from now on."""
        life = (credential.expires_at - credential.issued_at).total_seconds()
        due_after = timedelta(seconds=life * self._random.uniform(EARLIEST_REFRESH, LATEST_REFRESH))
        name = name_of(key)
        with self._lock:
            self._held[name] = StoredCredential(
                name, key.identity.named, role_of(key.identity), credential, credential.issued_at + due_after
            )

    def refresh_in(self, key: CredentialKey, now: datetime) -> float:
        """Seconds until a new credential is due; 0 when it is due now."""
        with self._lock:
            held = self._held.get(name_of(key))
        return 0.0 if held is None else max(0.0, (held.refresh_at - now).total_seconds())

    def good(self, key: CredentialKey, now: datetime) -> RegistryCredential | None:
        """What may be given out for `key` now."""
        with self._lock:
            held = self._held.get(name_of(key))
        return held.credential if held is not None and now < held.credential.expires_at else None

    def offer(self, identity: Identity, registries: tuple[RegistryHost, ...], now: datetime) -> Offer:
        """What there is for these registries now."""
        found = {
            region: self.good(CredentialKey(identity, region), now)
            for region in {registry.region for registry in registries}
        }
        good = {region: credential for region, credential in found.items() if credential is not None}
        return Offer(registries, good, role_of(identity))

    def offer_for(self, claim: Claim, now: datetime) -> Offer:
        """What there is for a claim now."""
        return self.offer(claim.identity, claim.registries, now)

    def keep_only(self, keys: Iterable[CredentialKey]) -> bool:
        """Forgets what is no longer wanted; whether there was any."""
        wanted = {name_of(key) for key in keys}
        with self._lock:
            before = len(self._held)
            self._held = {name: held for name, held in self._held.items() if name in wanted}
            return len(self._held) < before

    def stored(self, now: datetime) -> tuple[StoredCredential, ...]:
        """All that is good, to be kept, in order of names."""
        with self._lock:
            return tuple(held for _, held in sorted(self._held.items()) if now < held.credential.expires_at)


@lru_cache(maxsize=1024)
def name_of(key: CredentialKey) -> str:
    """What a credential is kept under; remembered, because every namespace asks for it."""
    return f"{key.identity.digest}.{key.region}"


def role_of(identity: Identity) -> str:
    """The role that the credential is for; "" where it is a key pair's or the instance's own."""
    if identity.roles:
        return identity.roles[-1].role_arn
    return identity.source.role_arn if isinstance(identity.source, WebIdentity) else ""
