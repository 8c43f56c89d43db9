"""What settings of pull secrets, and what the agent says of them, make of rights, stages and status."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.addons import aws_ecr
from controller.addons.addon import Context
from controller.addons.agent_objects import DEPLOYMENT_KEY, REPORT_KEY
from controller.addons.webhook_objects import WEBHOOK_KEY
from controller.agent_rights import (
    CUSTOM_RESOURCES_ROLE,
    PODS_ROLE,
    SECRETS_ROLE,
    WEBHOOKS_ROLE,
    WIDE_SECRETS_ROLE,
)
from kube.objects import CLUSTER_ROLE_BINDING, Object, ObjectKey
from schemas.agent_documents import (
    CONFIGURATION_KEY,
    AgentConfiguration,
    AgentReport,
    NamespaceError,
    ReportedCredential,
    ReportedHop,
    dump_report,
    load_configuration,
)
from schemas.agent_documents import REPORT_KEY as MEMBER
from schemas.reported import ReportedFailure, ReportedWebhook
from schemas.status import AddOnStatus, State
from tests.unit.controller.samples import AWS, NOW, REGISTRY, ROLE_ARN, context

UP: Object = {"status": {"conditions": [{"type": "Available", "status": "True"}]}}
HOPS = tuple(ReportedHop(name, succeeded=True) for name in ("token", "sts", "ecr", "registry"))
HALF_A_DAY = timedelta(hours=12)
KEYS = {"resource": "ecrpullsecrets.alchemy.com", "keys": {"namespace": "ops", "name": "aws"}}
NO_ROLE: dict[str, Any] = {"awsWorkloadIdentity": {}, "awsECR": {}}


def of(*, add_ons: dict[str, Any] | None = None, provider: Any = None, **pull_secret: Any) -> Context:
    settings = {
        "awsECR": {
            "registries": [REGISTRY, "public.ecr.aws"],
            "delivery": "pullSecret",
            "pullSecret": pull_secret,
        }
    }
    return context(add_ons=add_ons, provider=provider, settings=settings)


def binding(role: str) -> ObjectKey:
    return ObjectKey(CLUSTER_ROLE_BINDING.api_version, CLUSTER_ROLE_BINDING.kind, "", role)


def seen(*bound: str, **members: Any) -> dict[ObjectKey, Object]:
    good: dict[str, Any] = {
        "generation": 3,
        "agent_version": "0.1.0",
        "written_at": NOW,
        "registries": (REGISTRY,),
        "hops": HOPS,
        "verified_at": NOW,
        "credentials": (ReportedCredential("eu-central-1", (REGISTRY,), NOW, NOW + HALF_A_DAY, ROLE_ARN),),
        "namespaces_selected": 2,
        "namespaces_ready": 2,
    }
    report: Object = {"data": {MEMBER: dump_report(AgentReport(**{**good, **members}))}}
    found: dict[ObjectKey, Object] = {REPORT_KEY: report, DEPLOYMENT_KEY: UP}
    return found | {binding(role): {} for role in bound}


def roles(wanted: Context, stage: str = "") -> set[str]:
    return {
        obj["metadata"]["name"]
        for obj in aws_ecr.ADD_ON.desired(wanted, stage)
        if obj["kind"] == CLUSTER_ROLE_BINDING.kind
    }


def configuration(wanted: Context, stage: str = "") -> AgentConfiguration:
    for obj in aws_ecr.ADD_ON.desired(wanted, stage):
        if CONFIGURATION_KEY in obj.get("data", {}):
            return load_configuration(obj["data"][CONFIGURATION_KEY])
    raise AssertionError("no configuration")


def observed(wanted: Context, evidence: dict[ObjectKey, Object]) -> AddOnStatus:
    return aws_ecr.ADD_ON.observe(wanted, evidence)


def codes(status: AddOnStatus) -> list[str]:
    return [issue.code for issue in status.issues]


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        ({}, set()),
        ({"name": "ecr"}, {WIDE_SECRETS_ROLE}),
        ({"publicName": "ecr-public-token"}, {WIDE_SECRETS_ROLE}),
        ({"labelled": {}}, {WIDE_SECRETS_ROLE}),
        ({"customResources": True}, {WIDE_SECRETS_ROLE, CUSTOM_RESOURCES_ROLE}),
        ({"adopt": [KEYS]}, {WIDE_SECRETS_ROLE, CUSTOM_RESOURCES_ROLE}),
        ({"retryPods": True}, {PODS_ROLE}),
        ({"appendToPods": True}, set()),
    ],
)
def test_the_agent_has_no_rights_but_those_that_the_settings_need(settings: Any, more: set[str]) -> None:
    assert roles(of(**settings)) == {SECRETS_ROLE, WEBHOOKS_ROLE} | more
    assert configuration(of(**settings)).wide_secrets is (WIDE_SECRETS_ROLE in more)


@pytest.mark.parametrize(
    ("bound", "members", "stage"),
    [
        ((), {}, ""),
        ((WIDE_SECRETS_ROLE,), {}, ""),
        ((WIDE_SECRETS_ROLE,), {"elsewhere": 1}, "narrowing"),
        ((WIDE_SECRETS_ROLE,), {"generation": 2}, "narrowing"),
        ((WIDE_SECRETS_ROLE, CUSTOM_RESOURCES_ROLE), {"custom_resources": (1, 0)}, "releasing"),
        ((WIDE_SECRETS_ROLE, CUSTOM_RESOURCES_ROLE), {"custom_resources": (0, 0)}, ""),
        (
            (WIDE_SECRETS_ROLE, CUSTOM_RESOURCES_ROLE),
            {"custom_resources": (1, 0), "elsewhere": 2},
            "narrowing releasing",
        ),
    ],
)
def test_wider_rights_go_when_the_agent_says_that_nothing_needs_them(
    bound: tuple[str, ...], members: Any, stage: str
) -> None:
    assert aws_ecr.ADD_ON.stage(of(), seen(*bound, **members)) == stage


@pytest.mark.parametrize(
    ("stage", "more"),
    [
        ("narrowing", {WIDE_SECRETS_ROLE}),
        ("releasing", {WIDE_SECRETS_ROLE, CUSTOM_RESOURCES_ROLE}),
    ],
)
def test_until_then_they_stay(stage: str, more: set[str]) -> None:
    assert roles(of(), stage) == {SECRETS_ROLE, WEBHOOKS_ROLE} | more
    assert configuration(of(), stage).wide_secrets


def test_a_removal_keeps_the_rights_that_are_there_and_no_webhook() -> None:
    wanted = of(labelled={}, customResources=True, retryPods=True)
    step = aws_ecr.ADD_ON.remove(wanted, seen(WIDE_SECRETS_ROLE, CUSTOM_RESOURCES_ROLE))
    kinds = {obj["kind"] for obj in step.objects}
    bound = {obj["metadata"]["name"] for obj in step.objects if obj["kind"] == CLUSTER_ROLE_BINDING.kind}
    assert bound == {SECRETS_ROLE, WEBHOOKS_ROLE, WIDE_SECRETS_ROLE, CUSTOM_RESOURCES_ROLE}
    assert "MutatingWebhookConfiguration" not in kinds


@pytest.mark.parametrize(
    ("settings", "blocked"),
    [
        ({}, True),
        ({"labelled": {}}, True),
        ({"adopt": [{"resource": "ecrpullsecrets.alchemy.com"}]}, True),
        ({"adopt": [KEYS]}, False),
        ({"customResources": True}, False),
    ],
)
def test_without_a_role_only_those_are_served_who_bring_an_identity(settings: Any, blocked: bool) -> None:
    found = aws_ecr.ADD_ON.obstacles(of(add_ons=NO_ROLE, **settings))
    assert [issue.code for issue in found] == (["RoleArnMissing"] if blocked else [])


def test_without_a_role_nothing_is_told_to_fill_secrets_or_nodes() -> None:
    settings = {"awsECR": {"pullSecret": {"customResources": True, "labelled": {}, "appendToPods": True}}}
    wanted = context(add_ons=NO_ROLE, settings=settings)
    told = configuration(wanted)
    assert (told.pull_secrets, told.nodes, told.pull_secret.labelled) == ("never", "none", None)
    assert "DaemonSet" not in {obj["kind"] for obj in aws_ecr.ADD_ON.desired(wanted, "")}


def test_without_a_role_it_is_ready_when_the_agent_is_and_no_policy_is_asked_for() -> None:
    wanted = of(add_ons=NO_ROLE, customResources=True)
    members = {"pull_secrets": False, "hops": (), "verified_at": None, "credentials": ()}
    status = observed(wanted, seen(**members, custom_resources=(2, 2)))
    assert (status.state, codes(status)) == (State.READY, [])
    assert status.details["customResources"] == {"total": 2, "ready": 2}
    assert status.details["permissionsPolicy"] is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "there is no role yet"),
        ({"customResources": True}, "each custom resource says whether its identity works"),
    ],
)
def test_what_is_not_verified_without_a_role_is_told(settings: Any, words: str) -> None:
    members = {"pull_secrets": False, "hops": (), "verified_at": None, "credentials": ()}
    status = observed(of(add_ons=NO_ROLE, **settings), seen(**members))
    assert words in {condition.message for condition in status.conditions}


def test_on_aws_nodes_go_on_with_the_role_of_their_instances() -> None:
    wanted = context(
        add_ons=NO_ROLE, provider=AWS, settings={"awsECR": {"pullSecret": {"customResources": True}}}
    )
    assert configuration(wanted).nodes == "serving"


def test_the_permissions_policy_covers_what_is_asked_for() -> None:
    policy = observed(of(), seen()).details["permissionsPolicy"]
    assert [statement["Sid"] for statement in policy["Statement"]] == ["Login", "Pull", "PublicLogin"]


def test_an_identity_that_fails_is_named_with_until_when_pulls_go_on() -> None:
    keys = "the keys in secret ops/aws"
    status = observed(
        of(customResources=True),
        seen(
            credentials=(ReportedCredential("eu-west-1", (REGISTRY,), NOW, NOW + HALF_A_DAY, keys),),
            failures=(ReportedFailure(keys, "eu-west-1", "KeysRefused", "no such key", NOW, "custom/ci"),),
        ),
    )
    issue = status.issues[0]
    assert (status.state, codes(status), issue.resources) == (
        State.DEGRADED,
        ["KeysRefused"],
        ("ECRPullSecret/ci",),
    )
    assert keys in issue.message
    assert "pulls go on until 2026-11-22T18:00:00Z" in issue.message
    assert status.details["credentials"]["identities"][0]["failing"]["code"] == "KeysRefused"


def test_a_chain_s_role_is_taken_apart_for_its_remedy() -> None:
    role = "arn:aws:iam::999999999999:role/far"
    failure = ReportedFailure(role, "public", "PublicRefused", "no", NOW, "custom/a")
    status = observed(of(), seen(failures=(failure,)))
    assert "--role-name far " in status.issues[0].remedy


def test_a_role_of_a_custom_resource_is_not_what_setup_mends() -> None:
    role = "arn:aws:iam::999999999999:role/far"
    failures = [
        ReportedFailure(each, "eu-central-1", "OidcProviderMissing", "no", NOW, claim)
        for each, claim in ((role, "custom/a"), (ROLE_ARN, "add-on"))
    ]
    remedies = [observed(of(), seen(failures=(failure,))).issues[0].remedy for failure in failures]
    assert remedies[0].startswith("In account 999999999999: aws iam create-open-id-connect-provider ")
    assert remedies[1].startswith("With credentials for account ")
    assert "pullpass aws setup demo" in remedies[1]


def test_what_the_walk_tells_already_is_not_told_twice() -> None:
    hops = (ReportedHop("token", succeeded=True), ReportedHop("sts", succeeded=False, code="StsUnreachable"))
    failure = ReportedFailure(ROLE_ARN, "eu-central-1", "StsUnreachable", "timeout", NOW, "add-on")
    status = observed(of(), seen(hops=hops, failures=(failure,)))
    assert (status.state, codes(status)) == (State.DEGRADED, ["StsUnreachable"])
    assert "pulls go on until 2026-11-22T18:00:00Z" in status.issues[0].message


def test_errors_name_secrets_and_whose_they_are() -> None:
    errors = (
        NamespaceError("shop", "PullSecretClash", "custom/a has it", "ecr", "custom/b"),
        NamespaceError("", "AdoptedResourceMissing", "no CRD", "", "adopted/x"),
    )
    status = observed(of(), seen(namespace_errors=errors))
    assert [(issue.code, issue.resources) for issue in status.issues] == [
        ("AdoptedResourceMissing", ("ECRPullSecret/x",)),
        ("PullSecretClash", ("Namespace/shop",)),
    ]
    assert "secret ecr in namespace shop" in status.issues[1].message


def test_labelled_secrets_are_counted() -> None:
    details = observed(of(labelled={}), seen(labelled_secrets=(5, 4))).details
    assert details["labelledSecrets"] == {"total": 5, "filled": 4}


TRUSTED: Object = {"webhooks": [{"clientConfig": {"caBundle": "eA=="}}]}


@pytest.mark.parametrize(
    ("configured", "told", "age", "state", "code"),
    [
        (TRUSTED, None, 0, State.READY, []),
        (TRUSTED, ReportedWebhook(NOW + HALF_A_DAY, ("pullpass-agent",)), 3, State.READY, []),
        ({"webhooks": [{"clientConfig": {}}]}, None, 1, State.INSTALLING, []),
        ({"webhooks": [{"clientConfig": {}}]}, None, 3, State.DEGRADED, ["WebhookNotServing"]),
        (TRUSTED, ReportedWebhook(NOW), 3, State.DEGRADED, ["WebhookNotServing"]),
        (TRUSTED, ReportedWebhook(error="the port is taken"), 3, State.DEGRADED, ["WebhookNotServing"]),
    ],
)
def test_a_webhook_serves_once_the_api_server_trusts_it(
    configured: Object, told: ReportedWebhook | None, age: int, state: State, code: list[str]
) -> None:
    settings = {
        "awsECR": {"registries": [REGISTRY], "delivery": "pullSecret", "pullSecret": {"appendToPods": True}}
    }
    wanted = context(settings=settings, since=NOW - timedelta(minutes=age))
    status = observed(wanted, {**seen(webhook=told), WEBHOOK_KEY: configured})
    assert (status.state, codes(status)) == (state, code)
