"""One cluster as the add-ons see it, for pure tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from controller.addons.addon import Context, Identity
from fleet.records import ClusterKey
from schemas import manifest as manifests
from schemas.connection import Connection

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
ISSUER = "https://oidc.example.org/id/1"
ROLE_ARN = "arn:aws:iam::123456789012:role/teams/pull"
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
SETTINGS = {"awsECR": {"registries": [REGISTRY], "delivery": "pullSecret"}}
GENERIC = {"generic": {"location": "aws-eu-central-1"}}
AWS = {
    "aws": {
        "region": "eu-west-1",
        "deployRoleArn": "arn:aws:iam::210987654321:role/deploy",
        "vpcId": "vpc-1",
        "image": {"recommended": "amazon/al2023"},
        "nodePools": [],
    }
}


def context(
    *,
    add_ons: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    provider: dict[str, Any] | None = None,
    **changes: Any,
) -> Context:
    """acme/demo with both add-ons and a usable issuer."""
    wanted = {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE_ARN}} if add_ons is None else add_ons
    document = {
        "kind": "mk8s",
        "name": "demo",
        "spec": {"version": "1.34.4", "provider": provider or GENERIC, "addOns": wanted},
    }
    made = Context(
        uid="0190-uid",
        key=ClusterKey("acme", "demo"),
        generation=3,
        manifest=manifests.parse(document, SETTINGS if settings is None else settings),
        connection=Connection(server="https://10.0.0.1:6443", token="secret"),
        agent_image="registry.example.org/pullpass@sha256:1",
        now=NOW,
        since=NOW,
        identity=Identity(provider_url=ISSUER, audience="sts.amazonaws.com", status="True", reason="Usable"),
    )
    return replace(made, **changes)
