from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.addons import ADD_ONS, aws_ecr, aws_workload_identity
from controller.addons.addon import Identity
from controller.addons.agent_objects import DEPLOYMENT_KEY, REPORT_KEY
from kube.objects import Object, ObjectKey
from schemas import addons as schemas_addons
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
from schemas.reported import ReportedRefusal
from schemas.status import State
from tests.unit.controller.samples import AWS, NOW, REGISTRY, ROLE_ARN, context

UP: Object = {
    "status": {
        "conditions": [{"type": "Available", "status": "True", "lastTransitionTime": "2026-11-22T05:00:00Z"}]
    }
}
HOPS = tuple(ReportedHop(name, succeeded=True) for name in ("token", "sts", "ecr", "registry"))
CREDENTIAL = ReportedCredential("eu-central-1", (REGISTRY,), NOW, NOW + timedelta(hours=12))


def down(minutes: float) -> Object:
    since = (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {"type": "Available", "status": "False", "lastTransitionTime": since}
    return {"status": {"conditions": [condition]}}


def evidence(deployment: Object | None = UP, **members: Any) -> dict[ObjectKey, Object]:
    good: dict[str, Any] = {
        "generation": 3,
        "agent_version": "0.1.0",
        "written_at": NOW,
        "registries": (REGISTRY,),
        "hops": HOPS,
        "verified_at": NOW,
        "credentials": (CREDENTIAL,),
        "namespaces_selected": 2,
        "namespaces_ready": 2,
    }
    report: Object = {"data": {MEMBER: dump_report(AgentReport(**{**good, **members}))}}
    return {REPORT_KEY: report} | ({DEPLOYMENT_KEY: deployment} if deployment is not None else {})


def configuration(**changes: Any) -> AgentConfiguration:
    for obj in aws_ecr.desired(context(**changes)):
        if obj["kind"] == "ConfigMap":
            return load_configuration(obj["data"][CONFIGURATION_KEY])
    raise AssertionError("no configuration")


def failed(name: str, code: str) -> tuple[ReportedHop, ...]:
    return (*HOPS[:1], ReportedHop(name, succeeded=False, code=code, message="AWS says no"))


def test_both_halves_of_the_add_ons_have_the_same_keys() -> None:
    assert ADD_ONS.keys() == schemas_addons.ADD_ONS.keys()


def test_the_registries_are_those_of_the_settings_first() -> None:
    assert configuration().registries == (REGISTRY,)


def test_on_aws_the_registry_is_that_of_the_account_and_region() -> None:
    found = configuration(provider=AWS, settings={})
    assert found.registries == ("210987654321.dkr.ecr.eu-west-1.amazonaws.com",)
    assert found.region == "eu-west-1"


def test_elsewhere_the_agent_finds_the_registries_itself() -> None:
    assert configuration(settings={}).registries == ()


def test_the_configuration_names_the_change_it_is_of() -> None:
    found = configuration()
    assert (found.generation, found.role_arn, found.removing) == (3, ROLE_ARN, False)


@pytest.mark.parametrize(
    ("seen", "state", "code"),
    [
        (evidence(), State.READY, None),
        (evidence(deployment={}), State.READY, None),  # the report proves that it runs
        (evidence(namespaces_ready=1), State.INSTALLING, None),
        (evidence(generation=2), State.INSTALLING, None),
        (evidence(verified_at=None), State.INSTALLING, None),
        (evidence(registries=()), State.BLOCKED, "RegistriesUnknown"),
        (evidence(hops=failed("sts", "TrustPolicyMismatch")), State.DEGRADED, "TrustPolicyMismatch"),
        (evidence(hops=failed("sts", "OfAFutureAgent")), State.DEGRADED, "StsRefused"),
        (evidence(hops=failed("registry", "OfAFutureAgent")), State.DEGRADED, "RegistryUnreachable"),
        (
            evidence(hops=failed("sts", "OidcProviderMissing"), credentials=(), verified_at=None),
            State.FAILED,
            "OidcProviderMissing",
        ),
        (
            evidence(
                hops=failed("ecr", "EcrUnreachable"),
                credentials=(replace(CREDENTIAL, expires_at=NOW - timedelta(seconds=1)),),
            ),
            State.FAILED,
            "EcrUnreachable",
        ),
        (evidence(deployment=down(1)), State.READY, None),
        (evidence(deployment=down(3)), State.READY, None),  # it reported after that
        (
            evidence(deployment=down(3), written_at=NOW - timedelta(minutes=4)),
            State.DEGRADED,
            "AgentNotRunning",
        ),
        ({DEPLOYMENT_KEY: down(3)}, State.FAILED, "AgentNotRunning"),
        ({DEPLOYMENT_KEY: down(1)}, State.INSTALLING, None),
        ({DEPLOYMENT_KEY: UP}, State.INSTALLING, None),
        ({DEPLOYMENT_KEY: {}}, State.INSTALLING, None),
        ({}, State.INSTALLING, None),
        ({DEPLOYMENT_KEY: UP, REPORT_KEY: {"data": {MEMBER: "no report"}}}, State.INSTALLING, None),
    ],
)
def test_the_evidence_makes_the_state(seen: dict[ObjectKey, Object], state: State, code: str | None) -> None:
    status = aws_ecr.observe(context(), seen)
    assert (status.state, [issue.code for issue in status.issues]) == (state, [code] if code else [])


@pytest.mark.parametrize(
    "seen",
    [
        {DEPLOYMENT_KEY: UP},
        evidence(generation=2),
        evidence(written_at=NOW - timedelta(minutes=40)),
    ],
)
def test_an_agent_that_runs_and_does_not_report_is_named_after_two_minutes(
    seen: dict[ObjectKey, Object],
) -> None:
    status = aws_ecr.observe(context(since=NOW - timedelta(minutes=2)), seen)
    assert [issue.code for issue in status.issues] == ["AgentNotReporting"]


def test_namespace_errors_are_one_issue_per_code_with_the_namespaces() -> None:
    errors = (
        NamespaceError("a", "SecretNotOurs", "not made by Pullpass"),
        NamespaceError("b", "NamespaceWriteRefused", "quota"),
        NamespaceError("c", "SecretNotOurs", "not made by Pullpass"),
    )
    status = aws_ecr.observe(context(), evidence(namespace_errors=errors))
    found = {issue.code: issue.resources for issue in status.issues}
    assert status.state is State.DEGRADED
    assert found == {
        "NamespaceWriteRefused": ("Namespace/b",),
        "SecretNotOurs": ("Namespace/a", "Namespace/c"),
    }


def test_the_details_tell_what_was_verified_and_until_when_it_lasts() -> None:
    details = aws_ecr.observe(context(), evidence()).details
    assert details["credentials"] == {
        "verifiedAt": "2026-11-22T06:00:00Z",
        "verifiedFrom": "agent",
        "expiresAt": "2026-11-22T18:00:00Z",
        "identities": [
            {
                "identity": None,
                "region": "eu-central-1",
                "registries": [REGISTRY],
                "issuedAt": "2026-11-22T06:00:00Z",
                "expiresAt": "2026-11-22T18:00:00Z",
                "failing": None,
            }
        ],
    }
    assert details["namespaces"] == {"selected": 2, "ready": 2, "errors": []}


def test_a_removal_goes_on_until_the_agent_says_so_of_this_change() -> None:
    old = aws_ecr.remove(context(), evidence(removed=True, generation=2))
    new = aws_ecr.remove(context(), evidence(removed=True))
    assert (old.finished, new.finished) == (False, True)


def test_an_agent_that_does_not_run_is_named_in_the_removal_too() -> None:
    step = aws_ecr.remove(context(add_ons={}), {DEPLOYMENT_KEY: down(3)})
    assert [issue.code for issue in step.status.issues] == ["AgentNotRunning"]


def test_a_removal_keeps_the_pod_as_it_is() -> None:
    def pod(objects: tuple[Object, ...]) -> object:
        return next(obj["spec"] for obj in objects if obj["kind"] == "Deployment")

    assert pod(aws_ecr.remove(context(), {}).objects) == pod(aws_ecr.desired(context()))


def test_a_usable_issuer_makes_workload_identity_ready() -> None:
    settings = {"awsWorkloadIdentity": {"webhook": "off"}}
    status = aws_workload_identity.observe(context(settings=settings), {})
    assert (status.state, status.details["oidcProviderConfig"]["audience"]) == (
        State.READY,
        "sts.amazonaws.com",
    )


def test_an_issuer_that_blocks_blocks_both() -> None:
    base = context()
    issue = base.issue("IssuerNotUsable", {"MESSAGE": "no"})
    blocked = replace(
        base, identity=Identity(status="False", reason="NotHttps", issues=(issue,), blocks=True)
    )
    states = [add_on.observe(blocked, {}).state for add_on in ADD_ONS.values()]
    assert states == [State.BLOCKED, State.BLOCKED]


def test_what_iam_refuses_so_far_is_no_failure_yet_and_outweighs_an_older_proof() -> None:
    refused = ReportedRefusal("TrustPolicyMismatch", "Not authorized", NOW + timedelta(seconds=50))
    status = aws_ecr.observe(context(), evidence(hops=(), refused_so_far=refused))
    verified = next(each for each in status.conditions if each.type == "CredentialsVerified")
    assert (State.INSTALLING, (), "Unknown", "RefusedSoFar") == (
        status.state,
        status.issues,
        verified.status,
        verified.reason,
    )
    assert {
        "code": "TrustPolicyMismatch",
        "message": "Not authorized",
        "until": "2026-11-22T06:00:50Z",
    } == status.details["refusedSoFar"]


def test_a_refusal_of_an_earlier_change_is_not_told_for_this_one() -> None:
    refused = ReportedRefusal("TrustPolicyMismatch", "Not authorized", NOW)
    status = aws_ecr.observe(context(), evidence(generation=2, hops=(), refused_so_far=refused))
    assert "refusedSoFar" not in status.details
