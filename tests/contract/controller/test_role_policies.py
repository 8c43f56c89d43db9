"""A trust policy that no longer fits: told of every cluster of the role, and counted where the page shows it."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from addon_api import representation
from addon_api.trust_policies import Policies
from aws.trust_policy import counted_size
from fleet import clusters, overview, shards, statuses, work
from fleet.clusters import Wish
from fleet.filters import Filter
from fleet.records import Cluster, ClusterKey
from schemas.status import AddOnStatus, ClusterStatus, Issue, State
from tests.contract.controller.harness import ALICE, BOTH, ROLE_ARN, SETTINGS, Hub

QUOTA = 450
CODE = "TrustPolicyTooLong"
OTHER_ROLE = {**BOTH, "awsECR": {"roleArn": f"{ROLE_ARN}-other"}}


@pytest.fixture
def tight_hub(hub: Hub) -> Hub:
    """One cluster fits into the policy, two do not."""
    hub.restart(trust_policy_quota=QUOTA)
    return hub


def neighbour(hub: Hub, name: str = "other", *issues: Issue) -> Cluster:
    """Another cluster of the role, as some controller left it; not due."""
    manifest = {**hub.stored().manifest, "name": name}
    wish = Wish(manifest, SETTINGS)
    cluster = clusters.put(hub.database, ALICE, ClusterKey("acme", name), wish, now=hub.clock.now()).cluster
    shard = shards.shard_of(cluster.uid)
    epoch = shards.heartbeat(hub.database, "process-1", now=hub.clock.now())[shard]
    identity = AddOnStatus(State.READY, details={"oidcProviderConfig": {"audience": "sts.amazonaws.com"}})
    status = ClusterStatus(
        oidc_provider_url=f"https://oidc.example.org/id/{name}",
        add_ons={"awsECR": AddOnStatus(State.READY, issues=issues), "awsWorkloadIdentity": identity},
    )
    statuses.write(hub.database, cluster.uid, status, [], shard=shard, epoch=epoch, now=hub.clock.now())
    work.finish(hub.database, cluster.uid, generation=cluster.generation)
    return cluster


def due(hub: Hub) -> Collection[str]:
    return {item.key.name for item in work.due(hub.database, range(shards.SHARDS))} - {hub.key.name}


def shown(hub: Hub) -> Collection[str]:
    """The codes on the cluster's own page."""
    stored = hub.stored()
    page = representation.of_cluster(stored, Policies.of(hub.database, "acme", [stored]))
    return {issue["code"] for issue in page["status"]["addOns"]["awsECR"]["issues"]}


def test_a_cluster_whose_role_has_room_hears_nothing(tight_hub: Hub) -> None:
    tight_hub.settle()
    assert tight_hub.codes() == []


def test_a_policy_over_the_quota_is_an_issue_of_the_cluster_and_leaves_its_state(tight_hub: Hub) -> None:
    neighbour(tight_hub)
    tight_hub.settle()
    assert (tight_hub.ecr().state, tight_hub.codes()) == (State.READY, [CODE])
    policy = Policies.of(tight_hub.database, "acme", [tight_hub.stored()]).of_registry_role(
        tight_hub.stored()
    )
    assert policy is not None
    assert f"{ROLE_ARN} would have {counted_size(policy)} characters" in tight_hub.ecr().issues[0].message


def test_what_the_overview_counts_and_a_filter_finds_is_what_the_page_shows(tight_hub: Hub) -> None:
    tight_hub.settle()
    before = shown(tight_hub), overview.read(tight_hub.database, "acme").issues
    neighbour(tight_hub)
    tight_hub.run()
    [hit] = overview.read(tight_hub.database, "acme").issues
    found = clusters.page(tight_hub.database, "acme", only=Filter(issue=CODE)).items
    assert before == (set(), [])
    assert shown(tight_hub) == {CODE}
    assert (hit.code, hit.clusters) == (CODE, 1)
    assert [cluster.key.name for cluster in found] == ["demo"]


def test_a_cluster_that_joins_a_role_wakes_the_others_of_it(tight_hub: Hub) -> None:
    neighbour(tight_hub)
    tight_hub.run()
    assert due(tight_hub) == {"other"}


def test_nobody_is_woken_who_knows_already(tight_hub: Hub) -> None:
    neighbour(tight_hub, "other", Issue(CODE, "too long", ""))
    tight_hub.settle()
    assert due(tight_hub) == set()


def test_a_cluster_that_takes_another_role_wakes_those_it_leaves(tight_hub: Hub) -> None:
    neighbour(tight_hub, "other", Issue(CODE, "too long", ""))
    tight_hub.settle()
    tight_hub.wish(OTHER_ROLE)
    tight_hub.run()
    assert due(tight_hub) == {"other"}
    assert tight_hub.codes() == []


def test_a_cluster_that_is_being_removed_wakes_those_it_leaves(tight_hub: Hub) -> None:
    neighbour(tight_hub, "other", Issue(CODE, "too long", ""))
    tight_hub.settle()
    clusters.remove(tight_hub.database, ALICE, tight_hub.key, now=tight_hub.clock.now())
    tight_hub.run()
    assert due(tight_hub) == {"other"}


def test_of_a_role_with_many_clusters_only_so_many_are_read(tight_hub: Hub) -> None:
    for number in range(45):
        neighbour(tight_hub, f"other-{number:02}")
    tight_hub.run()
    assert "would have more than " in tight_hub.ecr().issues[0].message
