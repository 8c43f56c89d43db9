"""Published issuers: the JWKS of private clusters that the hub serves to AWS.

Keys are pinned: what a cluster shows at first is served; another set waits for an admin's yes, because whoever
changes it could sign as any workload. Written by `controller`, served by `addon_api`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.database import Database
from fleet.records import ClusterKey, Principal, PublishedIssuer


def reserve(database: Database, cluster_uid: str) -> PublishedIssuer:
    """The cluster's issuer; made with a random id and no keys at first."""
    raise NotImplementedError


def observe(database: Database, cluster_uid: str, keys: Mapping[str, Any]) -> PublishedIssuer:
    """Pins the first keys; later other ones become pending, and the same ones again clear what was pending."""
    raise NotImplementedError


def accept(database: Database, principal: Principal, key: ClusterKey, fingerprint: str) -> PublishedIssuer:
    """An admin's yes to the pending keys with this fingerprint.

    The old keys stay served beside the new ones, so that tokens already issued go on being believed.

    Raises:
        schemas.errors.Conflict: other keys are pending now, or none.
    """
    raise NotImplementedError


def fingerprint(keys: Mapping[str, Any]) -> str:
    """A short stable name of a key set: `SHA256:` and base64url."""
    raise NotImplementedError


def read(database: Database, issuer_id: str) -> PublishedIssuer | None:
    """By id; tombstones included."""
    raise NotImplementedError


def of_cluster(database: Database, cluster_uid: str) -> PublishedIssuer | None:
    """By cluster."""
    raise NotImplementedError


def every(database: Database) -> Iterator[PublishedIssuer]:
    """All that have keys, for `pullpass oidc export`."""
    raise NotImplementedError


def bury(database: Database, principal: Principal, issuer_id: str) -> bool:
    """Ends a tombstone for good; False when there is none by that id."""
    raise NotImplementedError
