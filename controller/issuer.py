"""Discovers who signs this cluster's web identity tokens, and whether AWS will believe them.

`cluster`: the API server's own issuer, held against IAM's rules. `published`: the hub serves the cluster's keys under
an address of its own, which the API server must be told to sign with; until it does, the exact flags are the remedy.
Called by `controller.cluster` before anything is desired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from aws.issuers import judge
from controller.addons.addon import Context, Identity
from fleet import issuers
from fleet.database import Database
from fleet.records import PublishedIssuer
from kube.client import Client
from kube.errors import NotFound
from schemas.addons.aws_workload_identity import IssuerKind
from schemas.status import Issue

DISCOVERY_PATH = "/.well-known/openid-configuration"
KEYS_PATH = "/openid/v1/jwks"


class Shelf(Protocol):
    """Where the published issuers stand: `fleet.issuers` over one database."""

    def reserve(self, cluster_uid: str) -> PublishedIssuer:
        """The cluster's issuer, with a random id."""

    def observe(self, cluster_uid: str, keys: Mapping[str, Any]) -> PublishedIssuer:
        """Pins the first keys; others become pending."""


@dataclass(frozen=True)
class FleetShelf:
    """The shelf of the fleet. Writes only when the keys differ from what is pinned."""

    database: Database

    def reserve(self, cluster_uid: str) -> PublishedIssuer:
        found = issuers.of_cluster(self.database, cluster_uid)
        return found if found is not None else issuers.reserve(self.database, cluster_uid)

    def observe(self, cluster_uid: str, keys: Mapping[str, Any]) -> PublishedIssuer:
        return issuers.observe(self.database, cluster_uid, keys)


def discover(
    context: Context, client: Client, shelf: Shelf, *, public_url: str | None, by_eks: str = ""
) -> Identity:
    """The cluster's identity; asks the cluster for its discovery document and, if published, its keys.

    `by_eks` is the issuer that EKS names, "" where it is not asked: the one that counts, and the cluster may name no
    other.

    Raises:
        kube.errors.KubeError: the cluster did not answer.
    """
    wishes = context.manifest.aws_workload_identity
    if wishes is None:
        return Identity()
    blank = Identity(audience=wishes.audience)
    own = _own_issuer(client)
    if wishes.issuer is IssuerKind.PUBLISHED:
        return _published(context, blank, client, shelf, own=own, public_url=public_url)
    if by_eks and own not in {"", by_eks}:
        issue = context.issue("EksIssuerDiffers", {"ISSUER": by_eks, "OLD_ISSUER": own})
        return _blocked(blank, issue)
    return _own(context, blank, by_eks or own)


def _own_issuer(client: Client) -> str:
    """What the API server signs with; "" where it serves no discovery, as for an issuer that is no https URL."""
    try:
        return str(client.read_path(DISCOVERY_PATH).get("issuer") or "")
    except NotFound:
        return ""


def _own(context: Context, blank: Identity, own: str) -> Identity:
    verdict = judge(own)
    if verdict.usable:
        return replace(
            blank, provider_url=own, status="True", reason="Usable", message=f"{own} follows IAM's rules"
        )
    issue = context.issue(
        "IssuerNotUsable", {"ISSUER": own, "REASON": verdict.reason, "MESSAGE": verdict.message}
    )
    return _blocked(blank, issue, reason=verdict.reason, message=verdict.message)


def _published(
    context: Context, blank: Identity, client: Client, shelf: Shelf, *, own: str, public_url: str | None
) -> Identity:
    if public_url is None or not public_url.startswith("https://"):
        return _blocked(blank, context.issue("PublicUrlMissing"))
    shown = client.read_path(KEYS_PATH)
    reserved = shelf.reserve(context.uid)
    if reserved.keys != shown or reserved.pending_keys is not None:
        reserved = shelf.observe(context.uid, shown)
    url = f"{public_url.rstrip('/')}/oidc/{reserved.id}"
    identity = replace(blank, provider_url=url)
    context = replace(context, identity=identity)
    verdict = judge(url)
    if not verdict.usable:
        issue = context.issue("IssuerNotUsable", {"REASON": verdict.reason, "MESSAGE": verdict.message})
        return _blocked(blank, issue, reason=verdict.reason, message=verdict.message)
    if own != url:
        flags = [f"--service-account-issuer={url}"]
        if own:
            flags += [f"--service-account-issuer={own}", f"--service-account-jwks-uri={url}{KEYS_PATH}"]
        issue = context.issue("IssuerNotSwitched", {"FLAGS": " ".join(flags), "OLD_ISSUER": own})
        return _blocked(identity, issue)
    if reserved.pending_keys is not None:
        fingerprint = issuers.fingerprint(reserved.pending_keys)
        issue = context.issue("IssuerKeysChanged", {"FINGERPRINT": fingerprint})
        return replace(identity, status="False", reason=issue.code, message=issue.message, issues=(issue,))
    return replace(identity, status="True", reason="Published", message=f"the hub serves {url}")


def _blocked(identity: Identity, issue: Issue, *, reason: str = "", message: str = "") -> Identity:
    return replace(
        identity,
        status="False",
        reason=reason or issue.code,
        message=message or issue.message,
        issues=(issue,),
        blocks=True,
    )
