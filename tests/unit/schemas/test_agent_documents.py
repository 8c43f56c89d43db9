from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.addons.aws_ecr import PullSecret
from schemas.agent_documents import (
    NAMESPACE_ERROR_LIMIT,
    AgentConfiguration,
    AgentReport,
    NamespaceError,
    ReportedCredential,
    ReportedHop,
    dump_configuration,
    dump_report,
    labels,
    load_configuration,
    load_report,
)
from schemas.connection import AwsAccess
from schemas.pod_identity_documents import PodIdentityConfiguration, dump_pod_identity, load_pod_identity
from schemas.reported import ReportedFailure, ReportedRefusal, ReportedWebhook

NOW = datetime(2026, 11, 22, 5, 40, tzinfo=UTC)
HOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
CONFIGURATION = AgentConfiguration(
    generation=7,
    cluster_uid="uid",
    organisation="acme",
    cluster="demo",
    removing=False,
    role_arn="arn:aws:iam::123456789012:role/pull",
    audience="sts.amazonaws.com",
    region="eu-central-1",
    registries=(HOST,),
    verify_image=f"{HOST}/app:1",
    pull_secret=PullSecret(("shop",), {"team": "a"}, ("kube-*", "x"), ("default", "builder")),
    aws=AwsAccess(sts_endpoint="https://sts.example.com", no_proxy=".svc"),
)
REPORT = AgentReport(
    generation=7,
    agent_version="0.1.0",
    written_at=NOW,
    removed=False,
    registries=(HOST,),
    hops=(ReportedHop("token", True), ReportedHop("sts", False, "TrustPolicyMismatch", "AccessDenied: no")),
    verified_at=NOW,
    credentials=(ReportedCredential("eu-central-1", (HOST,), NOW, NOW),),
    namespaces_selected=3,
    namespaces_ready=2,
    namespace_errors=(NamespaceError("shop", "SecretNotOurs", "somebody's"),),
)


@pytest.mark.parametrize(
    "configuration",
    [
        CONFIGURATION,
        replace(CONFIGURATION, region=None, verify_image=None, registries=(), removing=True),
        replace(CONFIGURATION, pull_secret=PullSecret(), aws=AwsAccess()),
        replace(CONFIGURATION, pull_secret=PullSecret(exclude_namespaces=(), service_accounts=())),
    ],
)
def test_a_configuration_comes_back_as_it_was_written(configuration: AgentConfiguration) -> None:
    assert load_configuration(dump_configuration(configuration)) == configuration


@pytest.mark.parametrize(
    "report",
    [
        REPORT,
        AgentReport(generation=1, agent_version="x", written_at=NOW),
        replace(REPORT, refused_so_far=ReportedRefusal("TrustPolicyMismatch", "Not authorized", NOW)),
    ],
)
def test_a_report_comes_back_as_it_was_written(report: AgentReport) -> None:
    assert load_report(dump_report(report)) == report


def test_equal_configurations_give_equal_text() -> None:
    one = replace(CONFIGURATION, pull_secret=PullSecret(namespace_selector={"a": "1", "b": "2"}))
    other = replace(CONFIGURATION, pull_secret=PullSecret(namespace_selector={"b": "2", "a": "1"}))
    assert dump_configuration(one) == dump_configuration(other)


def _changed(text: str, **changes: Any) -> str:
    return json.dumps({**json.loads(text), **changes})


def test_members_of_a_newer_writer_are_ignored() -> None:
    text = _changed(dump_configuration(CONFIGURATION), later={"x": 1})
    assert load_configuration(text) == CONFIGURATION


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version: expected 1, got 2"),
        ({"version": None}, "version is missing"),
        ({"generation": "7"}, "generation: expected an integer"),
        ({"roleArn": None}, "roleArn is missing"),
        ({"pullSecret": []}, "pullSecret: expected an object"),
        ({"pullSecret": {"serviceAccounts": 1}}, "pullSecret.serviceAccounts: expected a list"),
        ({"aws": {"stsEndpoint": 1}}, "aws.stsEndpoint: expected text"),
    ],
)
def test_a_damaged_configuration_is_refused_by_the_member_s_name(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        load_configuration(_changed(dump_configuration(CONFIGURATION), **changes))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"writtenAt": "today"}, "writtenAt: expected an RFC 3339 time"),
        ({"hops": [{"name": "sts"}]}, "hops[0].succeeded is missing"),
        ({"credentials": [{"region": "x", "issuedAt": 1}]}, "credentials[0].issuedAt: expected text"),
        ({"namespaceErrors": [3]}, "namespaceErrors[0]: expected an object"),
    ],
)
def test_a_damaged_report_is_refused_by_the_member_s_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        load_report(_changed(dump_report(REPORT), **changes))
    assert str(caught.value) == message


def test_a_swollen_report_is_cut() -> None:
    error = {"namespace": "n" * 9999, "code": "SecretNotOurs", "message": "m" * 99_999}
    text = _changed(dump_report(REPORT), namespaceErrors=[error] * 500, registries=["r"] * 9999)
    report = load_report(text)
    assert (
        len(report.namespace_errors),
        len(report.namespace_errors[0].namespace),
        len(report.namespace_errors[0].message),
        len(report.registries),
    ) == (NAMESPACE_ERROR_LIMIT, 253, 1000, 200)


def test_what_custom_resources_webhooks_and_identities_tell_is_read_again() -> None:
    report = replace(
        REPORT,
        failures=(
            ReportedFailure(
                "the keys in secret ops/aws", "public", "KeysRefused", "no", REPORT.written_at, "custom/a"
            ),
        ),
        namespace_errors=(NamespaceError("shop", "PullSecretClash", "m", "ecr", "custom/a"),),
        custom_resources=(3, 2),
        labelled_secrets=(5, 5),
        leader="pullpass-agent-7d9-x",
        webhook=ReportedWebhook(REPORT.written_at, ("pullpass-agent",), "none answers"),
        elsewhere=4,
    )
    assert load_report(dump_report(report)) == report


def test_the_report_of_an_agent_of_the_first_version_is_read() -> None:
    known = json.loads(dump_report(REPORT))
    for name in ("failures", "customResources", "labelledSecrets", "leader", "webhook", "elsewhere"):
        del known[name]
    for credential in known["credentials"]:
        del credential["identity"]
    for error in known["namespaceErrors"]:
        del error["secret"], error["claim"]
    assert load_report(json.dumps(known)) == REPORT


def test_the_configuration_of_a_hub_of_the_first_version_is_read() -> None:
    known = json.loads(dump_configuration(CONFIGURATION))
    del known["wideSecrets"]
    known["pullSecret"] = {
        name: known["pullSecret"][name]
        for name in ("namespaces", "namespaceSelector", "excludeNamespaces", "serviceAccounts")
    }
    assert load_configuration(json.dumps(known)) == CONFIGURATION


@pytest.mark.parametrize("region", [None, "eu-central-1"])
def test_what_the_pod_identity_webhook_is_told_is_read_again(region: str | None) -> None:
    told = PodIdentityConfiguration(
        generation=7,
        cluster_uid="0190-uid",
        audience="sts.amazonaws.com",
        region=region,
        regional_sts=True,
        token_expiration_seconds=600,
    )
    assert load_pod_identity(dump_pod_identity(told)) == told


def test_every_object_says_whose_it_is() -> None:
    assert labels("uid", "awsECR") == {
        "app.kubernetes.io/managed-by": "pullpass",
        "pullpass.dev/cluster": "uid",
        "pullpass.dev/add-on": "awsECR",
    }
