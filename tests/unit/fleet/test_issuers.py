"""Published issuers: keys pinned at first sight, others only with an admin's yes, tombstones until buried."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleet import clusters, events, issuers, work
from fleet.database import Database
from fleet.records import Cluster, ClusterKey, Principal
from schemas.errors import Conflict, NotFound
from tests.unit.fleet.samples import NOW

A, B, C = ({"kty": "RSA", "kid": kid, "n": kid} for kid in "abc")


def jwks(*keys: dict[str, Any]) -> dict[str, Any]:
    return {"keys": list(keys)}


def test_an_issuer_is_reserved_once_with_a_random_id_and_no_keys(database: Database, stored: Cluster) -> None:
    issuer = issuers.reserve(database, stored.uid)

    assert issuer == issuers.reserve(database, stored.uid)
    assert issuer == issuers.of_cluster(database, stored.uid) == issuers.read(database, issuer.id)
    assert {} == issuer.keys
    assert 26 == len(issuer.id)
    assert issuer.id != stored.uid


def test_nothing_is_reserved_for_a_cluster_that_is_gone(database: Database) -> None:
    with pytest.raises(NotFound):
        issuers.reserve(database, "gone")


def test_unknown_issuers_read_as_none(database: Database) -> None:
    assert issuers.read(database, "unknown") is None
    assert issuers.of_cluster(database, "unknown") is None


def test_the_first_keys_are_pinned(database: Database, stored: Cluster) -> None:
    issuers.reserve(database, stored.uid)

    observed = issuers.observe(database, stored.uid, jwks(A))

    assert jwks(A) == observed.keys
    assert observed.pending_keys is None
    assert observed == issuers.of_cluster(database, stored.uid)


def test_a_set_without_keys_pins_nothing(database: Database, stored: Cluster) -> None:
    issuer = issuers.reserve(database, stored.uid)

    assert issuer == issuers.observe(database, stored.uid, jwks())


def test_observing_needs_a_reserved_issuer(database: Database, stored: Cluster) -> None:
    with pytest.raises(NotFound):
        issuers.observe(database, stored.uid, jwks(A))


@pytest.mark.parametrize("shown", [jwks(B), jwks(A, B)])
def test_other_keys_wait_and_are_not_served(
    database: Database, stored: Cluster, shown: dict[str, Any]
) -> None:
    issuers.reserve(database, stored.uid)
    issuers.observe(database, stored.uid, jwks(A))

    observed = issuers.observe(database, stored.uid, shown)

    assert (jwks(A), shown) == (observed.keys, observed.pending_keys)
    assert observed == issuers.of_cluster(database, stored.uid)


@pytest.mark.parametrize("shown", [jwks(A, B), jwks(B, A), jwks(B)])
def test_pinned_keys_again_clear_what_waited(
    database: Database, stored: Cluster, shown: dict[str, Any]
) -> None:
    issuers.reserve(database, stored.uid)
    issuers.observe(database, stored.uid, jwks(A, B))
    issuers.observe(database, stored.uid, jwks(C))

    observed = issuers.observe(database, stored.uid, shown)

    assert (jwks(A, B), None) == (observed.keys, observed.pending_keys)


def pend(database: Database, cluster: Cluster) -> str:
    """Keys B wait beside A; their fingerprint."""
    issuers.reserve(database, cluster.uid)
    issuers.observe(database, cluster.uid, jwks(A))
    issuers.observe(database, cluster.uid, jwks(B))
    return issuers.fingerprint(jwks(B))


def test_accepted_keys_are_served_beside_the_old_ones(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    waiting = pend(database, stored)

    accepted = issuers.accept(database, admin, stored.key, waiting, now=NOW)

    assert (jwks(B, A), None) == (accepted.keys, accepted.pending_keys)
    assert accepted == issuers.of_cluster(database, stored.uid)
    assert accepted == issuers.observe(database, stored.uid, jwks(B))


def test_accepting_is_told_audited_and_due(database: Database, admin: Principal, stored: Cluster) -> None:
    issuers.accept(database, admin, stored.key, pend(database, stored), now=NOW)

    with database.read() as session:
        action = session.exec_driver_sql("SELECT action FROM audit ORDER BY id DESC").scalars().first()
    assert "acceptKeys" == action
    assert "IssuerKeysAccepted" == events.page(database, stored.key).items[0].reason
    assert [stored.generation + 1] == [item.generation for item in work.due(database, range(64))]


def test_accepting_other_keys_than_those_that_wait_is_refused_with_their_name(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    waiting = pend(database, stored)

    with pytest.raises(Conflict, match=waiting):
        issuers.accept(database, admin, stored.key, issuers.fingerprint(jwks(C)), now=NOW)

    issuer = issuers.of_cluster(database, stored.uid)
    assert issuer is not None
    assert jwks(A) == issuer.keys


def test_accepting_when_nothing_waits_is_refused(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    issuers.reserve(database, stored.uid)

    with pytest.raises(Conflict):
        issuers.accept(database, admin, stored.key, "SHA256:any", now=NOW)


def test_accepting_without_an_issuer_or_a_cluster_is_refused(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    for key in (stored.key, ClusterKey("acme", "nobody")):
        with pytest.raises(NotFound):
            issuers.accept(database, admin, key, "SHA256:any", now=NOW)


def test_a_fingerprint_ignores_order_and_nothing_else() -> None:
    name = issuers.fingerprint(jwks(A, B))

    assert name == issuers.fingerprint(jwks(B, dict(reversed(A.items()))))
    assert name != issuers.fingerprint(jwks(A))
    assert name.startswith("SHA256:")
    assert 43 == len(name.removeprefix("SHA256:"))


def test_every_issuer_with_keys_is_exported(database: Database, admin: Principal, stored: Cluster) -> None:
    issuers.reserve(database, stored.uid)
    assert [] == list(issuers.every(database))

    issuer = issuers.observe(database, stored.uid, jwks(A))
    assert [issuer] == list(issuers.every(database))

    clusters.force_remove(database, admin, stored.key, now=NOW)
    assert [replace(issuer, tombstone=True)] == list(issuers.every(database))


def test_an_issuer_without_keys_leaves_no_tombstone(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    issuer = issuers.reserve(database, stored.uid)

    clusters.force_remove(database, admin, stored.key, now=NOW)

    assert issuers.read(database, issuer.id) is None


def test_a_tombstone_is_buried_once(database: Database, admin: Principal, stored: Cluster) -> None:
    issuer = issuers.reserve(database, stored.uid)
    issuers.observe(database, stored.uid, jwks(A))
    clusters.force_remove(database, admin, stored.key, now=NOW)

    assert issuers.bury(database, admin, issuer.id, now=NOW)
    assert issuers.read(database, issuer.id) is None
    assert not issuers.bury(database, admin, issuer.id, now=NOW)


def test_an_issuer_in_use_is_not_buried(database: Database, admin: Principal, stored: Cluster) -> None:
    issuer = issuers.reserve(database, stored.uid)

    assert not issuers.bury(database, admin, issuer.id, now=NOW)
    assert issuer == issuers.read(database, issuer.id)


def test_another_organisations_tombstone_is_not_buried(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    issuer = issuers.reserve(database, stored.uid)
    issuers.observe(database, stored.uid, jwks(A))
    clusters.force_remove(database, admin, stored.key, now=NOW)

    assert not issuers.bury(database, replace(admin, org="other"), issuer.id, now=NOW)
