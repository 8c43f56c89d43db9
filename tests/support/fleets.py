"""A fleet of any size in a database, written by the fleet's own commands: for benchmarks and for looking at pages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from fleet import clusters, connections, shards, statuses
from fleet.clusters import Wish
from fleet.database import Database
from fleet.records import ClusterKey, Principal
from schemas import issues
from schemas.connection import Connection
from schemas.status import AddOnStatus, ClusterStatus, Condition, Issue, State
from schemas.times import format_time

ROLE_ARN = "arn:aws:iam::123456789012:role/pullpass-{team}"
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
_TEAMS = ("shop", "search", "payments", "ledger", "edge", "data", "media", "risk")
_PLACES = ("fsn1", "nbg1", "hel1", "ash", "lab", "fra", "muc", "ams")
_PROVIDERS: tuple[dict[str, Any], ...] = (
    {"generic": {"location": "aws-eu-central-1"}},
    {"hetzner": {"region": "fsn1"}},
    {"generic": {"location": "aws-us-east-1"}},
)
# Of each hundred: what hits the cluster, "" for nothing.
_FATES = ("",) * 88 + (
    "ClusterUnreachable",
    "ClusterUnreachable",
    "RoleArnMissing",
    "RoleArnMissing",
    "RoleArnMissing",
    "TrustPolicyMismatch",
    "TrustPolicyMismatch",
    "OidcProviderMissing",
    "EcrAccessDenied",
    "installing",
    "unconnected",
    "off",
)
_STATES = {
    "ClusterUnreachable": State.DEGRADED,
    "RoleArnMissing": State.BLOCKED,
    "TrustPolicyMismatch": State.FAILED,
    "OidcProviderMissing": State.BLOCKED,
    "EcrAccessDenied": State.FAILED,
    "installing": State.INSTALLING,
}


def fill(database: Database, principal: Principal, number: int, *, now: datetime) -> None:
    """`number` clusters of the organisation of `principal`; most are well, and what hits the rest is of each kind."""
    epochs = shards.heartbeat(database, "fill", now=now)
    for index in range(number):
        fate = _FATES[index * 37 % 100]  # 37 and 100 share no divisor: the fates come mixed
        cluster = clusters.create(database, principal, *_wish(principal.org, index, fate), now=now).cluster
        if fate == "unconnected":
            continue
        connections.put(database, principal, cluster.key, _connection(cluster.key.name, now), now=now)
        shard = shards.shard_of(cluster.uid)
        statuses.write(
            database,
            cluster.uid,
            _status(cluster.key.name, index, fate, now),
            [],
            shard=shard,
            epoch=epochs[shard],
            now=now - timedelta(seconds=index * 7 % 300),
            answered=True,
        )
    shards.release(database, "fill")


def _wish(org: str, index: int, fate: str) -> tuple[ClusterKey, Wish]:
    team = _TEAMS[index % len(_TEAMS)]
    name = f"{team}-{_PLACES[index // len(_TEAMS) % len(_PLACES)]}-{index:05}"
    role = {} if fate == "RoleArnMissing" else {"roleArn": ROLE_ARN.format(team=f"{team}-{index // 32}")}
    add_ons = {} if fate == "off" else {"awsWorkloadIdentity": {}, "awsECR": role}
    manifest = {
        "kind": "mk8s",
        "name": name,
        "description": f"{team.capitalize()}, {'production' if index % 3 else 'staging'}",
        "tags": {"team": team, "stage": "production" if index % 3 else "staging"},
        "spec": {
            "version": "1.34.4",
            "provider": _PROVIDERS[index % len(_PROVIDERS)],
            "addOns": add_ons,
        },
    }
    return ClusterKey(org, name), Wish(manifest)


def _connection(name: str, now: datetime) -> Connection:
    return Connection(
        server=f"https://{name}.example.com:6443",
        token="not-a-token",
        granted_at=now,
        expires_at=now + timedelta(days=30),
        renewable=True,
    )


def _status(name: str, index: int, fate: str, now: datetime) -> ClusterStatus:
    issuer = f"https://oidc.example.com/id/{name}"
    if fate == "off":
        return ClusterStatus(observed_generation=2, server_url=f"https://{name}.example.com:6443")
    found = _issues(fate, name)
    state = _STATES.get(fate, State.READY)
    ends = now + timedelta(hours=12, seconds=-(index * 11 % 36000))
    details: dict[str, Any] = {"delivery": "pullSecret", "deliveryReason": "one node has no systemd"}
    if state in {State.READY, State.DEGRADED}:
        details["credentials"] = {
            "verifiedAt": format_time(now),
            "verifiedFrom": "agent",
            "expiresAt": format_time(ends),
            "registries": [REGISTRY],
        }
    return ClusterStatus(
        observed_generation=2,
        oidc_provider_url=issuer,
        server_url=f"https://{name}.example.com:6443",
        conditions=(_condition("Reachable", now),),
        issues=found if fate == "ClusterUnreachable" else (),
        add_ons={
            "awsWorkloadIdentity": AddOnStatus(
                State.READY,
                conditions=tuple(_condition(kind, now) for kind in ("Reachable", "IssuerUsable", "Ready")),
                details={"oidcProviderConfig": {"providerUrl": issuer, "audience": "sts.amazonaws.com"}},
            ),
            "awsECR": AddOnStatus(
                state,
                conditions=tuple(
                    _condition(kind, now)
                    for kind in ("Reachable", "IssuerUsable", "Installed", "CredentialsVerified", "Ready")
                ),
                issues=found,
                details=details,
            ),
        },
    )


def _issues(fate: str, name: str) -> tuple[Issue, ...]:
    if fate in {"", "installing"}:
        return ()
    return (issues.issue(fate, {"CLUSTER": name, "MESSAGE": "no answer within 10 s"}),)


def _condition(kind: str, now: datetime) -> Condition:
    return Condition(kind, "True", "AsItShouldBe", "the agent says so", now.replace(microsecond=0), 2)
