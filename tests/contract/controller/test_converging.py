from __future__ import annotations

import threading
from typing import Any

import pytest

from controller.agent_rights import SECRETS_ROLE, WEBHOOKS_ROLE
from fleet import connections, events
from fleet.work import Bell
from kube.objects import CLUSTER_ROLE_BINDING, CONFIG_MAP, DEPLOYMENT, MUTATING_WEBHOOK, ROLE, SERVICE_ACCOUNT
from reconcile.outcome import Done, RequeueAfter
from schemas.agent_documents import (
    AGENT_ACCOUNT,
    CONFIGURATION_NAME,
    NAMESPACE_NAME,
    REPORT_NAME,
    ReportedHop,
)
from schemas.pod_identity_documents import POD_IDENTITY_NAME
from schemas.status import State
from tests.contract.controller.harness import AUTHORITY, BOTH, ISSUER, ROLE_ARN, SETTINGS, Hub, everything

AGENT = (
    "ClusterRoleBinding pullpass-agent-webhooks",
    "ConfigMap pullpass-owner",
    "ConfigMap pullpass-pod-identity",
    "Deployment pullpass-agent",
    "MutatingWebhookConfiguration pullpass-pod-identity",
    "PodDisruptionBudget pullpass-agent",
    "Role pullpass-agent",
    "RoleBinding pullpass-agent",
    "RoleBinding pullpass-agent-own-secrets",
    "Service pullpass-agent",
    "ServiceAccount pullpass-agent",
)
CONTENT = tuple(
    sorted(
        (
            *AGENT,
            "ClusterRoleBinding pullpass-agent-secrets",
            "ConfigMap pullpass-agent",
            "ConfigMap pullpass-status",
        )
    )
)
NO_WEBHOOK = {"awsWorkloadIdentity": {"webhook": "off"}}


def names(hub: Hub) -> tuple[str, ...]:
    return tuple(sorted(f"{key.kind} {key.name}" for key in hub.objects()))


def look_of(hub: Hub) -> list[str]:
    namespace = f"namespaces/{NAMESPACE_NAME}"
    selector = f"?labelSelector=pullpass.dev%2Fcluster%3D{hub.uid}&limit=500"
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    admission = "/apis/admissionregistration.k8s.io/v1"
    return [
        f"GET /api/v1/{namespace}/configmaps{selector}",
        f"GET /api/v1/{namespace}/serviceaccounts{selector}",
        f"GET /api/v1/{namespace}/services{selector}",
        f"GET /apis/apps/v1/{namespace}/deployments{selector}",
        f"GET /apis/policy/v1/{namespace}/poddisruptionbudgets{selector}",
        f"GET {rbac}/{namespace}/roles{selector}",
        f"GET {rbac}/{namespace}/rolebindings{selector}",
        f"GET {rbac}/clusterrolebindings?fieldSelector=metadata.name%3D{SECRETS_ROLE}&limit=500",
        f"GET {rbac}/clusterrolebindings?fieldSelector=metadata.name%3D{WEBHOOKS_ROLE}&limit=500",
        f"GET {admission}/mutatingwebhookconfigurations?fieldSelector=metadata.name%3D{POD_IDENTITY_NAME}&limit=500",
    ]


def test_enabling_installs_the_agent_and_its_report_makes_it_ready(hub: Hub) -> None:
    first = hub.run()
    installing = hub.ecr().state
    hub.report()
    hub.run()
    assert (first.outcome, installing) == (RequeueAfter(1), State.INSTALLING)
    assert (hub.ecr().state, hub.ecr().issues) == (State.READY, ())


def test_what_is_installed_is_exactly_what_is_written_down(ready_hub: Hub) -> None:
    assert names(ready_hub) == CONTENT


def test_the_hub_owns_its_fields_as_pullpass(ready_hub: Hub) -> None:
    managers = {
        entry["manager"]
        for key, obj in ready_hub.objects().items()
        if key.name != REPORT_NAME and key.kind != MUTATING_WEBHOOK.kind
        for entry in obj["metadata"]["managedFields"]
    }
    assert managers == {"pullpass"}


def test_the_provider_url_is_the_clusters_issuer(ready_hub: Hub) -> None:
    assert ready_hub.status().oidc_provider_url == ISSUER


def test_every_condition_holds_once_it_is_ready(ready_hub: Hub) -> None:
    conditions = {condition.type: condition.status for condition in ready_hub.ecr().conditions}
    assert conditions == dict.fromkeys(
        ["Reachable", "IssuerUsable", "Installed", "CredentialsVerified", "Ready"], "True"
    )


def test_ready_waits_for_the_next_look(ready_hub: Hub) -> None:
    assert ready_hub.run().outcome == Done()


def test_an_unchanged_cluster_costs_one_list_per_kind(ready_hub: Hub) -> None:
    ready_hub.wire.sent.clear()
    ready_hub.run()
    assert ready_hub.wire.sent == look_of(ready_hub)


def test_an_unchanged_cluster_costs_no_write(ready_hub: Hub) -> None:
    uid = ready_hub.uid
    stop = threading.Event()
    bell = Bell(ready_hub.database)
    bell.wait(0, stop)
    ready_hub.reconciler.reconcile(uid, shard=0, epoch=0)
    rang = bell.wait(0, stop)
    bell.close()
    assert not rang


def test_a_new_report_is_read_and_costs_no_write_where_it_says_the_same(ready_hub: Hub) -> None:
    verified_at = ready_hub.clock.now().replace(microsecond=0)
    ready_hub.report(verified_at=verified_at, credentials=())
    ready_hub.run()
    ready_hub.clock.advance(300)
    ready_hub.report(verified_at=verified_at, credentials=())
    ready_hub.wire.sent.clear()
    run = ready_hub.reconciler.reconcile(ready_hub.uid, shard=0, epoch=0)
    read = f"GET /api/v1/namespaces/{NAMESPACE_NAME}/configmaps/{REPORT_NAME}"
    assert ready_hub.wire.sent == [*look_of(ready_hub), read]
    assert run.generation is not None


def test_after_an_hour_everything_is_asked_again(ready_hub: Hub) -> None:
    ready_hub.clock.advance(3601)
    ready_hub.report()
    ready_hub.wire.sent.clear()
    ready_hub.run()
    asked = {line.split()[1] for line in ready_hub.wire.sent}
    assert {"/version", "/.well-known/openid-configuration"} <= asked


@pytest.mark.parametrize(
    ("kind", "namespace", "name", "edit"),
    [
        (CONFIG_MAP, NAMESPACE_NAME, CONFIGURATION_NAME, {"data": {"configuration.json": "{}"}}),
        (DEPLOYMENT, NAMESPACE_NAME, AGENT_ACCOUNT, {"spec": {"replicas": 0}}),
        (SERVICE_ACCOUNT, NAMESPACE_NAME, AGENT_ACCOUNT, {"automountServiceAccountToken": True}),
        (ROLE, NAMESPACE_NAME, AGENT_ACCOUNT, {"rules": []}),
        (CLUSTER_ROLE_BINDING, None, SECRETS_ROLE, {"subjects": []}),
        (
            CONFIG_MAP,
            NAMESPACE_NAME,
            CONFIGURATION_NAME,
            {"metadata": {"labels": {"pullpass.dev/cluster": None}}},
        ),
    ],
)
def test_what_somebody_edits_is_put_right(
    ready_hub: Hub, kind: Any, namespace: str | None, name: str, edit: dict[str, Any]
) -> None:
    def bare() -> dict[str, Any]:
        found = ready_hub.admin.get(kind, name, namespace=namespace)
        labels = found["metadata"]["labels"]
        return {"labels": labels} | {key: found[key] for key in found.keys() - {"metadata", "status"}}

    before = bare()
    ready_hub.admin.merge_patch(kind, name, edit, namespace=namespace)
    assert bare() != before
    ready_hub.run()
    assert bare() == before
    assert "DriftRepaired" in ready_hub.reasons()


def test_what_somebody_deletes_comes_back(ready_hub: Hub) -> None:
    ready_hub.admin.delete(DEPLOYMENT, AGENT_ACCOUNT, namespace=NAMESPACE_NAME)
    ready_hub.admin.delete(CLUSTER_ROLE_BINDING, SECRETS_ROLE)
    ready_hub.run()
    assert names(ready_hub) == CONTENT


def test_what_is_ours_and_not_wanted_is_pruned(ready_hub: Hub) -> None:
    stray = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "stray",
            "namespace": NAMESPACE_NAME,
            "labels": {
                "app.kubernetes.io/managed-by": "pullpass",
                "pullpass.dev/cluster": ready_hub.uid,
                "pullpass.dev/add-on": "awsECR",
            },
        },
    }
    ready_hub.admin.apply(stray)
    ready_hub.run()
    assert names(ready_hub) == CONTENT


def test_what_is_not_ours_is_never_touched(hub: Hub) -> None:
    for name, labels in {
        "foreign": {},
        "other-cluster": {"app.kubernetes.io/managed-by": "pullpass", "pullpass.dev/cluster": "another"},
    }.items():
        for namespace in ("default", NAMESPACE_NAME):
            metadata = {"name": name, "namespace": namespace, "labels": labels}
            hub.admin.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
            hub.admin.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    before = everything(hub.admin)
    hub.settle()
    hub.wish({})
    hub.settle()
    assert everything(hub.admin) == before


def test_another_managers_field_survives(ready_hub: Hub) -> None:
    metadata = {
        "name": AGENT_ACCOUNT,
        "namespace": NAMESPACE_NAME,
        "annotations": {"team.example.org/note": "keep"},
    }
    ready_hub.admin.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata})
    ready_hub.run()
    found = ready_hub.admin.get(DEPLOYMENT, AGENT_ACCOUNT, namespace=NAMESPACE_NAME)
    assert found["metadata"]["annotations"]["team.example.org/note"] == "keep"


def test_a_change_of_settings_reaches_the_agent_without_a_restart(ready_hub: Hub) -> None:
    deployment = ready_hub.admin.get(DEPLOYMENT, AGENT_ACCOUNT, namespace=NAMESPACE_NAME)
    host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    ready_hub.wish(BOTH, {"awsECR": {"registries": [host]}})
    ready_hub.run()
    after = ready_hub.admin.get(DEPLOYMENT, AGENT_ACCOUNT, namespace=NAMESPACE_NAME)
    assert ready_hub.configuration().registries == (host,)
    assert after["metadata"]["generation"] == deployment["metadata"]["generation"]


def test_without_a_role_nothing_is_installed(hub: Hub) -> None:
    hub.wish({"awsWorkloadIdentity": {}, "awsECR": {}}, NO_WEBHOOK)
    run = hub.run()
    assert (run.outcome, hub.ecr().state, hub.codes()) == (Done(), State.BLOCKED, ["RoleArnMissing"])
    assert names(hub) == ("ConfigMap pullpass-owner",)


def test_an_obstacle_leaves_what_is_installed_alone(ready_hub: Hub) -> None:
    ready_hub.wish(BOTH, NO_WEBHOOK | SETTINGS)
    ready_hub.settle()
    before = ready_hub.objects()
    ready_hub.wish({"awsWorkloadIdentity": {}, "awsECR": {}}, NO_WEBHOOK)
    ready_hub.run()
    assert (ready_hub.ecr().state, ready_hub.objects()) == (State.BLOCKED, before)


def test_disabling_asks_the_agent_first_and_then_takes_all_of_it_away(ready_hub: Hub) -> None:
    ready_hub.wish({"awsWorkloadIdentity": {}})
    ready_hub.run()
    during = ready_hub.ecr().state, ready_hub.configuration().removing, names(ready_hub)
    ready_hub.report()
    ready_hub.settle()
    assert during == (State.REMOVING, True, CONTENT)
    assert names(ready_hub) == AGENT  # for pods' identities
    assert "awsECR" not in ready_hub.status().add_ons


def test_without_the_webhook_nothing_of_the_agent_is_left(ready_hub: Hub) -> None:
    ready_hub.wish({"awsWorkloadIdentity": {}}, NO_WEBHOOK)
    ready_hub.settle()
    assert names(ready_hub) == ("ConfigMap pullpass-owner",)


def test_the_authority_that_the_agent_writes_stays_and_is_no_drift(ready_hub: Hub) -> None:
    body = {"webhooks": [{"name": "pod-identity.pullpass.dev", "clientConfig": {"caBundle": "bmV3Cg=="}}]}
    webhook = {
        "apiVersion": MUTATING_WEBHOOK.api_version,
        "kind": MUTATING_WEBHOOK.kind,
        "metadata": {"name": POD_IDENTITY_NAME},
        **body,
    }
    ready_hub.agent.apply(webhook)
    ready_hub.wire.sent.clear()
    ready_hub.run()
    found = ready_hub.admin.get(MUTATING_WEBHOOK, POD_IDENTITY_NAME)["webhooks"][0]
    assert found["clientConfig"]["caBundle"] == "bmV3Cg=="
    assert [line for line in ready_hub.wire.sent if line.startswith("PATCH")] == []


def test_a_webhook_that_somebody_widens_is_put_right(ready_hub: Hub) -> None:
    found = ready_hub.admin.get(MUTATING_WEBHOOK, POD_IDENTITY_NAME)
    found["webhooks"][0]["failurePolicy"] = "Fail"
    ready_hub.admin.merge_patch(MUTATING_WEBHOOK, POD_IDENTITY_NAME, {"webhooks": found["webhooks"]})
    ready_hub.run()
    repaired = ready_hub.admin.get(MUTATING_WEBHOOK, POD_IDENTITY_NAME)["webhooks"][0]
    assert (repaired["failurePolicy"], repaired["clientConfig"]["caBundle"]) == ("Ignore", AUTHORITY)
    assert "DriftRepaired" in ready_hub.reasons()


def test_the_eks_webhook_is_left_alone_and_ours_is_not_installed(hub: Hub) -> None:
    theirs = {
        "apiVersion": MUTATING_WEBHOOK.api_version,
        "kind": MUTATING_WEBHOOK.kind,
        "metadata": {"name": "pod-identity-webhook"},
        "webhooks": [],
    }
    hub.admin.apply(theirs)
    hub.wish({"awsWorkloadIdentity": {}}, {})
    hub.settle()
    status = hub.status().add_ons["awsWorkloadIdentity"]
    assert (status.state, status.issues, status.details["webhook"]["served"]) == (State.READY, (), False)
    assert "pod-identity-webhook" in status.details["webhook"]["reason"]
    assert names(hub) == ("ConfigMap pullpass-owner",)


def test_wider_rights_are_bound_while_settings_need_them(ready_hub: Hub) -> None:
    roles = (
        "ClusterRoleBinding pullpass-agent-wide-secrets",
        "ClusterRoleBinding pullpass-agent-custom-resources",
    )
    settings = {"awsECR": {**SETTINGS["awsECR"], "pullSecret": {"customResources": True}}}
    ready_hub.wish(BOTH, settings)
    ready_hub.settle()
    during = set(roles) <= set(names(ready_hub)), ready_hub.configuration().wide_secrets
    ready_hub.wish(BOTH)
    ready_hub.run()
    ready_hub.report(elsewhere=2, custom_resources=(1, 0))
    ready_hub.answered = ready_hub.configuration()
    ready_hub.settle()
    narrowing = set(roles) <= set(names(ready_hub)), ready_hub.configuration().wide_secrets
    ready_hub.report()
    ready_hub.settle()
    assert (during, narrowing) == ((True, True), (True, True))
    assert (names(ready_hub), ready_hub.configuration().wide_secrets) == (CONTENT, False)


def test_what_needs_no_role_is_served_without_one(hub: Hub) -> None:
    settings = {"awsECR": {"pullSecret": {"customResources": True}}}
    hub.wish({"awsWorkloadIdentity": {}, "awsECR": {}}, settings)
    hub.settle()
    configuration = hub.configuration()
    assert (hub.ecr().state, hub.codes()) == (State.READY, [])
    assert (configuration.role_arn, configuration.pull_secrets, configuration.nodes) == ("", "never", "none")


def test_with_nothing_enabled_nothing_is_left(ready_hub: Hub) -> None:
    ready_hub.wish({})
    ready_hub.settle()
    assert (names(ready_hub), ready_hub.status().add_ons) == ((), {})


def test_enabling_again_during_the_removal_converges(ready_hub: Hub) -> None:
    ready_hub.wish({"awsWorkloadIdentity": {}})
    ready_hub.run()
    ready_hub.wish(BOTH)
    ready_hub.settle()
    assert (ready_hub.ecr().state, ready_hub.configuration().removing) == (State.READY, False)


def test_a_removal_waits_longer_and_longer(ready_hub: Hub) -> None:
    ready_hub.wish({})
    seconds = [getattr(ready_hub.run().outcome, "seconds", None) for _ in range(7)]
    assert seconds == [1, 2, 3, 5, 8, 10, 10]


def test_an_installation_is_looked_at_less_and_less_often(hub: Hub) -> None:
    seconds = [getattr(hub.run().outcome, "seconds", None) for _ in range(10)]
    assert seconds == [1, 1, 1, 1, 1, 1, 2, 3, 5, 5]


def test_a_failing_hop_is_named_with_aws_own_words(ready_hub: Hub) -> None:
    words = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
    hops = (ReportedHop("token", succeeded=True), ReportedHop("sts", False, "TrustPolicyMismatch", words))
    ready_hub.report(hops=hops)
    run = ready_hub.run()
    issue = ready_hub.ecr().issues[0]
    assert (run.outcome, ready_hub.ecr().state) == (RequeueAfter(30), State.DEGRADED)
    assert (issue.code, words in issue.message, ROLE_ARN in issue.message) == (
        "TrustPolicyMismatch",
        True,
        True,
    )


def test_the_event_log_tells_the_story(ready_hub: Hub) -> None:
    assert ready_hub.reasons() == [
        "Created",
        "Connected",
        "Applied",
        "Installing",
        "Installing",
        "IssuerFound",
        "Ready",
        "Ready",
    ]


def test_a_secret_of_the_hub_is_in_no_event_and_no_status(ready_hub: Hub) -> None:
    connection = connections.read(ready_hub.database, ready_hub.uid)
    assert connection is not None
    token = connection.token or ""
    told = repr(events.page(ready_hub.database, ready_hub.key)) + repr(ready_hub.status())
    assert token not in told + repr(list(everything(ready_hub.admin, None).values()))
