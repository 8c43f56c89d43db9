from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from controller import admission_policies, agent_rights, rights
from fleet import clusters, shards
from fleet.sealing import Sealer
from kube.errors import ServerError
from kube.objects import (
    ADMISSION_POLICY_BINDING,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    ROLE_BINDING,
    Kind,
    kind_of,
)
from reconcile.outcome import Done, Retryable, Terminal
from sandbox.world import SandboxCluster
from schemas.agent_documents import HUB_ACCOUNT, NAMESPACE_NAME
from schemas.status import State
from tests.contract.controller.harness import ALICE, BOTH, Hub, everything


def test_without_a_connection_everything_waits_for_one(new_hub: Callable[..., Hub]) -> None:
    hub = new_hub()
    hub.wish(BOTH)
    run = hub.run()
    assert isinstance(run.outcome, Terminal)
    assert (hub.ecr().state, hub.codes()) == (State.BLOCKED, ["ConnectionMissing"])


def test_a_registered_cluster_without_add_ons_has_no_complaint(new_hub: Callable[..., Hub]) -> None:
    hub = new_hub()
    hub.wish({})
    run = hub.run()
    assert (run.outcome, hub.status().issues) == (Done(), ())


def test_a_cluster_that_never_answered_is_failed_at_once(hub: Hub, cluster: SandboxCluster) -> None:
    cluster.take_down()
    run = hub.run()
    assert isinstance(run.outcome, Retryable)
    assert (hub.ecr().state, hub.codes()) == (State.FAILED, ["ClusterUnreachable"])


def test_the_first_miss_of_a_cluster_that_was_well_is_only_tried_again(
    ready_hub: Hub, cluster: SandboxCluster
) -> None:
    cluster.take_down()
    before = ready_hub.status()
    run = ready_hub.run()
    assert isinstance(run.outcome, Retryable)
    assert ready_hub.status() == before


def test_a_cluster_that_breaks_off_in_the_middle_of_every_run_is_told_of(ready_hub: Hub) -> None:
    def break_behind_the_look(line: str) -> None:
        if line.startswith("PATCH"):
            raise ServerError(500, "InternalError", "etcd is away")

    ready_hub.admin.delete(CLUSTER_ROLE_BINDING, agent_rights.SECRETS_ROLE)
    ready_hub.wire.hear = break_behind_the_look
    ready_hub.run()
    ready_hub.run()
    assert ready_hub.codes() == ["ClusterUnreachable"]


def test_what_runs_in_an_unreachable_cluster_goes_on_and_is_called_degraded(
    ready_hub: Hub, cluster: SandboxCluster
) -> None:
    details = ready_hub.ecr().details
    cluster.take_down()
    ready_hub.run()
    ready_hub.run()
    conditions = {each.type: each.status for each in ready_hub.ecr().conditions}
    assert (ready_hub.ecr().state, ready_hub.codes()) == (State.DEGRADED, ["ClusterUnreachable"])
    assert (conditions["Reachable"], conditions["Ready"]) == ("False", "Unknown")
    assert (ready_hub.ecr().details, ready_hub.status().oidc_provider_url is None) == (details, False)


def test_a_cluster_that_is_back_is_ready_again(ready_hub: Hub, cluster: SandboxCluster) -> None:
    cluster.take_down()
    ready_hub.run()
    ready_hub.run()
    cluster.bring_up()
    ready_hub.settle()
    assert (ready_hub.ecr().state, ready_hub.ecr().issues) == (State.READY, ())


def test_a_refused_credential_waits_for_another_one(ready_hub: Hub) -> None:
    ready_hub.connect(replace(ready_hub.hub_connection(), token="nonsense"))
    run = ready_hub.run()
    blocked = ready_hub.ecr().state, ready_hub.codes()
    ready_hub.connect()
    ready_hub.settle()
    assert isinstance(run.outcome, Terminal)
    assert blocked == (State.BLOCKED, ["CredentialRefused"])
    assert ready_hub.ecr().state is State.READY


@pytest.mark.parametrize(
    ("kind", "name", "namespace"),
    [
        (CLUSTER_ROLE, agent_rights.SECRETS_ROLE, None),
        (ADMISSION_POLICY_BINDING, admission_policies.SECRETS_POLICY, None),
        (CLUSTER_ROLE_BINDING, HUB_ACCOUNT, None),
        (ROLE_BINDING, HUB_ACCOUNT, NAMESPACE_NAME),
    ],
)
def test_rights_that_are_gone_are_named_and_come_back_with_connect(
    ready_hub: Hub, kind: Kind, name: str, namespace: str | None
) -> None:
    ready_hub.admin.delete(kind, name, namespace=namespace)
    ready_hub.wish(BOTH, {"awsECR": {"registries": ["123456789012.dkr.ecr.us-east-1.amazonaws.com"]}})
    run = ready_hub.run()
    blocked = ready_hub.ecr().state, ready_hub.codes()
    ready_hub.install_rights()
    ready_hub.settle()
    assert isinstance(run.outcome, Terminal)
    assert blocked == (State.BLOCKED, ["RightsMissing"])
    assert ready_hub.ecr().state is State.READY


def test_a_cluster_that_nobody_prepared_lacks_rights(new_hub: Callable[..., Hub]) -> None:
    hub = new_hub()
    hub.install_rights()
    hub.wish(BOTH)
    hub.connect()
    for obj in rights.objects():
        if obj["kind"] in {"ClusterRoleBinding", "RoleBinding"}:
            hub.admin.delete(
                kind_of(obj), obj["metadata"]["name"], namespace=obj["metadata"].get("namespace")
            )
    hub.run()
    assert hub.codes() == ["RightsMissing"]
    assert "pullpass connect" in hub.ecr().issues[0].remedy


def test_a_second_hub_keeps_its_hands_off(ready_hub: Hub, new_hub: Callable[..., Hub]) -> None:
    before = everything(ready_hub.admin)
    second = new_hub()
    second.wish(BOTH)
    second.connect()
    run = second.run()
    assert isinstance(run.outcome, Terminal)
    assert (second.ecr().state, second.codes()) == (State.BLOCKED, ["AlreadyManaged"])
    assert everything(ready_hub.admin) == before


def test_a_second_name_for_the_same_cluster_keeps_its_hands_off(ready_hub: Hub) -> None:
    second = Hub(ready_hub.database, ready_hub.cluster, name="again")
    second.wish(BOTH)
    second.connect()
    second.run()
    codes = second.codes()
    second.close()
    assert codes == ["AlreadyManaged"]


def test_what_a_forgotten_cluster_of_this_hub_left_is_taken_over(ready_hub: Hub) -> None:

    clusters.force_remove(ready_hub.database, ALICE, ready_hub.key, now=ready_hub.clock.now())
    ready_hub.wish(BOTH)
    ready_hub.connect()
    ready_hub.settle()
    uids = {obj["metadata"]["labels"]["pullpass.dev/cluster"] for obj in ready_hub.objects().values()}
    assert (ready_hub.ecr().state, uids) == (State.READY, {ready_hub.uid})


def test_another_hub_that_takes_the_cluster_over_by_force_stops_this_one(ready_hub: Hub) -> None:
    ready_hub.admin.merge_patch(
        CONFIG_MAP, "pullpass-owner", {"data": {"hub": "another"}}, namespace=NAMESPACE_NAME
    )
    ready_hub.wire.sent.clear()
    ready_hub.run()
    assert ready_hub.codes() == ["AlreadyManaged"]
    assert [line for line in ready_hub.wire.sent if not line.startswith("GET")] == []


def test_an_agent_that_does_not_come_up_is_named_after_two_minutes(hub: Hub) -> None:
    hub.run()
    hub.clock.advance(119)
    hub.run()
    early = hub.codes()
    hub.clock.advance(2)
    hub.run()
    assert (early, hub.codes(), hub.ecr().state) == ([], ["AgentNotRunning"], State.FAILED)


def test_an_agent_that_falls_silent_is_named_after_half_an_hour(ready_hub: Hub) -> None:
    ready_hub.clock.advance(timedelta(minutes=33).total_seconds())
    ready_hub.run()
    assert ready_hub.codes() == ["AgentNotReporting"]
    assert ready_hub.ecr().state is State.DEGRADED


def test_another_process_that_holds_the_shard_writes_and_this_one_does_not(
    ready_hub: Hub, cluster: SandboxCluster
) -> None:
    cluster.take_down()
    ready_hub.run()
    before = ready_hub.status()
    run = ready_hub.reconciler.reconcile(ready_hub.uid, shard=0, epoch=10_000)
    assert (run.generation, run.outcome) == (None, Done())
    assert ready_hub.status() == before


def test_a_cluster_that_is_gone_is_done(ready_hub: Hub) -> None:
    run = ready_hub.reconciler.reconcile("no-such-uid", shard=0, epoch=0)
    assert (run.generation, run.outcome) == (None, Done())


def test_a_new_process_tries_an_unreachable_cluster_among_the_failing_ones(
    hub: Hub, cluster: SandboxCluster
) -> None:
    cluster.take_down()
    hub.run()
    hub.restart()
    hub.wire.sent.clear()
    uid, epochs = hub.uid, shards.heartbeat(hub.database, "process-1", now=hub.clock.now())
    place = {"shard": shards.shard_of(uid), "epoch": epochs[shards.shard_of(uid)]}
    first = hub.reconciler.reconcile(uid, in_healthy_lane=True, **place)
    dialled = list(hub.wire.sent)
    hub.reconciler.reconcile(uid, in_healthy_lane=False, **place)
    assert isinstance(first.outcome, Retryable)
    assert (dialled, len(hub.wire.sent)) == ([], 1)


def test_a_cluster_that_is_dropped_during_its_run_keeps_its_client_to_the_end(ready_hub: Hub) -> None:
    dropped = False

    def drop_once(line: str) -> None:
        nonlocal dropped
        if not dropped and "rolebindings" in line:
            dropped = True
            ready_hub.reconciler.drop([ready_hub.uid])

    ready_hub.wire.hear = drop_once
    run = ready_hub.run()
    assert (dropped, run.outcome) == (True, Done())


def test_a_connection_that_does_not_open_waits_for_another_one(ready_hub: Hub) -> None:
    ready_hub.database.sealer = Sealer((b"x" * 32,))
    ready_hub.restart()
    run = ready_hub.run()
    assert isinstance(run.outcome, Terminal)
    assert (ready_hub.ecr().state, ready_hub.codes()) == (State.BLOCKED, ["ConnectionMissing"])


def test_a_removal_never_takes_a_connection_that_does_not_open_for_none(ready_hub: Hub) -> None:
    clusters.remove(ready_hub.database, ALICE, ready_hub.key, now=ready_hub.clock.now())
    key = ready_hub.database.sealer
    ready_hub.database.sealer = Sealer((b"x" * 32,))
    ready_hub.restart()
    ready_hub.run()
    ready_hub.run()
    assert (ready_hub.exists(), ready_hub.codes()) == (True, ["ConnectionMissing"])
    ready_hub.database.sealer = key
    ready_hub.settle()
    assert (ready_hub.exists(), ready_hub.objects()) == (False, {})


def test_a_bug_stays_visible(ready_hub: Hub) -> None:
    def break_it(_line: str) -> None:
        raise ValueError("a bug")

    ready_hub.wire.hear = break_it
    with pytest.raises(ValueError, match="a bug"):
        ready_hub.run()
