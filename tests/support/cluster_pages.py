"""A cluster as a controller would report it, for tests of the pages that show one."""

from __future__ import annotations

from typing import Any

from schemas.status import AddOnStatus, ClusterStatus, Condition, Issue, State
from tests.support.console import Console
from tests.support.hub import CONNECTION, START, manifest
from tests.support.hub import status as with_issuer

PAGE = "/clusters/demo"


def connected(console: Console, **spec: Any) -> None:
    """Cluster demo of the manifest with `spec`, with a connection."""
    console.hub.put(manifest(**spec))
    console.hub.call("PUT", "/org/acme/mk8s/demo/-connection", json=CONNECTION)


def condition(kind: str, status: str = "True", message: str = "") -> Condition:
    return Condition(kind, status, "Because", message or f"about {kind}", START, 1)


def ecr(
    state: State, *codes: str, message: str = "words", remedy: str = "kubectl get pods", **details: Any
) -> AddOnStatus:
    return AddOnStatus(
        state,
        conditions=(condition("IssuerUsable"), condition("Installed"), condition("CredentialsVerified")),
        issues=tuple(Issue(code, message, remedy) for code in codes),
        details=details,
    )


def report(console: Console, registries: AddOnStatus | None = None) -> None:
    """Writes what a controller would of demo: its issuer is known, and awsECR stands so."""
    found = with_issuer()
    add_ons = {**found.add_ons} | ({} if registries is None else {"awsECR": registries})
    console.hub.report(
        "demo",
        ClusterStatus(
            observed_generation=console.hub.stored("demo").generation,
            oidc_provider_url=found.oidc_provider_url,
            conditions=(condition("Reachable"),),
            add_ons=add_ons,
        ),
    )
