"""An EKS cluster without a kubeconfig: from the hub's own identity to Ready, and each thing in the way by its name."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller import rights
from controller.errands import Errands
from controller.settings import ControllerSettings
from fleet import connections as fleet_connections
from fleet import external_ids
from fleet.errands import ErrandKind
from fleet.records import Errand
from kube.client import Client
from kube.objects import CLUSTER_ROLE_BINDING, CONFIG_MAP
from sandbox.world import SandboxCluster, World
from schemas import connection_bodies, eks
from schemas.agent_documents import CONFIGURATION_NAME, NAMESPACE_NAME
from schemas.status import Issue, State
from tests.contract.controller.harness import BOTH, ISSUER, Hub, admin_access

ACCOUNT, REGION = "210987654321", "eu-central-1"
HUB_USER = "arn:aws:iam::111111111111:user/pullpass-hub"
DEPLOY = f"arn:aws:iam::{ACCOUNT}:role/teams/deploy"
MINUTE = 60
HOUR = 60 * MINUTE
_NUMBERS = itertools.count(1)


@dataclass
class Time:
    """AWS's clock: the one of the hub that is under test."""

    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


@pytest.fixture(scope="module")
def time() -> Time:
    return Time()


@pytest.fixture(scope="module")
def world(time: Time) -> Iterator[World]:
    started = World(run_workloads=False, now=lambda: time.now())  # noqa: PLW0108 - read at each call
    started.start()
    yield started
    started.stop()


@pytest.fixture
def cluster(world: World, signing_key: str) -> SandboxCluster:
    made = world.add_cluster(f"eks-{next(_NUMBERS)}", issuer=ISSUER, public=False, signing_key=signing_key)
    world.join_eks(made.name, account=ACCOUNT, region=REGION)
    return made


@pytest.fixture(autouse=True)
def identity(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's process has the keys of a user who may do nothing but assume roles."""
    world.aws.create_user(HUB_USER, allow=["sts:AssumeRole"])
    key = world.aws.create_access_key(HUB_USER)
    for name, value in {
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_ENDPOINT_URL_STS": world.aws_endpoints["sts"],
        "AWS_ENDPOINT_URL_EKS": world.aws_endpoints["eks"],
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)


@dataclass
class Eks:
    """A hub with one EKS cluster of organisation acme, everything in place; tests take one thing away."""

    hub: Hub
    world: World
    name: str

    def let_hub_assume(
        self,
        role: str = DEPLOY,
        *,
        external_id: str | None = None,
        by: str = HUB_USER,
        allow: tuple[str, ...] = ("eks:DescribeCluster", "sts:AssumeRole"),
    ) -> None:
        sent = external_id or external_ids.of_organisation(self.hub.database, "acme")
        statement = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": by},
            "Condition": {"StringLike" if "*" in sent else "StringEquals": {"sts:ExternalId": sent}},
        }
        self.world.aws.create_role(role, {"Statement": [statement]}, allow=list(allow))

    def enter(self, role: str = DEPLOY, groups: tuple[str, ...] = (eks.HUB_GROUP,)) -> None:
        self.world.aws.create_access_entry(ACCOUNT, REGION, self.name, role, list(groups))

    def install_rights(self) -> None:
        for obj in rights.objects(eks=True):
            self.hub.admin.apply(obj)

    def wish(self, **aws: Any) -> None:
        provider = {
            "region": REGION,
            "deployRoleArn": DEPLOY,
            "vpcId": "vpc-1",
            "image": {"recommended": "amazon/al2023"},
            "nodePools": [],
            **aws,
        }
        self.hub.wish(BOTH, provider={"aws": provider})

    def connect(self, **body: Any) -> None:
        defaults = eks.defaults_of(self.hub.stored().manifest)
        made = connection_bodies.parse(
            {"eks": {"cluster": self.name, **body}},
            now=self.hub.clock.now(),
            allow_loopback=True,
            eks_defaults=defaults,
        )
        self.hub.connect(made)

    def issue(self) -> Issue:
        (found,) = self.hub.status().issues
        return found

    def calls(self, operation: str) -> int:
        return self.world.aws.calls[operation]


@pytest.fixture
def bare(new_hub: Callable[..., Hub], world: World, time: Time, cluster: SandboxCluster) -> Eks:
    hub = new_hub(cluster=cluster)
    hub.restart(aws_principal=HUB_USER)
    time.now = hub.clock.now
    made = Eks(hub, world, cluster.name)
    made.wish()
    return made


@pytest.fixture
def whole(bare: Eks) -> Eks:
    bare.let_hub_assume()
    bare.enter()
    bare.install_rights()
    bare.connect()
    return bare


def test_with_a_role_an_access_entry_and_the_rights_it_gets_ready(whole: Eks) -> None:
    whole.hub.settle()

    assert whole.hub.status().issues == ()
    assert whole.hub.ecr().state is State.READY
    assert whole.hub.status().oidc_provider_url == ISSUER
    assert whole.hub.status().server_url == whole.world.clusters[whole.name].url


def test_no_token_of_the_cluster_is_made_or_stored(whole: Eks) -> None:
    whole.hub.settle()

    assert not [line for line in whole.hub.wire.sent if line.endswith("/serviceaccounts/pullpass-hub/token")]
    stored = fleet_connections.read(whole.hub.database, whole.hub.uid)
    assert stored is not None
    assert (None, "") == (stored.token, stored.server)


def test_the_hub_is_the_role_to_the_cluster_and_its_rights_are_the_groups(whole: Eks) -> None:
    whole.hub.settle()

    binding = whole.hub.admin.get(CLUSTER_ROLE_BINDING, "pullpass-hub")
    assert [(each["kind"], each["name"]) for each in binding["subjects"]] == [("Group", "pullpass-hub")]
    whole.hub.admin.delete(CLUSTER_ROLE_BINDING, "pullpass-hub")
    whole.hub.clock.advance(2 * HOUR)
    whole.hub.run()
    assert whole.issue().code == "EksRightsMissing"
    assert f"pullpass connect demo --eks {whole.name} --print" in whole.issue().remedy


def test_aws_is_asked_once_for_many_looks(whole: Eks) -> None:
    whole.hub.settle()
    before = whole.calls("AssumeRole"), whole.calls("DescribeCluster")

    for _ in range(5):
        whole.hub.run()

    assert before == (whole.calls("AssumeRole"), whole.calls("DescribeCluster"))


def test_a_token_is_renewed_before_it_ends_and_so_is_the_session_it_is_made_with(whole: Eks) -> None:
    whole.hub.settle()
    described, assumed = whole.calls("DescribeCluster"), whole.calls("AssumeRole")

    for _ in range(24):  # two hours of looks
        whole.hub.clock.advance(5 * MINUTE)
        whole.hub.report()
        whole.hub.run()
        assert whole.hub.status().issues == ()

    assert described == whole.calls("DescribeCluster")
    assert 2 <= whole.calls("AssumeRole") - assumed <= 4


def test_a_token_that_died_between_two_looks_is_replaced(whole: Eks) -> None:
    whole.hub.settle()

    whole.hub.clock.advance(3 * HOUR)
    whole.hub.report()
    whole.hub.run()

    assert whole.hub.status().issues == ()


def test_another_organisations_external_id_opens_nothing(bare: Eks) -> None:
    """The role trusts the hub for organisation `rival`; acme names it all the same."""
    rival = external_ids.of_organisation(bare.hub.database, "rival")
    bare.let_hub_assume(external_id=rival)
    bare.enter()
    bare.install_rights()
    bare.connect()

    bare.hub.run()

    found = bare.issue()
    assert found.code == "DeployRoleRefused"
    assert rival not in found.message + found.remedy
    assert external_ids.of_organisation(bare.hub.database, "acme") in found.remedy
    assert HUB_USER in found.remedy
    assert bare.hub.wire.sent == []


def test_the_statement_of_the_remedy_mends_it(bare: Eks) -> None:
    bare.let_hub_assume(external_id="another")
    bare.enter()
    bare.install_rights()
    bare.connect()
    bare.hub.run()
    assert bare.issue().code == "DeployRoleRefused"

    bare.let_hub_assume()
    bare.hub.settle()

    assert bare.hub.ecr().state is State.READY


def test_a_role_that_takes_any_external_id_is_not_used_before_it_asks_for_ours(bare: Eks) -> None:
    bare.let_hub_assume(external_id="*")
    bare.enter()
    bare.install_rights()
    bare.connect()
    bare.hub.run()
    assert bare.issue().code == "DeployRoleOpen"
    assert bare.hub.wire.sent == []

    bare.let_hub_assume()
    bare.hub.settle()
    assert bare.hub.ecr().state is State.READY


def test_a_role_that_does_not_exist_is_told_as_one_that_refuses(bare: Eks) -> None:
    bare.connect(roleArn=f"arn:aws:iam::{ACCOUNT}:role/nobody")
    bare.hub.run()
    assert bare.issue().code == "DeployRoleRefused"
    assert "--role-name nobody " in bare.issue().remedy


def test_a_role_in_another_account_reaches_the_cluster_by_a_chain(bare: Eks) -> None:
    first = "arn:aws:iam::333333333333:role/first"
    bare.let_hub_assume(first)
    bare.let_hub_assume(DEPLOY, by=first)
    bare.enter()
    bare.install_rights()
    bare.connect(roleArn=first, roleChain=[{"roleArn": DEPLOY}])

    bare.hub.settle()

    assert bare.hub.ecr().state is State.READY


def test_a_later_link_is_sent_its_own_external_id_and_names_who_must_be_let_in(bare: Eks) -> None:
    first = "arn:aws:iam::333333333333:role/first"
    bare.let_hub_assume(first)
    bare.let_hub_assume(DEPLOY, by=first, external_id="inner-id")
    bare.enter()
    bare.install_rights()
    bare.connect(roleArn=first, roleChain=[{"roleArn": DEPLOY, "externalId": "wrong"}])
    bare.hub.run()
    found = bare.issue()
    assert found.code == "DeployRoleRefused"
    assert DEPLOY in found.message
    assert f'"{first}"' in found.remedy.replace("'", "")

    bare.connect(roleArn=first, roleChain=[{"roleArn": DEPLOY, "externalId": "inner-id"}])
    bare.hub.settle()
    assert bare.hub.ecr().state is State.READY


def test_a_role_in_an_account_without_the_cluster_finds_none(bare: Eks) -> None:
    elsewhere = "arn:aws:iam::333333333333:role/elsewhere"
    bare.let_hub_assume(elsewhere)
    bare.connect(roleArn=elsewhere)
    bare.hub.run()
    assert bare.issue().code == "EksClusterNotFound"
    assert "No cluster found" in bare.issue().message


def test_a_role_that_may_not_describe_is_told_the_permission(bare: Eks) -> None:
    bare.let_hub_assume(allow=())
    bare.connect()
    bare.hub.run()
    assert bare.issue().code == "EksAccessDenied"
    assert "eks:DescribeCluster" in bare.issue().remedy


def test_without_an_access_entry_the_command_that_makes_one_is_the_remedy(bare: Eks) -> None:
    bare.let_hub_assume()
    bare.install_rights()
    bare.connect()
    bare.hub.run()
    found = bare.issue()
    assert found.code == "EksNoAccessEntry"
    assert found.remedy.endswith(
        f"aws eks create-access-entry --cluster-name {bare.name} --region {REGION}"
        f" --principal-arn {DEPLOY} --kubernetes-groups pullpass-hub"
    )

    bare.enter()
    bare.hub.settle()
    assert bare.hub.ecr().state is State.READY


def test_an_access_entry_without_the_group_lacks_rights(bare: Eks) -> None:
    bare.let_hub_assume()
    bare.install_rights()
    bare.enter(groups=("viewers",))
    bare.connect()
    bare.hub.run()
    assert bare.issue().code == "EksRightsMissing"


def test_a_hub_without_an_identity_says_so(whole: Eks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    whole.hub.run()
    assert whole.issue().code == "HubIdentityMissing"


def test_keys_that_aws_does_not_take_are_no_identity(whole: Eks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    whole.hub.run()
    found = whole.issue()
    assert found.code == "HubIdentityMissing"
    assert "not-the-secret" not in found.message


def test_a_region_where_sts_is_off_is_named(whole: Eks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"{whole.world.aws_endpoints['sts']}/eu-south-2")
    whole.world.aws.disable_region("eu-south-2")
    whole.hub.run()
    assert whole.issue().code == "StsRegionDisabled"
    assert f"account {ACCOUNT}" in whole.issue().message


def test_aws_that_is_away_costs_no_cluster_its_state(whole: Eks) -> None:
    whole.hub.settle()
    whole.world.aws.set_down("sts")
    whole.hub.clock.advance(3 * HOUR)
    try:
        whole.hub.run()
        assert whole.hub.status().issues == ()  # the first miss is tried again
        whole.hub.run()
        assert whole.issue().code == "HubAwsUnreachable"
        assert whole.hub.ecr().state is State.DEGRADED
    finally:
        whole.world.aws.set_down("sts", down=False)
    whole.hub.report()
    whole.hub.run()
    assert whole.hub.status().issues == ()


def test_a_cluster_that_was_made_anew_is_found_at_its_new_address(whole: Eks) -> None:
    whole.hub.settle()
    old = whole.world.clusters[whole.name]
    new = whole.world.add_cluster(f"eks-{next(_NUMBERS)}", issuer=ISSUER, public=False)
    admin = Client(admin_access(new))
    for obj in rights.objects(eks=True):
        admin.apply(obj)
    whole.world.join_eks(new.name, account=ACCOUNT, region=REGION, eks_name=whole.name)
    old.take_down()

    for _ in range(4):
        whole.hub.run()

    assert whole.hub.status().server_url == new.url
    assert admin.get(CONFIG_MAP, CONFIGURATION_NAME, namespace=NAMESPACE_NAME)
    admin.close()


def test_an_issuer_that_eks_does_not_know_blocks(whole: Eks) -> None:
    whole.hub.settle()
    whole.world.clusters[whole.name].set_issuers(["https://oidc.example.org/id/other"])
    whole.hub.clock.advance(2 * HOUR)
    whole.hub.report()
    whole.hub.run()
    codes = {issue.code for add_on in whole.hub.status().add_ons.values() for issue in add_on.issues}
    assert "EksIssuerDiffers" in codes


def errand(hub: Hub, kind: ErrandKind, **body: Any) -> Any:
    """What a controller answers to somebody who waits."""
    settings = ControllerSettings(agent_image="x", allow_loopback=True, aws_principal=HUB_USER)
    asked = Errand("1", hub.uid, 0, kind, body, hub.clock.now(), "alice")
    return Errands(hub.database, settings, clock=hub.clock).do(asked)


def test_the_doctor_goes_in_by_eks_too(whole: Eks) -> None:
    whole.hub.settle()
    hops = errand(whole.hub, ErrandKind.DOCTOR)["hops"]
    reached = {hop["name"]: hop["message"] for hop in hops if hop["succeeded"]}
    assert {"connection", "api server", "rights", "issuer"} <= reached.keys()
    assert reached["connection"] == f"stored, to {whole.world.clusters[whole.name].url}"


def test_the_doctor_names_the_role_that_refuses(bare: Eks) -> None:
    bare.let_hub_assume(external_id="another")
    bare.connect()
    (hop,) = errand(bare.hub, ErrandKind.DOCTOR)["hops"]
    assert (hop["name"], hop["code"]) == ("connection", "DeployRoleRefused")
    assert "--role-name deploy" in hop["remedy"]


def test_the_doctor_misses_the_access_entry(bare: Eks) -> None:
    bare.let_hub_assume()
    bare.connect()
    *_, hop = errand(bare.hub, ErrandKind.DOCTOR)["hops"]
    assert hop["code"] == "EksNoAccessEntry"
    assert f"--principal-arn {DEPLOY} " in hop["remedy"]


def test_a_manifest_is_previewed_by_eks(whole: Eks) -> None:
    whole.hub.settle()
    stored = whole.hub.stored()
    found = errand(whole.hub, ErrandKind.PREVIEW, manifest=stored.manifest, settings=stored.settings)
    assert "error" not in found


def test_no_secret_stands_in_a_status_or_event(whole: Eks) -> None:
    whole.hub.settle()
    text = repr(whole.hub.status()) + " ".join(whole.hub.reasons())
    assert "k8s-aws-v1." not in text
    assert "X-Amz-" not in text


def test_a_session_lasts_an_hour_at_most(whole: Eks) -> None:
    given = whole.world.aws._sts._sessions
    before = set(given)
    started = whole.hub.clock.now()
    whole.hub.run()
    (made,) = [session for key, session in given.items() if key not in before]
    assert (made.name, made.expires_at - timedelta(hours=1) <= started) == ("pullpass-acme", True)
