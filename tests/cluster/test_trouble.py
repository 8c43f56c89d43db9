"""What goes wrong in real clusters: each recovers by itself, or names its issue and mends with the remedy."""

from __future__ import annotations

import json

import pytest
import yaml

from controller.agent_rights import SECRETS_ROLE
from fleet import clusters, connections
from fleet.database import Database
from fleet.records import ClusterKey
from fleet.sealing import Sealer
from kube.client import Client
from kube.errors import Forbidden
from kube.objects import CLUSTER_ROLE_BINDING, CONFIG_MAP, DEPLOYMENT, ROLE_BINDING, SECRET, SERVICE_ACCOUNT
from tests.cluster.conftest import Stage, eventually

SYSTEM = "pullpass-system"


@pytest.fixture(scope="module", autouse=True)
def ready(stage: Stage) -> None:
    """Every test starts from a cluster that is Ready."""
    stage.put()
    stage.connect()
    eventually(
        lambda: stage.exists(DEPLOYMENT, "pullpass-agent", SYSTEM), what="the agent", explain=stage.logs
    )
    stage.kubelet.run(SYSTEM, "pullpass-agent")
    stage.wait_for_state("Ready")


def stored_token(stage: Stage) -> str:
    """The hub's own credential, read as the hub would."""
    hub = stage.directory / "hub"
    database = Database(f"sqlite:///{hub}/pullpass.db", sealer=Sealer.from_file(hub / "sealing.key"))
    try:
        connection = connections.read(database, clusters.read(database, ClusterKey("acme", "demo")).uid)
    finally:
        database.close()
    assert connection is not None
    assert connection.token is not None
    return connection.token


def test_the_hubs_account_can_give_nobody_more_rights_than_written_down(stage: Stage) -> None:
    hub = Client(stage.cluster.access(stored_token(stage)))
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": everything}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "pullpass-hub", "namespace": SYSTEM}],
    }
    try:
        for obj in (
            role | {"metadata": {"name": SECRETS_ROLE}},
            role | {"metadata": {"name": "more"}},
            binding | {"metadata": {"name": "more"}},
        ):
            with pytest.raises(Forbidden):
                hub.apply(obj)
        with pytest.raises(Forbidden):
            hub.list(SECRET)
        with pytest.raises(Forbidden):
            hub.request_token("kube-system", "default", audiences=[], expiration_seconds=600)
    finally:
        hub.close()


def test_a_removed_role_is_named_and_connect_brings_it_back(stage: Stage) -> None:
    stage.client.delete(ROLE_BINDING, "pullpass-hub", namespace=SYSTEM)
    stage.patch({"settings": {"awsECR": {"pullSecret": {"serviceAccounts": "default"}}}})
    stage.wait_for_issue("RightsMissing")
    stage.connect()
    stage.wait_for_state("Ready")


def test_credentials_in_the_cluster_go_on_while_the_hub_may_not_speak_to_it(stage: Stage) -> None:
    stage.client.delete(ROLE_BINDING, "pullpass-hub", namespace=SYSTEM)
    stage.make_namespace("meanwhile")
    eventually(
        lambda: stage.exists(SECRET, "pullpass-ecr", "meanwhile"), what="the agent works", explain=stage.logs
    )
    stage.connect()


def test_a_dead_hub_token_is_named_and_connect_mends_it(stage: Stage) -> None:
    stage.client.delete(SERVICE_ACCOUNT, "pullpass-hub", namespace=SYSTEM)
    stage.wait_for_issue("CredentialRefused")
    stage.connect()
    stage.wait_for_state("Ready")


def test_an_api_server_that_restarts_is_waited_for(stage: Stage) -> None:
    stage.client.delete(CLUSTER_ROLE_BINDING, SECRETS_ROLE)
    stage.cluster.stop()
    stage.wait_for_issue("ClusterUnreachable")
    stage.cluster.start()
    stage.wait_for_state("Ready")
    eventually(
        lambda: stage.exists(CLUSTER_ROLE_BINDING, SECRETS_ROLE), what="the binding", explain=stage.logs
    )


def test_a_controller_killed_in_the_middle_is_followed_by_one_that_finishes(stage: Stage) -> None:
    assert stage.controller is not None
    for pause in range(3):
        stage.client.delete(DEPLOYMENT, "pullpass-agent", namespace=SYSTEM)
        stage.patch({"spec": {"version": f"1.34.{pause}"}})
        stage.controller.kill()
        stage.controller.wait()
        stage.controller = stage.start("controller")
    eventually(
        lambda: stage.exists(DEPLOYMENT, "pullpass-agent", SYSTEM), what="the agent again", explain=stage.logs
    )
    stage.wait_for_state("Ready")


def test_another_hub_is_told_that_the_cluster_is_managed(stage: Stage) -> None:
    owner = stage.client.get(CONFIG_MAP, "pullpass-owner", namespace=SYSTEM)
    mine = owner["data"]["hub"]
    stage.client.merge_patch(CONFIG_MAP, "pullpass-owner", {"data": {"hub": "another"}}, namespace=SYSTEM)
    before = stage.client.get(DEPLOYMENT, "pullpass-agent", namespace=SYSTEM)["metadata"]["generation"]
    stage.patch({"settings": {"awsECR": {"pullSecret": {"serviceAccounts": "all"}}}})
    stage.wait_for_issue("AlreadyManaged")
    assert (
        before == stage.client.get(DEPLOYMENT, "pullpass-agent", namespace=SYSTEM)["metadata"]["generation"]
    )
    stage.client.merge_patch(CONFIG_MAP, "pullpass-owner", {"data": {"hub": mine}}, namespace=SYSTEM)
    stage.wait_for_state("Ready")


def test_a_role_that_does_not_trust_the_cluster_is_named_with_its_hop(stage: Stage) -> None:
    role = "arn:aws:iam::123456789012:role/other"
    stage.world.create_role(role, {"Version": "2012-10-17", "Statement": []})
    stage.patch({"spec": {"addOns": {"awsECR": {"roleArn": role}}}})
    # IAM is eventually consistent, so a refusal in the first minute is retried before it is told.
    stage.wait_for_issue("TrustPolicyMismatch", patience=120)
    status = stage.show()["status"]["addOns"]["awsECR"]
    assert any("sts:" in condition["message"] for condition in status["conditions"])
    assert stage.exists(SECRET, "pullpass-ecr", "meanwhile")


def test_connect_prints_what_it_would_install(stage: Stage) -> None:
    printed = stage.pullpass("connect", "demo", "--print")
    assert "ValidatingAdmissionPolicy" in {obj["kind"] for obj in yaml.safe_load_all(printed.stdout)}


def test_connect_touches_no_cluster_that_the_hub_does_not_know(stage: Stage) -> None:
    kubeconfig = str(stage.cluster.directory / "kubeconfig")
    result = stage.pullpass("connect", "unknown", "--kubeconfig", kubeconfig, "--yes")
    assert (1, True) == (result.returncode, "unknown" in result.stderr)


def test_no_log_holds_a_token(stage: Stage) -> None:
    secrets = [
        stored_token(stage),
        json.dumps(stage.client.get(SECRET, "pullpass-ecr", namespace="meanwhile")["data"]),
    ]
    logs = [(stage.directory / f"{name}.log").read_text() for name in ("serve", "controller")] + [
        stage.kubelet.log.read_text()
    ]
    assert [] == [True for log in logs for secret in secrets if secret in log]
