"""Connections: sealed in their row, renewed only where nobody else wrote, sealed again with a newer key."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from fleet import clusters, connections, events, tables, work
from fleet.clusters import Wish
from fleet.database import Database
from fleet.errors import SealBroken
from fleet.records import Cluster, ClusterKey, Principal
from schemas.errors import NotFound
from tests.unit.fleet.samples import CONNECTION, KEY, NOW, manifest, open_database

RENEWED = replace(CONNECTION, token="next", expires_at=datetime(2027, 1, 22, tzinfo=UTC))


def sealed_bytes(database: Database) -> list[bytes]:
    with database.read() as session:
        rows = session.exec_driver_sql("SELECT sealed FROM connections ORDER BY cluster_uid").all()
    return [bytes(row.sealed) for row in rows]


def test_a_connection_reads_back_as_it_was_stored(database: Database, connected: Cluster) -> None:
    assert CONNECTION == connections.read(database, connected.uid)


def test_no_connection_reads_as_none(database: Database, stored: Cluster) -> None:
    assert connections.read(database, stored.uid) is None


def test_a_connection_makes_the_cluster_connected_and_due_under_the_same_version(
    database: Database, stored: Cluster, connected: Cluster
) -> None:
    assert connected.connected
    assert (stored.version, stored.generation + 1) == (connected.version, connected.generation)
    assert [connected.generation] == [item.generation for item in work.due(database, range(64))]


def test_a_connection_is_told_and_audited_without_its_secret(database: Database, connected: Cluster) -> None:
    with database.read() as session:
        audit = session.exec_driver_sql("SELECT * FROM audit ORDER BY id DESC").first()
    told = events.page(database, connected.key).items[0]

    assert "Connected" == told.reason
    assert "very-secret" not in f"{audit}{told}"
    assert "connect" in f"{audit}"


def test_a_connection_of_an_unknown_cluster_is_refused(
    database: Database, admin: Principal, demo: ClusterKey
) -> None:
    with pytest.raises(NotFound):
        connections.put(database, admin, demo, CONNECTION, now=NOW)


def test_a_second_connection_replaces_the_first(
    database: Database, admin: Principal, connected: Cluster
) -> None:
    connections.put(database, admin, connected.key, RENEWED, now=NOW)

    assert RENEWED == connections.read(database, connected.uid)
    assert connected.generation + 1 == clusters.read(database, connected.key).generation


def test_a_connection_leaves_a_removal_on(database: Database, admin: Principal, connected: Cluster) -> None:
    clusters.remove(database, admin, connected.key, now=NOW)

    connections.put(database, admin, connected.key, RENEWED, now=NOW)

    assert clusters.read(database, connected.key).removal is not None


def test_no_secret_is_readable_in_the_row(database: Database, connected: Cluster) -> None:
    [sealed] = sealed_bytes(database)

    assert b"very-secret" not in sealed
    assert b"10.0.0.1" not in sealed


def test_bytes_moved_to_another_row_do_not_open(
    database: Database, admin: Principal, connected: Cluster
) -> None:
    other = clusters.put(
        database, admin, ClusterKey("acme", "other"), Wish(manifest("other")), now=NOW
    ).cluster
    connections.put(database, admin, other.key, RENEWED, now=NOW)
    sealed = select(tables.connections.c.sealed).where(tables.connections.c.cluster_uid == connected.uid)
    with database.write() as session:
        session.execute(update(tables.connections).values(sealed=sealed.scalar_subquery()))

    with pytest.raises(SealBroken):
        connections.read(database, other.uid)


def test_renewing_stores_the_new_token_without_a_new_generation(
    database: Database, connected: Cluster
) -> None:
    assert connections.renew(database, connected.uid, replaces=CONNECTION, renewed=RENEWED, now=NOW)

    assert RENEWED == connections.read(database, connected.uid)
    assert connected.generation == clusters.read(database, connected.key).generation
    assert "ConnectionRenewed" == events.page(database, connected.key).items[0].reason


def test_renewing_what_an_admin_replaced_meanwhile_changes_nothing(
    database: Database, admin: Principal, connected: Cluster
) -> None:
    other = replace(CONNECTION, server="https://10.0.0.2:6443")
    connections.put(database, admin, connected.key, other, now=NOW)

    assert not connections.renew(database, connected.uid, replaces=CONNECTION, renewed=RENEWED, now=NOW)
    assert other == connections.read(database, connected.uid)


def test_renewing_for_a_cluster_that_is_gone_changes_nothing(database: Database) -> None:
    assert not connections.renew(database, "gone", replaces=CONNECTION, renewed=RENEWED, now=NOW)


def test_the_earliest_expiry_is_the_fleets_first(
    database: Database, admin: Principal, connected: Cluster
) -> None:
    other = clusters.put(
        database, admin, ClusterKey("acme", "other"), Wish(manifest("other")), now=NOW
    ).cluster
    assert CONNECTION.expires_at is not None
    sooner = CONNECTION.expires_at - timedelta(days=1)
    connections.put(database, admin, other.key, replace(CONNECTION, expires_at=sooner), now=NOW)

    assert sooner == connections.earliest_expiry(database)


def test_without_connections_nothing_expires(database: Database) -> None:
    assert connections.earliest_expiry(database) is None


def test_resealing_lets_the_old_key_go(database: Database, url: str, connected: Cluster) -> None:
    newest = b"n" * 32
    rotating = open_database(url, newest, KEY)
    rotated = open_database(url, newest)
    try:
        with pytest.raises(SealBroken):
            connections.read(rotated, connected.uid)

        assert 1 == connections.reseal(rotating)
        assert CONNECTION == connections.read(rotated, connected.uid)
        assert 0 == connections.reseal(rotating)
    finally:
        rotating.close()
        rotated.close()


def test_a_forgotten_connection_leaves_the_cluster_unconnected_and_due(
    database: Database, admin: Principal, connected: Cluster
) -> None:
    assert connections.delete(database, admin, connected.key, now=NOW)

    left = clusters.read(database, connected.key)
    assert (False, connected.generation + 1) == (left.connected, left.generation)
    assert connections.read(database, connected.uid) is None
    assert "Disconnected" == events.page(database, connected.key).items[0].reason


def test_forgetting_what_is_not_stored_changes_nothing(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    assert not connections.delete(database, admin, stored.key, now=NOW)
    assert stored.generation == clusters.read(database, stored.key).generation
