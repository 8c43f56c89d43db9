"""Many writers at once, and a writer that dies: nothing lost, nothing half."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from fleet import clusters, connections, events, shards, statuses, work
from fleet.clusters import Expectation, Wish
from fleet.database import Database
from fleet.records import Cluster, ClusterKey, Principal, Written
from fleet.statuses import NewEvent
from schemas.errors import Conflict
from schemas.status import ClusterStatus
from tests.unit.fleet.samples import CONNECTION, NOW, change, manifest, start_python

COUNT_UP = """
import sys
from datetime import UTC, datetime
from fleet import clusters
from fleet.clusters import Wish
from fleet.database import Database
from fleet.records import ClusterKey, Principal, Role
from fleet.sealing import Sealer
database = Database(sys.argv[1], sealer=Sealer((b"k" * 32,)))
principal = Principal("t", sys.argv[2], "acme", Role.ADMIN)
def add(cluster):
    spec = dict(cluster.manifest["spec"])
    return Wish({**cluster.manifest, "spec": {**spec, "count": spec["count"] + 1}})
for _ in range(int(sys.argv[3])):
    clusters.patch(database, principal, ClusterKey("acme", "demo"), add, now=datetime.now(UTC))
database.close()
"""
HANG_HALF_WAY = """
import sys
from fleet import tables
from fleet.database import Database
from fleet.sealing import Sealer
database = Database(sys.argv[1], sealer=Sealer((b"k" * 32,)))
with database.write() as session:
    session.execute(tables.clusters.update().values(version=99, generation=99))
    session.execute(tables.work.delete())
    print("half-way", flush=True)
    sys.stdin.readline()
"""


def test_two_processes_and_two_threads_that_patch_one_cluster_lose_no_update(
    url: str, database: Database, admin: Principal, demo: ClusterKey
) -> None:
    clusters.put(database, admin, demo, Wish(manifest(count=0)), now=NOW)

    def add(cluster: Cluster) -> Wish:
        return Wish(manifest(count=cluster.manifest["spec"]["count"] + 1))

    def many(_: int) -> None:
        for _ in range(20):
            clusters.patch(database, admin, demo, add, now=NOW)

    others = [start_python(COUNT_UP, url, name, "20") for name in ("b", "c")]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(many, range(2)))
    for other in others:
        other.communicate(timeout=60)

    stored = clusters.read(database, demo)
    assert [0, 0] == [other.returncode for other in others]
    assert (80, 81, 81) == (stored.manifest["spec"]["count"], stored.version, stored.generation)
    assert [81] == [item.generation for item in work.due(database, range(64))]


def test_of_writers_with_one_expectation_one_wins(
    database: Database, admin: Principal, stored: Cluster
) -> None:
    def write(number: int) -> bool:
        wish, expect = Wish(manifest(version=str(number))), Expectation(version=1)
        try:
            clusters.put(database, admin, stored.key, wish, now=NOW, expect=expect)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(8)))

    assert 1 == won.count(True)
    assert 2 == clusters.read(database, stored.key).version


def test_of_writers_that_create_one_name_one_creates(
    database: Database, admin: Principal, demo: ClusterKey
) -> None:
    def put(number: int) -> Written:
        return clusters.put(database, admin, demo, Wish(manifest(version=str(number))), now=NOW)

    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(put, range(8)))

    assert 1 == [one.created for one in written].count(True)
    assert 1 == len({one.cluster.uid for one in written})
    assert 8 == clusters.read(database, demo).version


def test_users_and_controllers_write_beside_each_other_without_deadlock(
    database: Database, admin: Principal, connected: Cluster
) -> None:
    demo, uid = connected.key, connected.uid
    shard = shards.shard_of(uid)

    def user(number: int) -> None:
        clusters.put(database, admin, demo, Wish(manifest(version=str(number))), now=NOW)
        connections.put(database, admin, demo, CONNECTION, now=NOW)
        clusters.remove(database, admin, demo, now=NOW)
        change(database, demo)

    def controller(number: int) -> None:
        epoch = shards.heartbeat(database, "a", now=NOW + timedelta(seconds=number))[shard]
        told = [NewEvent("Normal", "Told", str(number))]
        status = ClusterStatus(observed_generation=number)
        statuses.write(database, uid, status, told, shard=shard, epoch=epoch, now=NOW)
        work.finish(database, uid, generation=number)
        assert connections.renew(database, uid, replaces=CONNECTION, renewed=CONNECTION, now=NOW)

    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(run, number) for number in range(40) for run in (user, controller)]

    assert [None] * 80 == [run.result() for run in runs]
    assert 40 == sum(event.reason == "Told" for event in events.page(database, demo, limit=1000).items)


def test_a_process_killed_half_way_leaves_nothing_and_holds_nothing(
    url: str, database: Database, admin: Principal, stored: Cluster
) -> None:
    process = start_python(HANG_HALF_WAY, url)
    assert process.stdout is not None
    assert "half-way\n" == process.stdout.readline()

    process.kill()
    process.communicate(timeout=30)

    assert stored == clusters.read(database, stored.key)
    assert [stored.uid] == [item.uid for item in work.due(database, range(64))]
    written = clusters.put(database, admin, stored.key, Wish(manifest(version="2")), now=NOW)
    assert 2 == written.cluster.version
