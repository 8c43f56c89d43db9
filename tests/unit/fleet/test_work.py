"""Due work and its generations."""

from __future__ import annotations

from fleet import clusters, connections, work
from fleet.clusters import Wish
from fleet.database import Database
from fleet.records import Cluster, ClusterKey, Principal, Work
from fleet.shards import shard_of
from tests.unit.fleet.samples import CONNECTION, NOW, ecr_manifest, manifest

EVERY_SHARD = range(64)


def add(database: Database, admin: Principal, name: str) -> Cluster:
    return clusters.put(database, admin, ClusterKey("acme", name), Wish(manifest(name)), now=NOW).cluster


def change(database: Database, admin: Principal, cluster: Cluster, version: str) -> Cluster:
    wish = Wish(manifest(cluster.key.name, version=version))
    return clusters.put(database, admin, cluster.key, wish, now=NOW).cluster


def test_a_change_waits_in_the_shard_of_its_cluster(database: Database, stored: Cluster) -> None:
    shard = shard_of(stored.uid)

    assert (Work(stored.uid, stored.key, shard, 1),) == work.due(database, [shard])
    assert () == work.due(database, set(EVERY_SHARD) - {shard})
    assert () == work.due(database, [])


def test_the_oldest_change_comes_first(database: Database, admin: Principal) -> None:
    first, second = add(database, admin, "z"), add(database, admin, "a")
    change(database, admin, first, "2")

    assert [first.uid, second.uid] == [item.uid for item in work.due(database, EVERY_SHARD)]


def test_many_changes_of_a_cluster_are_one_piece_of_work(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    change(database, admin, stored, "2")
    change(database, admin, stored, "3")

    assert [3] == [item.generation for item in work.due(database, EVERY_SHARD)]


def test_finishing_takes_the_work_away(database: Database, stored: Cluster) -> None:
    work.finish(database, stored.uid, generation=1)

    assert () == work.due(database, EVERY_SHARD)


def test_finishing_an_older_generation_leaves_the_newer_change(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    change(database, admin, stored, "2")

    work.finish(database, stored.uid, generation=1)

    assert [2] == [item.generation for item in work.due(database, EVERY_SHARD)]


def test_finishing_what_is_gone_is_no_error(database: Database) -> None:
    work.finish(database, "gone", generation=1)


def test_the_population_is_every_cluster_of_the_shards(database: Database, admin: Principal) -> None:
    stored = [add(database, admin, name) for name in "abc"]
    work.finish(database, stored[0].uid, generation=1)

    found = work.population(database, EVERY_SHARD)

    expected = {Work(cluster.uid, cluster.key, shard_of(cluster.uid), 1) for cluster in stored}
    assert expected == set(found)
    assert () == work.population(database, [])


def test_what_is_being_installed_or_removed_is_unsettled(database: Database, admin: Principal) -> None:
    uids = {}
    for name in ("idle", "installing", "leaving"):
        key = ClusterKey("acme", name)
        wanted = manifest(name) if name == "idle" else ecr_manifest(name)
        uids[name] = clusters.put(database, admin, key, Wish(wanted), now=NOW).cluster.uid
        connections.put(database, admin, key, CONNECTION, now=NOW)
    clusters.put(
        database, admin, ClusterKey("acme", "unconnected"), Wish(ecr_manifest("unconnected")), now=NOW
    )
    clusters.remove(database, admin, ClusterKey("acme", "leaving"), now=NOW)

    assert {uids["installing"], uids["leaving"]} == set(work.unsettled(database, EVERY_SHARD))
    elsewhere = set(EVERY_SHARD) - {shard_of(uids["leaving"])}
    assert uids["leaving"] not in work.unsettled(database, elsewhere)
    assert () == work.unsettled(database, [])
