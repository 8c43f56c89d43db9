"""Clusters that share a role: the first of them, and who is woken where an issue of the role hits or no longer does."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from fleet import clusters, role_sharing, shards, statuses, tables, work
from fleet.clusters import Wish
from fleet.database import Database
from fleet.records import Cluster, ClusterKey, Principal
from schemas.status import AddOnStatus, ClusterStatus, Issue, State
from tests.unit.fleet.samples import NOW, ROLE_ARN, ecr_manifest

ALL = range(shards.SHARDS)
TOO_LONG = Issue("TrustPolicyTooLong", "too long", "")


def share(
    database: Database, who: Principal, name: str, *issues: Issue, org: str = "acme", role: str = ROLE_ARN
) -> Cluster:
    """A cluster that was reconciled, and is not due."""
    wish = Wish(ecr_manifest(name, role))
    cluster = clusters.put(database, who, ClusterKey(org, name), wish, now=NOW).cluster
    shard = shards.shard_of(cluster.uid)
    epoch = shards.heartbeat(database, "process", now=NOW)[shard]
    status = ClusterStatus(
        oidc_provider_url=f"https://oidc.example.org/{name}",
        add_ons={
            "awsECR": AddOnStatus(State.READY, issues=issues),
            "awsWorkloadIdentity": AddOnStatus(
                State.READY, details={"oidcProviderConfig": {"audience": "sts.amazonaws.com"}}
            ),
        },
    )
    statuses.write(database, cluster.uid, status, [], shard=shard, epoch=epoch, now=NOW)
    work.finish(database, cluster.uid, generation=cluster.generation)
    return cluster


def wake(database: Database, *, hit: bool, besides: str = "", most: int = 40) -> None:
    role_sharing.wake(database, "acme", ROLE_ARN, "TrustPolicyTooLong", hit=hit, besides=besides, most=most)


def due(database: Database) -> Collection[str]:
    return {item.key.name for item in work.due(database, ALL)}


def test_the_first_so_many_come_by_name(database: Database, admin: Principal) -> None:
    for name in ("c", "a", "b"):
        share(database, admin, name)

    found = role_sharing.first(database, "acme", ROLE_ARN, most=2)

    assert ["a", "b"] == [sharer.cluster for sharer in found]
    assert clusters.role_sharers(database, "acme", [ROLE_ARN])[ROLE_ARN][:2] == found


@pytest.mark.parametrize(("hit", "expected"), [(True, {"b", "c"}), (False, {"a"})])
def test_those_whose_status_says_otherwise_are_woken(
    database: Database, admin: Principal, hit: bool, expected: Collection[str]
) -> None:
    share(database, admin, "a", TOO_LONG)
    share(database, admin, "b")
    share(database, admin, "c")

    wake(database, hit=hit)

    assert expected == due(database)


def test_neither_who_noticed_nor_who_uses_another_role_nor_another_organisation_is_woken(
    database: Database, admin: Principal
) -> None:
    noticed = share(database, admin, "a")
    share(database, admin, "b", role="arn:aws:iam::123456789012:role/other")
    share(database, admin, "c", org="other")

    wake(database, hit=True, besides=noticed.uid)

    assert set() == due(database)


def test_who_is_due_already_stays_so_once(database: Database, admin: Principal) -> None:
    for name in ("a", "b"):
        share(database, admin, name)
    wake(database, hit=True, most=1)
    assert {"a"} == due(database) or {"b"} == due(database)

    wake(database, hit=True)

    assert {"a", "b"} == due(database)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)  # SQLite has one writer at a time
def test_who_is_being_changed_now_is_not_waited_for(
    database: Database, second: Database, admin: Principal
) -> None:
    locked = share(database, admin, "a")
    share(database, admin, "b")
    with second.write() as session:
        session.execute(
            tables.clusters.select().where(tables.clusters.c.uid == locked.uid).with_for_update()
        ).all()

        wake(database, hit=True)
    assert {"b"} == due(database)
