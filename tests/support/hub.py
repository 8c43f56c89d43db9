"""The API on a real database, with a token for each role and a clock that the test moves: for tests of the API."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from addon_api.app import ApiSettings, create_app
from fleet import clusters, shards, statuses, tokens
from fleet.database import Database
from fleet.records import Cluster, ClusterKey, Role
from schemas.status import AddOnStatus, ClusterStatus, State

START = datetime(2026, 11, 22, 5, 40, tzinfo=UTC)
PUBLIC_URL = "https://pullpass.example.com"


@dataclass
class Clock:
    time: datetime = START

    def now(self) -> datetime:
        return self.time

    def pass_seconds(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Hub:
    """The app as its callers see it; `admin` and the others are tokens of organisation acme."""

    app: Flask
    database: Database
    clock: Clock
    admin: str
    editor: str
    viewer: str
    stranger: str  # an admin of another organisation
    epochs: dict[int, int] = field(default_factory=dict)

    def call(self, method: str, path: str, *, caller: str | None = "admin", **options: Any) -> TestResponse:
        """One request; `caller` is the name of one of our tokens, or None for none."""
        headers = dict(options.pop("headers", {}))
        if caller is not None:
            headers.setdefault("Authorization", f"Bearer {getattr(self, caller)}")
        return self.app.test_client().open(path, method=method, headers=headers, **options)

    def put(self, manifest: dict[str, Any], **options: Any) -> TestResponse:
        return self.call("PUT", "/org/acme/mk8s", json=manifest, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.call("GET", path, **options)

    def show(self, name: str) -> Any:
        answer = self.get(f"/org/acme/mk8s/{name}")
        assert answer.status_code == 200, answer.text
        return answer.json

    def stored(self, name: str) -> Cluster:
        return clusters.read(self.database, ClusterKey("acme", name))

    def report(self, name: str, status: ClusterStatus, *events: statuses.NewEvent) -> None:
        """Writes what a controller would."""
        if not self.epochs:
            self.epochs.update(shards.heartbeat(self.database, "test", now=START))
        uid = self.stored(name).uid
        shard = shards.shard_of(uid)
        statuses.write(
            self.database, uid, status, events, shard=shard, epoch=self.epochs[shard], now=self.clock.now()
        )

    def forget(self, name: str) -> None:
        """Ends a removal, as a controller does."""
        self.epochs.update(shards.heartbeat(self.database, "test", now=START))
        uid = self.stored(name).uid
        shard = shards.shard_of(uid)
        clusters.forget(self.database, uid, shard=shard, epoch=self.epochs[shard], now=self.clock.now())


def make_hub(database: Database, settings: ApiSettings | None = None) -> Hub:
    """An app over `database`, which the caller closes."""
    clock = Clock()

    def token(org: str, role: Role) -> str:
        return tokens.issue(database, org=org, role=role, name=role.name.lower(), now=START)

    return Hub(
        create_app(database, settings or ApiSettings(public_url=PUBLIC_URL), now=clock.now),
        database,
        clock,
        admin=token("acme", Role.ADMIN),
        editor=token("acme", Role.EDITOR),
        viewer=token("acme", Role.VIEWER),
        stranger=token("other", Role.ADMIN),
    )


ROLE_ARN = "arn:aws:iam::123456789012:role/ecr"
ISSUER = "https://oidc.example.com/demo"


def manifest(name: str = "demo", **spec: Any) -> dict[str, Any]:
    """A generic cluster with awsECR; `spec` overrides members of its spec."""
    return {
        "kind": "mk8s",
        "name": name,
        "spec": {
            "version": "1.30.0",
            "provider": {"generic": {"location": "aws-eu-central-1"}},
            "addOns": {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE_ARN}},
            **spec,
        },
    }


CONNECTION = {
    "server": "https://demo.example.com",
    "token": "top-secret-cluster-token",
    "expiresAt": "2026-12-22T05:40:00Z",
}


def status(issuer: str = ISSUER, **members: Any) -> ClusterStatus:
    """What a controller writes once the issuer is known."""
    identity = AddOnStatus(
        State.READY,
        details={"oidcProviderConfig": {"providerUrl": issuer, "audience": "sts.amazonaws.com"}},
    )
    return ClusterStatus(oidc_provider_url=issuer, add_ons={"awsWorkloadIdentity": identity}, **members)
