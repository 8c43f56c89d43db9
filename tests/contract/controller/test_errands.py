"""What somebody waits for: a walk along the chain, and what a manifest would change; each against the sandbox."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from aws.trust_policy import TrustedWorkload, subject, trust_policy
from controller.errands import Errands
from controller.settings import ControllerSettings
from fleet import errands
from fleet.errands import ErrandKind
from kube.objects import SERVICE_ACCOUNT
from sandbox.world import SandboxCluster, World
from schemas.agent_documents import AGENT_ACCOUNT, NAMESPACE_NAME
from schemas.connection import AwsAccess
from tests.contract.controller.harness import ALICE, BOTH, REGISTRY, ROLE_ARN, SETTINGS, Hub
from tests.contract.controller.test_engine import running, until

ISSUERS = (f"https://doctor.example.org/id/{number}" for number in itertools.count())
ACCOUNT = "123456789012"
AGENT = subject(NAMESPACE_NAME, AGENT_ACCOUNT)
NO_ROLE: dict[str, Any] = {"awsWorkloadIdentity": {}, "awsECR": {}}
GENERIC = {"generic": {"location": "aws-eu-central-1"}}
ON_AWS = {
    "aws": {
        "region": "eu-central-1",
        "deployRoleArn": f"arn:aws:iam::{ACCOUNT}:role/deploy",
        "vpcId": "vpc-1",
        "image": {"recommended": "amazon/al2023"},
        "nodePools": [],
    }
}


@pytest.fixture(scope="module")
def aws_world() -> Iterator[World]:
    started = World(run_workloads=False)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def issuer() -> str:
    return next(ISSUERS)


@pytest.fixture
def public_hub(aws_world: World, new_hub: Callable[..., Hub], issuer: str) -> Hub:
    """Ready, and reaching the sandbox's AWS."""
    cluster: SandboxCluster = aws_world.add_cluster(issuer.rpartition("/")[2], issuer=issuer, public=True)
    made = new_hub(cluster=cluster)
    made.install_rights()
    made.wish(BOTH)
    found = aws_world.aws_endpoints
    access = AwsAccess(
        sts_endpoint=found["sts"], ecr_endpoint=found["ecr"], registry_endpoint=found["registry"]
    )
    made.connect(replace(made.hub_connection(), aws=access))
    made.settle()
    aws_world.create_oidc_provider(ACCOUNT, issuer, ["sts.amazonaws.com"])
    return made


def trust(issuer: str, audience: str) -> dict[str, Any]:
    return trust_policy(ROLE_ARN, [TrustedWorkload(issuer, audience, (AGENT,))])


def do(hub: Hub, kind: ErrandKind, body: dict[str, Any] | None = None) -> Any:
    settings = ControllerSettings(agent_image="registry.example.org/pullpass@sha256:1", allow_loopback=True)
    runner = Errands(hub.database, settings, clock=hub.clock, dial=hub.wire.dial)
    return runner.do(errands.ask(hub.database, ALICE, hub.key, kind, body or {}, now=hub.clock.now()))


def failed(result: Any) -> tuple[str, str]:
    last = result["hops"][-1]
    return last["name"], last["code"]


def wish(**settings: Any) -> dict[str, Any]:
    manifest = {
        "kind": "mk8s",
        "name": "demo",
        "spec": {
            "version": "1.34.4",
            "provider": {"generic": {"location": "aws-eu-central-1"}},
            "addOns": BOTH,
        },
    }
    return {"manifest": manifest, "settings": {"awsECR": {**SETTINGS["awsECR"], **settings}}}


def test_a_walk_goes_from_the_connection_to_the_registry_hop_by_hop(
    aws_world: World, public_hub: Hub, issuer: str
) -> None:
    aws_world.create_role(ROLE_ARN, trust(issuer, "sts.amazonaws.com"))

    result = do(public_hub, ErrandKind.DOCTOR)

    walked = ["connection", "api server", "rights", "issuer", "token", "sts", "ecr", "registry"]
    assert [(name, "") for name in walked] == [(hop["name"], hop["code"]) for hop in result["hops"]]
    assert ("hub", []) == (result["verifiedFrom"], result["notWalked"])


def test_a_walk_holds_no_token(aws_world: World, public_hub: Hub) -> None:
    assert "eyJ" not in str(do(public_hub, ErrandKind.DOCTOR))


def test_a_walk_ends_at_the_hop_that_aws_refuses_with_its_remedy(
    aws_world: World, public_hub: Hub, issuer: str
) -> None:
    aws_world.create_role(ROLE_ARN, trust(issuer, "another"))

    result = do(public_hub, ErrandKind.DOCTOR)

    assert ("sts", "TrustPolicyMismatch") == failed(result)
    assert "pullpass aws setup" in result["hops"][-1]["remedy"]
    assert ["ecr", "registry"] == result["notWalked"]


@pytest.mark.parametrize(
    ("add_ons", "settings", "provider", "words"),
    [
        ({}, {}, GENERIC, "awsWorkloadIdentity is not enabled"),
        ({"awsWorkloadIdentity": {}}, {}, GENERIC, "awsECR is not enabled"),
        (NO_ROLE, {}, ON_AWS, "the role of their own instances"),
        (
            NO_ROLE,
            {"identity": "serviceAccount", "serviceAccounts": ["shop/web"]},
            GENERIC,
            "its own service account",
        ),
        (NO_ROLE, {"pullSecret": {"customResources": True}}, GENERIC, "identities of their own"),
    ],
)
def test_a_walk_ends_well_where_the_hub_has_no_role_to_try(
    public_hub: Hub,
    add_ons: dict[str, Any],
    settings: dict[str, Any],
    provider: dict[str, Any],
    words: str,
) -> None:
    public_hub.wish(add_ons, settings={"awsECR": settings}, provider=provider)

    result = do(public_hub, ErrandKind.DOCTOR)

    assert {""} == {hop["code"] for hop in result["hops"]}
    assert words in result["hops"][-1]["message"]
    assert ["sts", "ecr", "registry"] == result["notWalked"][-3:]


def test_a_walk_without_the_role_that_is_needed_says_so(public_hub: Hub) -> None:
    public_hub.wish(NO_ROLE)
    assert ("token", "RoleArnMissing") == failed(do(public_hub, ErrandKind.DOCTOR))


def test_a_walk_without_a_connection_ends_at_once(new_hub: Callable[..., Hub]) -> None:
    hub = new_hub()
    hub.wish(BOTH)
    assert ("connection", "ConnectionMissing") == failed(do(hub, ErrandKind.DOCTOR))


def test_a_walk_to_a_cluster_that_is_down_says_so(hub: Hub, cluster: SandboxCluster) -> None:
    cluster.take_down()
    assert ("api server", "ClusterUnreachable") == failed(do(hub, ErrandKind.DOCTOR))


def test_a_walk_before_the_agent_is_installed_says_so(public_hub: Hub) -> None:
    public_hub.admin.delete(SERVICE_ACCOUNT, AGENT_ACCOUNT, namespace=NAMESPACE_NAME)
    assert ("token", "AgentNotRunning") == failed(do(public_hub, ErrandKind.DOCTOR))


def test_a_preview_of_what_is_there_already_changes_nothing(ready_hub: Hub) -> None:
    assert [] == do(ready_hub, ErrandKind.PREVIEW, wish())["changes"]


def test_a_preview_shows_the_objects_that_would_change_and_leaves_them(ready_hub: Hub) -> None:
    before = ready_hub.objects()

    result = do(ready_hub, ErrandKind.PREVIEW, wish(verifyImage=f"{REGISTRY}/shop/web:1"))

    assert ["ConfigMap"] == [change["kind"] for change in result["changes"]]
    assert "shop/web:1" in str(result["changes"][0]["after"])
    assert "shop/web:1" not in str(result["changes"][0]["before"])
    assert before == ready_hub.objects()


def test_a_preview_of_a_disabled_add_on_says_what_comes_first(ready_hub: Hub) -> None:
    disabled = wish()
    disabled["manifest"]["spec"]["addOns"] = {}
    disabled["settings"] = {}
    notes = do(ready_hub, ErrandKind.PREVIEW, disabled)["notes"]
    assert any(note.startswith("awsECR is to be removed") for note in notes)


def test_an_engine_does_an_errand_at_once_and_stores_what_came_of_it(ready_hub: Hub) -> None:
    with running(ready_hub):
        asked = errands.ask(
            ready_hub.database, ALICE, ready_hub.key, ErrandKind.DOCTOR, {}, now=ready_hub.clock.now()
        )

        def finished() -> bool:
            found = errands.find(ready_hub.database, ready_hub.key, asked.id)
            return found.finished_at is not None

        until(ready_hub, finished)
    result = errands.find(ready_hub.database, ready_hub.key, asked.id).result
    assert result is not None
    assert "hub" == result["verifiedFrom"]
