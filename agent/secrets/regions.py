"""One region's duty: a credential that is good, and a proof that it opens what it should.

Decides when to walk (a refresh is due, an hour has passed, the configuration changed, the last walk failed), when
the last hop alone will do, and what of a failure is told. Called by `agent.secrets.loop` for the key of a region.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent.nodes.summing import Secrets
from agent.secrets.credentials import CredentialCache, Identity
from agent.secrets.verification import AwsCalls, RegionWalk, check_registries, endpoints_of, walk
from aws.hops import AwsFailure, Hop, HopName
from aws.registry_hosts import RegistryHost
from reconcile.clock import Random
from schemas.agent_documents import AgentConfiguration, AgentReport

# IAM is eventually consistent: what it refuses in the first minute after a change may be true a moment later.
EVENTUAL_SECONDS = 60.0
EVENTUAL_RETRY_SECONDS = 5.0
WALK_EVERY_SECONDS = 3600.0
_JITTER = 0.1


def identity_of(configuration: AgentConfiguration) -> Identity:
    """Whose credentials this configuration asks for, and by which way."""
    return Identity(configuration.role_arn, configuration.audience, endpoints_of(configuration.aws))


@dataclass(frozen=True)
class Wanted:
    """What the agent is to do now: the configuration, since when, and the registries it comes to.

    `changed_at` is when this generation was taken up, or the agent started. `secrets` is what is to become of pull
    secrets; without any, there are no registries.
    """

    configuration: AgentConfiguration
    changed_at: datetime
    registries: tuple[RegistryHost, ...]
    secrets: Secrets = Secrets.FILL

    @property
    def regions(self) -> tuple[str, ...]:
        """In order, each once."""
        return tuple(sorted({registry.region for registry in self.registries}))

    @property
    def identity(self) -> Identity:
        """What credentials are fetched with."""
        return identity_of(self.configuration)

    @property
    def sts_region(self) -> str:
        """Where STS is asked: in the configured region, else the first registry's."""
        return self.configuration.region or self.registries[0].region

    def registries_of(self, region: str) -> tuple[RegistryHost, ...]:
        """Those of one region."""
        return tuple(registry for registry in self.registries if registry.region == region)


@dataclass(frozen=True)
class Proof:
    """What the last walk of a region found; `again_at` is when a whole one is due, whatever it found.

    `verified_at` is the last time that all of it succeeded.
    """

    generation: int
    registries: tuple[RegistryHost, ...]
    hops: tuple[Hop, ...]
    again_at: datetime
    verified_at: datetime | None
    recheck: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether every hop let us through."""
        return all(hop.succeeded for hop in self.hops)


@dataclass(frozen=True)
class Visit:
    """What a visit to a region came to.

    `refreshed`: namespaces have something new to get. `failure` is to be told, and retried with back-off; without
    one, `come_back_in` says in how many seconds something is due.
    """

    refreshed: bool = False
    failure: AwsFailure | None = None
    come_back_in: float = 0.0


class Regions:
    """The proofs and the credentials, region by region. Safe for several threads, one per region at a time."""

    def __init__(self, aws: AwsCalls, cache: CredentialCache, *, token_file: str, random: Random) -> None:
        self._aws = aws
        self._cache = cache
        self._token_file = token_file
        self._random = random
        self._lock = threading.Lock()
        self._proofs: dict[str, Proof] = {}

    def proofs(self) -> Mapping[str, Proof]:
        """By region: what was found last."""
        with self._lock:
            return dict(self._proofs)

    def all_proven(self, wanted: Wanted) -> bool:
        """Whether every region was walked under this generation, whatever the walk found."""
        proofs, generation = self.proofs(), wanted.configuration.generation
        return all(region in proofs and proofs[region].generation == generation for region in wanted.regions)

    def keep_only(self, regions: Sequence[str]) -> None:
        """Forgets the regions that are no longer wanted."""
        with self._lock:
            self._proofs = {region: proof for region, proof in self._proofs.items() if region in regions}
        self._cache.keep_only(regions)

    def take_over(self, report: AgentReport, wanted: Wanted, now: datetime) -> None:
        """Goes on where the last agent was: its proof stands for the rest of its hour, but for the last hop.

        Only for regions whose credential was recovered, and only when it speaks of the same generation.
        """
        if report.generation != wanted.configuration.generation or report.verified_at is None:
            return
        again_at = report.verified_at + timedelta(seconds=self._walk_every())
        if again_at <= now or report.verified_at > now or not all(hop.succeeded for hop in report.hops):
            return
        hops = tuple(Hop(HopName(hop.name), succeeded=True) for hop in report.hops)
        with self._lock:
            for region in set(wanted.regions) & self._cache.regions():
                self._proofs[region] = Proof(
                    generation=report.generation,
                    registries=wanted.registries_of(region),
                    hops=hops,
                    again_at=again_at,
                    verified_at=report.verified_at,
                    recheck=True,
                )

    def visit(self, region: str, wanted: Wanted, now: datetime) -> Visit:
        """Does what is due for `region`, and says when to come back."""
        with self._lock:
            proof = self._proofs.get(region)
        registries = wanted.registries_of(region)
        generation = wanted.configuration.generation
        served = self._cache.good([region], now).get(region)
        current = proof is not None and proof.generation == generation and proof.registries == registries
        if proof is None or served is None or not current or self._whole_walk_due(region, proof, wanted, now):
            found = walk(
                self._aws,
                wanted.configuration,
                sts_region=wanted.sts_region,
                registries=registries,
                token_file=self._token_file,
                now=now,
            )
            again_at = now + timedelta(seconds=self._walk_every())
        elif proof.recheck or not proof.succeeded:
            last = check_registries(self._aws, wanted.configuration, credential=served, registries=registries)
            found = replace(last, hops=(*proof.hops[:-1], *last.hops))
            again_at = proof.again_at
        else:
            return Visit(come_back_in=self._next(region, proof, wanted, now))
        verified_at = proof.verified_at if proof is not None else None
        return self._settle(
            region,
            wanted,
            found,
            Proof(
                generation=generation,
                registries=registries,
                hops=found.hops,
                again_at=again_at,
                verified_at=now if found.failure is None else verified_at,
            ),
            now,
        )

    def _whole_walk_due(self, region: str, proof: Proof, wanted: Wanted, now: datetime) -> bool:
        stopped_early = not proof.succeeded and proof.hops[-1].name is not HopName.REGISTRY
        refresh_due = self._cache.refresh_in(region, wanted.identity, now) <= 0.0
        return stopped_early or refresh_due or now >= proof.again_at

    def _settle(self, region: str, wanted: Wanted, found: RegionWalk, proof: Proof, now: datetime) -> Visit:
        refreshed = self._serve(region, wanted, found, now)
        failure = found.failure
        young = (now - wanted.changed_at).total_seconds() < EVENTUAL_SECONDS
        if failure is not None and failure.eventual and young:
            return Visit(refreshed=refreshed, come_back_in=EVENTUAL_RETRY_SECONDS)
        with self._lock:
            self._proofs[region] = proof
        if failure is None:
            return Visit(refreshed=refreshed, come_back_in=self._next(region, proof, wanted, now))
        if failure.hop is HopName.REGISTRY and self._cache.is_recovered(region):
            self._cache.distrust(region)
        return Visit(refreshed=refreshed, failure=failure)

    def _serve(self, region: str, wanted: Wanted, found: RegionWalk, now: datetime) -> bool:
        """Takes a fetched credential up where one was due; a proof in between throws its own away."""
        credential = found.credential
        identity = wanted.identity
        if credential is None or self._cache.refresh_in(region, identity, now) > 0.0:
            return False
        if credential in self._cache.good([region], now).values():
            return False
        self._cache.put(credential, identity)
        return True

    def _next(self, region: str, proof: Proof, wanted: Wanted, now: datetime) -> float:
        refresh_in = self._cache.refresh_in(region, wanted.identity, now)
        return max(0.0, min(refresh_in, (proof.again_at - now).total_seconds()))

    def _walk_every(self) -> float:
        return WALK_EVERY_SECONDS * self._random.uniform(1 - _JITTER, 1 + _JITTER)
