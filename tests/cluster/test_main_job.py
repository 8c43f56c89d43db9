"""connect → enable → the agent fills secrets → drift is put right → disable → all gone. One story, in order."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from controller import rights
from kube.client import Client
from kube.errors import Conflict, Forbidden
from kube.objects import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    DEPLOYMENT,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE_ACCOUNT,
    Kind,
    Object,
    ObjectKey,
    key_of,
    kind_of,
)
from tests.cluster.conftest import REGION, REGISTRY, Stage, eventually, manifest

SYSTEM = "pullpass-system"


@pytest.fixture(scope="module", autouse=True)
def shop(stage: Stage) -> None:
    """A namespace that was there before, with another tool's secret and reference in it."""
    stage.make_namespace("shop")
    eventually(lambda: stage.exists(SERVICE_ACCOUNT, "default", "shop"), what="the default account")
    stage.client.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "other-registry", "namespace": "shop"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": '{"auths":{}}'},
        }
    )
    stage.client.merge_patch(
        SERVICE_ACCOUNT, "default", {"imagePullSecrets": [{"name": "other-registry"}]}, namespace="shop"
    )


@pytest.fixture(scope="module")
def other_tool(stage: Stage) -> Iterator[Client]:
    """Somebody else with the admin's rights."""
    client = Client(stage.cluster.admin(), field_manager="other-tool")
    yield client
    client.close()


def references(stage: Stage, account: str = "default", namespace: str = "shop") -> list[str]:
    found = stage.client.get(SERVICE_ACCOUNT, account, namespace=namespace).get("imagePullSecrets", [])
    return [reference["name"] for reference in found]


def test_without_a_connection_the_cluster_waits_for_one(stage: Stage) -> None:
    stage.put()
    stage.wait_for_issue("ConnectionMissing")
    assert "Blocked" == stage.state()


def test_connect_installs_the_written_rights_and_nothing_else(stage: Stage) -> None:
    stage.connect()
    for obj in rights.objects():
        key = key_of(obj)
        assert stage.exists(kind_of(obj), key.name, key.namespace or None), key
    roles = stage.client.list(CLUSTER_ROLE, label_selector="app.kubernetes.io/managed-by=pullpass").items
    expected = {obj["metadata"]["name"] for obj in rights.objects() if obj["kind"] == CLUSTER_ROLE.kind}
    assert expected == {role["metadata"]["name"] for role in roles}


def test_the_hub_installs_the_agent_as_field_manager_pullpass(stage: Stage) -> None:
    agent = eventually(
        lambda: stage.exists(DEPLOYMENT, "pullpass-agent", SYSTEM), what="the agent", explain=stage.logs
    )
    managers = {
        entry["manager"] for entry in agent["metadata"]["managedFields"] if entry["operation"] == "Apply"
    }
    assert {"pullpass"} == managers


def test_the_agent_fills_a_secret_that_the_registry_takes(stage: Stage) -> None:
    stage.kubelet.run(SYSTEM, "pullpass-agent")
    stage.wait_for_state("Ready")
    secret = eventually(
        lambda: stage.exists(SECRET, "pullpass-ecr", "shop"), what="the secret", explain=stage.logs
    )
    auths = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))["auths"]
    assert {REGISTRY, f"*.dkr.ecr.{REGION}.amazonaws.com"} == set(auths)
    assert stage.world.aws.password_is_valid(auths[REGISTRY]["password"])


def test_service_accounts_refer_to_it_beside_what_was_there(stage: Stage) -> None:
    eventually(
        lambda: references(stage) == ["other-registry", "pullpass-ecr"], what="both", explain=stage.logs
    )


def test_the_status_shows_issuer_policy_and_proof(stage: Stage) -> None:
    status = stage.show()["status"]
    ecr = status["addOns"]["awsECR"]
    assert stage.cluster.issuer == status["oidcProviderUrl"]
    assert ["sts:AssumeRoleWithWebIdentity"] == [
        statement["Action"] for statement in ecr["trustPolicy"]["Statement"]
    ]
    assert "agent" == ecr["credentials"]["verifiedFrom"]
    assert (
        "True"
        == {condition["type"]: condition["status"] for condition in ecr["conditions"]}["CredentialsVerified"]
    )


def test_one_ecr_call_serves_every_namespace(stage: Stage) -> None:
    before = stage.world.aws.calls["GetAuthorizationToken"]
    stage.make_namespace("later")
    eventually(
        lambda: (
            stage.exists(SECRET, "pullpass-ecr", "later")
            and "pullpass-ecr" in references(stage, namespace="later")
        ),
        what="a new namespace is served",
        explain=stage.logs,
    )
    assert before == stage.world.aws.calls["GetAuthorizationToken"]


def test_namespaces_of_kubernetes_itself_get_nothing(stage: Stage) -> None:
    assert None is stage.exists(SECRET, "pullpass-ecr", "kube-system")
    assert None is stage.exists(SECRET, "pullpass-ecr", SYSTEM)


def test_a_deleted_secret_comes_back(stage: Stage) -> None:
    stage.client.delete(SECRET, "pullpass-ecr", namespace="shop")
    eventually(
        lambda: stage.exists(SECRET, "pullpass-ecr", "shop"), what="the secret again", explain=stage.logs
    )


def test_a_deployment_edited_by_hand_is_put_right(stage: Stage, other_tool: Client) -> None:
    other_tool.merge_patch(
        DEPLOYMENT,
        "pullpass-agent",
        {"spec": {"replicas": 0, "template": {"metadata": {"annotations": {"other": "kept"}}}}},
        namespace=SYSTEM,
    )
    eventually(
        lambda: stage.client.get(DEPLOYMENT, "pullpass-agent", namespace=SYSTEM)["spec"]["replicas"] == 2,
        what="two replicas again",
        explain=stage.logs,
    )


def test_what_another_tool_added_to_our_object_stays(stage: Stage) -> None:
    agent = stage.client.get(DEPLOYMENT, "pullpass-agent", namespace=SYSTEM)
    assert {"other": "kept"} == agent["spec"]["template"]["metadata"]["annotations"]


def test_a_secret_of_our_name_that_is_not_ours_is_never_overwritten(stage: Stage) -> None:
    stage.make_namespace("foreign")
    stage.client.delete(SECRET, "pullpass-ecr", namespace="foreign")
    foreign: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "pullpass-ecr", "namespace": "foreign"},
        "type": "Opaque",
        "stringData": {"mine": "yes"},
    }
    eventually(lambda: _replaced(stage, foreign), what="a foreign secret in our place")
    stage.wait_for_issue("SecretNotOurs")
    assert {"mine"} == set(stage.client.get(SECRET, "pullpass-ecr", namespace="foreign")["data"])


def _replaced(stage: Stage, foreign: Object) -> bool:
    """Takes the name before the agent does: it may have been quicker with its own."""
    stage.client.delete(SECRET, "pullpass-ecr", namespace="foreign")
    try:
        stage.client.create(foreign)
    except Conflict:
        return False
    return True


def test_the_agent_may_not_write_any_other_secret(stage: Stage) -> None:
    issued = stage.client.request_token(SYSTEM, "pullpass-agent", audiences=[], expiration_seconds=600)
    agent = Client(stage.cluster.access(issued.token))
    try:
        for name, kind in (("stolen", "kubernetes.io/dockerconfigjson"), ("pullpass-ecr", "Opaque")):
            secret = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": name,
                    "namespace": "default",
                    "labels": {"app.kubernetes.io/managed-by": "pullpass"},
                },
                "type": kind,
            }
            stage.client.delete(SECRET, name, namespace="default")
            with pytest.raises(Exception, match=r"forbidden|denied|immutable|dockerconfigjson"):
                agent.apply(secret)
        with pytest.raises(Forbidden):
            agent.get(SECRET, "other-registry", namespace="shop")
    finally:
        agent.close()


def labelled(stage: Stage, kind: Kind) -> list[ObjectKey]:
    listed = stage.client.list(kind, label_selector="pullpass.dev/add-on=awsECR").items
    return [key_of(obj) for obj in listed]


def test_turned_off_everything_of_ours_goes_and_the_rest_stays(stage: Stage) -> None:
    stage.patch({"spec": {"addOns": {"awsECR": None}}})
    stage.wait_for_state("Disabled")
    assert stage.exists(DEPLOYMENT, "pullpass-agent", SYSTEM), "awsWorkloadIdentity goes on with it"
    secrets = stage.client.list(SECRET, field_selector="metadata.name=pullpass-ecr").items
    assert ["foreign"] == [secret["metadata"]["namespace"] for secret in secrets]
    assert ["other-registry"] == references(stage)
    assert [] == references(stage, namespace="later")
    for kind in (ROLE, ROLE_BINDING, CLUSTER_ROLE_BINDING, CONFIG_MAP):
        eventually(lambda kind=kind: not labelled(stage, kind), what=f"no {kind.plural}", explain=stage.logs)  # type: ignore[misc]


def test_enabled_again_it_is_ready_again(stage: Stage) -> None:
    stage.call("PUT", "", manifest("demo"))
    eventually(
        lambda: stage.exists(DEPLOYMENT, "pullpass-agent", SYSTEM), what="the agent again", explain=stage.logs
    )
    stage.kubelet.stop()
    stage.client.delete(SECRET, "pullpass-ecr", namespace="foreign")
    stage.kubelet.run(SYSTEM, "pullpass-agent")
    stage.wait_for_state("Ready")


def test_deleting_the_cluster_gives_all_back_and_forgets_it(stage: Stage) -> None:
    stage.call("DELETE", "/demo")
    eventually(
        lambda: (
            stage.pool.request(
                "GET",
                f"http://127.0.0.1:{stage.port}/org/acme/mk8s/demo",
                headers={"Authorization": f"Bearer {stage.environment['PULLPASS_TOKEN']}"},
            ).status
            == 404
        ),
        what="forgotten",
        explain=lambda: json.dumps(stage.show()["status"], indent=1) + stage.logs(),
    )
    assert () == stage.client.list(SECRET, field_selector="metadata.name=pullpass-ecr").items
    assert None is stage.exists(CONFIG_MAP, "pullpass-owner", SYSTEM)
    assert None is stage.exists(DEPLOYMENT, "pullpass-agent", SYSTEM)
