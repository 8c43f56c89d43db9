"""One credential's upkeep: fetched when it is due, and, where it is the add-on's, proven to open what it should.

Decides when to walk (a refresh is due, an hour has passed, the configuration changed, the last walk failed), when
the last hop alone will do, and what of a failure is told. Called by `agent.secrets.loop` for the key of a credential.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent.secrets.identity import CredentialKey
from agent.secrets.plan import Plan
from agent.secrets.pool import CredentialPool
from agent.secrets.verification import Asked, AwsCalls, KeyWalk, Sources, check_registries, walk
from aws.hops import AwsFailure, Hop, HopName
from aws.registry_hosts import RegistryHost
from reconcile.clock import Random
from schemas.agent_documents import AgentReport

# IAM is eventually consistent: what it refuses in the first minute after a change may be true a moment later.
EVENTUAL_SECONDS = 60.0
EVENTUAL_RETRY_SECONDS = 5.0
WALK_EVERY_SECONDS = 3600.0
_JITTER = 0.1


@dataclass(frozen=True)
class Proof:
    """What the last walk for a key found; `again_at` is when a whole one is due, whatever it found.

    `registries` are those that were to be proven; `verified_at` is the last time that all of it succeeded.
    """

    generation: int
    registries: tuple[RegistryHost, ...]
    hops: tuple[Hop, ...]
    again_at: datetime
    verified_at: datetime | None

    @property
    def succeeded(self) -> bool:
        """Whether every hop let us through."""
        return all(hop.succeeded for hop in self.hops)


@dataclass(frozen=True)
class Failing:
    """A key whose last walk failed, and since when they do."""

    code: str
    message: str
    since: datetime


@dataclass(frozen=True)
class Awaiting:
    """A key that IAM refuses, which may be its eventual consistency: it is told as a failure only after `until`."""

    generation: int
    code: str
    message: str
    until: datetime


@dataclass(frozen=True)
class Visit:
    """What a visit came to.

    `refreshed`: namespaces have something new to get. `failure` is to be told, and retried with back-off; without
    one, `come_back_in` says in how many seconds something is due.
    """

    refreshed: bool = False
    failure: AwsFailure | None = None
    come_back_in: float = 0.0


class Fetching:
    """Credentials and their proofs, key by key. Safe for several threads, one per key at a time."""

    def __init__(self, aws: AwsCalls, pool: CredentialPool, sources: Sources, *, random: Random) -> None:
        self._aws = aws
        self._pool = pool
        self._sources = sources
        self._random = random
        self._lock = threading.Lock()
        self._proofs: dict[CredentialKey, Proof] = {}
        self._failing: dict[CredentialKey, Failing] = {}
        self._awaiting: dict[CredentialKey, Awaiting] = {}
        self._wanted_since: dict[CredentialKey, datetime] = {}

    def proofs(self) -> Mapping[CredentialKey, Proof]:
        """What was found last."""
        with self._lock:
            return dict(self._proofs)

    def failing(self) -> Mapping[CredentialKey, Failing]:
        """Those whose last walk failed."""
        with self._lock:
            return dict(self._failing)

    def awaiting(self) -> Mapping[CredentialKey, Awaiting]:
        """Those that IAM refuses so far."""
        with self._lock:
            return dict(self._awaiting)

    def all_walked(self, plan: Plan) -> bool:
        """Whether every key of the add-on was walked under this generation, whatever the walk found."""
        generation = plan.configuration.generation
        walked: Mapping[CredentialKey, Proof | Awaiting] = {**self.proofs(), **self.awaiting()}
        return all(key in walked and walked[key].generation == generation for key in plan.own_keys)

    def follow(self, keys: Collection[CredentialKey], now: datetime) -> None:
        """Forgets the keys that are no longer wanted."""
        with self._lock:
            self._proofs = {key: proof for key, proof in self._proofs.items() if key in keys}
            self._failing = {key: failing for key, failing in self._failing.items() if key in keys}
            self._awaiting = {key: awaited for key, awaited in self._awaiting.items() if key in keys}
            self._wanted_since = {key: self._wanted_since.get(key, now) for key in keys}

    def take_over(self, report: AgentReport, plan: Plan, now: datetime) -> None:
        """Goes on where the last leader was: its proof stands for the rest of its hour.

        Only for keys whose credential was kept, and only when all of it succeeded under the same generation.
        """
        if report.generation != plan.configuration.generation or report.verified_at is None:
            return
        again_at = report.verified_at + timedelta(seconds=self._walk_every())
        succeeded = all(hop.succeeded for hop in report.hops)
        if again_at <= now or report.verified_at > now or not report.hops or not succeeded:
            return
        hops = tuple(Hop(HopName(hop.name), succeeded=True) for hop in report.hops)
        with self._lock:
            for key in plan.own_keys:
                if self._pool.good(key, now) is not None:
                    registries = plan.asked(key).registries
                    self._proofs[key] = Proof(
                        report.generation, registries, hops, again_at, report.verified_at
                    )

    def visit(self, key: CredentialKey, plan: Plan, now: datetime) -> Visit:
        """Does what is due for `key`, and says when to come back.

        Raises:
            kube.errors.KubeError: the cluster's API failed while keys were read.
        """
        with self._lock:
            proof = self._proofs.get(key)
        asked = plan.asked(key)
        served = self._pool.good(key, now)
        if served is None or self._whole_walk_due(key, proof, plan, now):
            found = walk(self._aws, asked, self._sources, now)
            again_at = now + timedelta(seconds=self._walk_every())
        elif proof is not None and asked.registries and not proof.succeeded:
            last = check_registries(self._aws, asked, served)
            found = replace(last, hops=(*proof.hops[:-1], *last.hops))
            again_at = proof.again_at
        else:
            return Visit(come_back_in=self._next(key, proof, now))
        return self._settle(asked, plan, found, (proof, again_at), now)

    def _whole_walk_due(self, key: CredentialKey, proof: Proof | None, plan: Plan, now: datetime) -> bool:
        if self._pool.refresh_in(key, now) <= 0.0:
            return True
        registries = plan.asked(key).registries
        if not registries:
            return False
        if (
            proof is None
            or proof.generation != plan.configuration.generation
            or proof.registries != registries
        ):
            return True
        stopped_early = not proof.succeeded and proof.hops[-1].name is not HopName.REGISTRY
        return stopped_early or now >= proof.again_at

    def _settle(
        self,
        asked: Asked,
        plan: Plan,
        found: KeyWalk,
        last: tuple[Proof | None, datetime],
        now: datetime,
    ) -> Visit:
        key, (before, again_at) = asked.key, last
        refreshed = self._serve(key, found, now)
        failure = found.failure
        with self._lock:
            since = max(plan.configured_at, self._wanted_since.get(key, plan.configured_at))
        told_from = since + timedelta(seconds=EVENTUAL_SECONDS)
        if failure is not None and failure.eventual and now < told_from:
            generation = plan.configuration.generation
            with self._lock:
                self._awaiting[key] = Awaiting(generation, failure.code, failure.message, told_from)
                known = self._failing.get(key)
                if known is not None and known.code != failure.code:
                    del self._failing[key]  # something was mended, and this is what comes behind it
            return Visit(refreshed=refreshed, come_back_in=EVENTUAL_RETRY_SECONDS)
        verified_at = before.verified_at if before is not None else None
        proof = Proof(
            generation=plan.configuration.generation,
            registries=asked.registries,
            hops=found.hops,
            again_at=again_at,
            verified_at=now if failure is None else verified_at,
        )
        with self._lock:
            self._proofs[key] = proof
            self._awaiting.pop(key, None)
            if failure is None:
                self._failing.pop(key, None)
            else:
                known = self._failing.get(key)
                began = now if known is None else known.since
                self._failing[key] = Failing(failure.code, failure.message, began)
        if failure is None:
            return Visit(refreshed=refreshed, come_back_in=self._next(key, proof, now))
        return Visit(refreshed=refreshed, failure=failure)

    def _serve(self, key: CredentialKey, found: KeyWalk, now: datetime) -> bool:
        """Takes a fetched credential up where one was due; a proof in between throws its own away."""
        credential = found.credential
        if credential is None or self._pool.refresh_in(key, now) > 0.0:
            return False
        if credential == self._pool.good(key, now):
            return False
        self._pool.put(key, credential)
        return True

    def _next(self, key: CredentialKey, proof: Proof | None, now: datetime) -> float:
        refresh_in = self._pool.refresh_in(key, now)
        if proof is None or not proof.registries:
            return refresh_in
        return max(0.0, min(refresh_in, (proof.again_at - now).total_seconds()))

    def _walk_every(self) -> float:
        return WALK_EVERY_SECONDS * self._random.uniform(1 - _JITTER, 1 + _JITTER)
