"""Statuses under the shard's epoch, the counts and the trust policy's columns that come with them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from fleet import clusters, events, shards, statuses
from fleet.clusters import Wish
from fleet.database import Database
from fleet.errors import StaleEpoch
from fleet.records import Cluster, ClusterKey, Principal, RoleSharer
from fleet.statuses import NewEvent
from fleet.work import Bell
from schemas.status import AddOnStatus, ClusterStatus, Condition, State
from schemas.trusted_accounts import BY_DEFAULT
from tests.unit.fleet.samples import NOW, ROLE_ARN, ecr_manifest

Hold = Callable[[str], tuple[int, int]]
SECOND = NOW.replace(microsecond=0)
STATUS = ClusterStatus(
    observed_generation=1,
    oidc_provider_url="https://oidc.example.com/a",
    conditions=(Condition("Reachable", "True", "Reached", "", SECOND, 1),),
    add_ons={
        "awsECR": AddOnStatus(State.READY),
        "awsWorkloadIdentity": AddOnStatus(
            State.READY, details={"oidcProviderConfig": {"audience": "sts.amazonaws.com"}}
        ),
    },
)


def write(database: Database, cluster: Cluster, hold: Hold, *told: NewEvent, status: ClusterStatus) -> None:
    shard, epoch = hold(cluster.uid)
    statuses.write(database, cluster.uid, status, told, shard=shard, epoch=epoch, now=NOW)


def test_a_status_reads_back_with_the_cluster(database: Database, stored: Cluster, hold_shards: Hold) -> None:
    write(database, stored, hold_shards, status=STATUS)

    assert STATUS == clusters.read(database, stored.key).status


def test_a_status_leaves_version_generation_and_time_alone(
    database: Database, stored: Cluster, hold_shards: Hold
) -> None:
    write(database, stored, hold_shards, status=STATUS)

    read = clusters.read(database, stored.key)
    assert (stored.version, stored.generation, stored.last_modified) == (
        read.version,
        read.generation,
        read.last_modified,
    )


def test_a_users_write_keeps_the_status(
    database: Database, admin: Principal, stored: Cluster, hold_shards: Hold
) -> None:
    write(database, stored, hold_shards, status=STATUS)

    clusters.put(database, admin, stored.key, Wish(ecr_manifest("demo")), now=NOW)

    assert STATUS == clusters.read(database, stored.key).status


def test_events_come_with_their_status(database: Database, stored: Cluster, hold_shards: Hold) -> None:
    told = NewEvent("Warning", "Unreachable", "nobody \x00 answers", {"attempt": 1})

    write(database, stored, hold_shards, told, status=STATUS)

    newest = events.page(database, stored.key).items[0]
    assert ("Warning", "Unreachable", "nobody \x00 answers", {"attempt": 1}, NOW) == (
        newest.type,
        newest.reason,
        newest.message,
        newest.context,
        newest.created,
    )


@pytest.mark.parametrize("difference", [-1, 1])
def test_another_epoch_writes_neither_status_nor_event(
    database: Database, stored: Cluster, hold_shards: Hold, difference: int
) -> None:
    shard, epoch = hold_shards(stored.uid)
    told = [NewEvent("Normal", "Told", "")]

    with pytest.raises(StaleEpoch):
        statuses.write(database, stored.uid, STATUS, told, shard=shard, epoch=epoch + difference, now=NOW)

    assert ClusterStatus() == clusters.read(database, stored.key).status
    assert ["Created"] == [event.reason for event in events.page(database, stored.key).items]


def test_a_process_that_was_taken_for_dead_cannot_write(
    database: Database, stored: Cluster, hold_shards: Hold
) -> None:
    shard, epoch = hold_shards(stored.uid)
    shards.heartbeat(database, "another", now=NOW + timedelta(seconds=shards.LEASE_SECONDS + 1))

    with pytest.raises(StaleEpoch):
        statuses.write(database, stored.uid, STATUS, [], shard=shard, epoch=epoch, now=NOW)


def test_a_process_that_gave_its_shards_up_cannot_write(
    database: Database, stored: Cluster, hold_shards: Hold
) -> None:
    shard, epoch = hold_shards(stored.uid)
    shards.release(database, "controller")

    with pytest.raises(StaleEpoch):
        statuses.write(database, stored.uid, STATUS, [], shard=shard, epoch=epoch, now=NOW)


def test_a_status_of_a_cluster_that_is_gone_is_dropped(database: Database, hold_shards: Hold) -> None:
    shard, epoch = hold_shards("gone")

    statuses.write(
        database, "gone", STATUS, [NewEvent("Normal", "Told", "")], shard=shard, epoch=epoch, now=NOW
    )

    assert clusters.load(database, "gone") is None


def test_counts_follow_the_latest_status(
    database: Database, admin: Principal, stored: Cluster, hold_shards: Hold
) -> None:
    other = clusters.put(
        database, admin, ClusterKey("acme", "other"), Wish(ecr_manifest("other")), now=NOW
    ).cluster
    write(database, stored, hold_shards, status=STATUS)
    write(database, other, hold_shards, status=STATUS)
    write(
        database,
        other,
        hold_shards,
        status=ClusterStatus(add_ons={"awsECR": AddOnStatus(State.BLOCKED)}),
    )

    assert {
        ("awsECR", "Ready"): 1,
        ("awsECR", "Blocked"): 1,
        ("awsWorkloadIdentity", "Ready"): 1,
    } == statuses.counts(database)


def test_counts_forget_a_cluster_that_is_gone(
    database: Database, admin: Principal, stored: Cluster, hold_shards: Hold
) -> None:
    write(database, stored, hold_shards, status=STATUS)

    clusters.remove(database, admin, stored.key, now=NOW)

    assert {} == statuses.counts(database)


def share(database: Database, admin: Principal, hold: Hold, name: str, role_arn: str = ROLE_ARN) -> Cluster:
    """A cluster that uses the role, and whose issuer is known."""
    cluster = clusters.put(
        database, admin, ClusterKey("acme", name), Wish(ecr_manifest(name, role_arn)), now=NOW
    ).cluster
    write(database, cluster, hold, status=STATUS)
    return cluster


def test_sharers_of_a_role_come_by_name(database: Database, admin: Principal, hold_shards: Hold) -> None:
    for name in ("b", "a"):
        share(database, admin, hold_shards, name)
    share(database, admin, hold_shards, "c", "arn:aws:iam::123456789012:role/other")

    found = clusters.role_sharers(database, "acme", [ROLE_ARN, "arn:aws:iam::1:role/none"])

    issuer, audience = "https://oidc.example.com/a", "sts.amazonaws.com"
    assert {
        ROLE_ARN: (
            RoleSharer("a", issuer, audience, BY_DEFAULT),
            RoleSharer("b", issuer, audience, BY_DEFAULT),
        ),
        "arn:aws:iam::1:role/none": (),
    } == found


def test_no_roles_have_no_sharers(database: Database) -> None:
    assert {} == clusters.role_sharers(database, "acme", [])


def test_a_cluster_without_a_known_issuer_shares_nothing(database: Database, admin: Principal) -> None:
    clusters.put(database, admin, ClusterKey("acme", "a"), Wish(ecr_manifest("a")), now=NOW)

    assert {ROLE_ARN: ()} == clusters.role_sharers(database, "acme", [ROLE_ARN])


def test_a_cluster_being_removed_shares_nothing(
    database: Database, admin: Principal, hold_shards: Hold, connected: Cluster
) -> None:
    share(database, admin, hold_shards, "demo")

    clusters.remove(database, admin, connected.key, now=NOW)

    assert {ROLE_ARN: ()} == clusters.role_sharers(database, "acme", [ROLE_ARN])


def test_another_organisation_shares_nothing(database: Database, admin: Principal, hold_shards: Hold) -> None:
    share(database, admin, hold_shards, "a")

    assert {ROLE_ARN: ()} == clusters.role_sharers(database, "other", [ROLE_ARN])


def test_taking_the_add_on_away_takes_the_sharer_away(
    database: Database, admin: Principal, hold_shards: Hold, wish: Wish
) -> None:
    cluster = share(database, admin, hold_shards, "demo")

    clusters.put(database, admin, cluster.key, wish, now=NOW)

    assert {ROLE_ARN: ()} == clusters.role_sharers(database, "acme", [ROLE_ARN])


def test_forgetting_ends_a_cluster_that_is_being_removed(
    database: Database, admin: Principal, connected: Cluster, hold_shards: Hold
) -> None:
    clusters.remove(database, admin, connected.key, now=NOW)
    shard, epoch = hold_shards(connected.uid)

    clusters.forget(database, connected.uid, shard=shard, epoch=epoch, now=NOW)
    clusters.forget(database, connected.uid, shard=shard, epoch=epoch, now=NOW)

    assert clusters.load(database, connected.uid) is None


def test_forgetting_spares_a_cluster_whose_removal_was_cancelled(
    database: Database, admin: Principal, connected: Cluster, hold_shards: Hold, wish: Wish
) -> None:
    clusters.remove(database, admin, connected.key, now=NOW)
    clusters.put(database, admin, connected.key, wish, now=NOW)
    shard, epoch = hold_shards(connected.uid)

    clusters.forget(database, connected.uid, shard=shard, epoch=epoch, now=NOW)

    assert connected.uid == clusters.read(database, connected.key).uid


def test_forgetting_under_another_epoch_is_refused(
    database: Database, admin: Principal, connected: Cluster, hold_shards: Hold
) -> None:
    clusters.remove(database, admin, connected.key, now=NOW)
    shard, epoch = hold_shards(connected.uid)

    with pytest.raises(StaleEpoch):
        clusters.forget(database, connected.uid, shard=shard, epoch=epoch - 1, now=NOW)

    assert clusters.load(database, connected.uid) is not None


def test_a_status_of_a_cluster_that_answered_tells_when(
    database: Database, stored: Cluster, hold_shards: Hold
) -> None:
    shard, epoch = hold_shards(stored.uid)

    statuses.write(database, stored.uid, STATUS, [], shard=shard, epoch=epoch, now=NOW, answered=True)

    assert NOW == clusters.read(database, stored.key).last_seen


def test_a_status_of_a_cluster_that_did_not_answer_keeps_when_it_did(
    database: Database, stored: Cluster, hold_shards: Hold
) -> None:
    statuses.seen(database, {stored.uid: NOW - timedelta(hours=1)})

    write(database, stored, hold_shards, status=STATUS)

    assert NOW - timedelta(hours=1) == clusters.read(database, stored.key).last_seen


def test_sightings_of_many_are_one_transaction(database: Database, admin: Principal, stored: Cluster) -> None:
    other = clusters.put(database, admin, ClusterKey("acme", "b"), Wish(ecr_manifest("b")), now=NOW).cluster
    bell = Bell(database)
    bell.wait(0, threading.Event())

    statuses.seen(database, {stored.uid: NOW, other.uid: NOW - timedelta(seconds=9), "gone": NOW})

    assert database.is_postgresql or bell.wait(1, threading.Event())
    assert not bell.wait(0, threading.Event())
    bell.close()
    assert NOW == clusters.read(database, stored.key).last_seen
    assert NOW - timedelta(seconds=9) == clusters.read(database, other.key).last_seen


def test_an_older_sighting_does_not_undo_a_newer_one(database: Database, stored: Cluster) -> None:
    statuses.seen(database, {stored.uid: NOW})

    statuses.seen(database, {stored.uid: NOW - timedelta(seconds=1)})

    assert NOW == clusters.read(database, stored.key).last_seen


def test_a_sighting_changes_nothing_that_a_reconcile_or_an_etag_looks_at(
    database: Database, stored: Cluster
) -> None:
    statuses.seen(database, {stored.uid: NOW})

    assert replace(stored, last_seen=NOW) == clusters.read(database, stored.key)


def test_no_sightings_write_nothing(database: Database) -> None:
    database.close()

    statuses.seen(database, {})
