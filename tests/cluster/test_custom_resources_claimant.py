"""The claimant of custom resources on a real API server, with a loop that only says how the claims fare.

Time is the test's: whatever waits, waits for `Scene.until` to move the clock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.custom_resources.claimant import CustomResources
from agent.custom_resources.resource import FINALIZER
from agent.secrets.claims import Claim, ClaimKey, ClaimSource
from agent.secrets.duties import ClaimStatus
from agent.secrets.identity import StoredKeys
from controller import custom_resource
from kube.client import Client
from kube.errors import NotFound
from kube.objects import ALCHEMY_PULL_SECRET, CUSTOM_RESOURCE_DEFINITION, ECR_PULL_SECRET, SECRET, Object
from reconcile.clock import FakeClock, FakeRandom
from schemas.addons.aws_ecr import Adopted, AdoptedKeys, PullSecret
from schemas.agent_documents import AgentConfiguration, NamespaceError
from tests.support.kubernetes import RealCluster

ROLE = "arn:aws:iam::123456789012:role/pull"
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
START = datetime(2026, 11, 22, 5, 40, tzinfo=UTC)
OLDER = "ecrpullsecrets.alchemy.com"
SHOP = ClaimKey(ClaimSource.CUSTOM, "shop")


@dataclass
class Scene:
    """An admin, a claimant, and the loop's part played by the test."""

    client: Client
    agent: Client
    clock: FakeClock = field(default_factory=lambda: FakeClock(START))
    said: list[tuple[str, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    claimants: list[CustomResources] = field(default_factory=list)
    configuration: AgentConfiguration = field(
        default_factory=lambda: AgentConfiguration(
            generation=1,
            cluster_uid="c-1",
            organisation="acme",
            cluster="demo",
            removing=False,
            role_arn=ROLE,
            audience="sts.amazonaws.com",
            region=None,
            registries=(REGISTRY,),
            pull_secret=PullSecret(custom_resources=True),
        )
    )

    def start(self) -> CustomResources:
        claimant = CustomResources(
            self.agent,
            self,
            changed=self.asked.set,
            failed=self.failures.append,
            clock=self.clock,
            random=FakeRandom(),
        )
        self.claimants.append(claimant)
        claimant.follow(self.configuration)
        return claimant

    def wish(self, *, removing: bool = False, **members: Any) -> None:
        """Another configuration for the claimant that runs."""
        changed = replace(self.configuration.pull_secret, **members)
        self.configuration = replace(self.configuration, pull_secret=changed, removing=removing)
        self.claimants[-1].follow(self.configuration)

    def stop(self) -> None:
        for claimant in self.claimants:
            claimant.stop()
            claimant.join(10)
        self.claimants.clear()

    def say(self, involved: Object, reason: str, message: str, *, warning: bool) -> None:  # noqa: ARG002
        self.said.append((str(involved["metadata"]["name"]), reason))

    def until(self, holds: Callable[[], object], what: str = "it") -> None:
        pause = threading.Event()
        for _ in range(1500):
            if holds():
                return
            self.clock.advance(0.5)
            pause.wait(0.03)
        raise AssertionError(f"never: {what}; {self.claimants[-1].contribution()}")

    def calm(self) -> None:
        """Lets a minute pass in which nothing is asked of the API server, so that whatever was to be done has been."""
        pause = threading.Event()
        quiet, seen = 0, self.agent.requests
        for _ in range(400):
            self.clock.advance(1.5)
            pause.wait(0.02)
            quiet, seen = quiet + 1 if seen == self.agent.requests else 0, self.agent.requests
            if quiet == 40:
                return
        raise AssertionError("never calm")

    def apply(self, name: str = "shop", **spec: Any) -> None:
        plain: dict[str, Any] = {
            "secretName": "shop-ecr",
            "registries": [REGISTRY],
            "namespaces": ["shop"],
            "identity": {"webIdentity": {"roleArn": ROLE}},
        }
        self.client.apply(
            {
                "apiVersion": "pullpass.dev/v1",
                "kind": "ECRPullSecret",
                "metadata": {"name": name},
                "spec": plain | spec,
            }
        )

    def find(self, name: str = "shop") -> Object | None:
        try:
            return self.client.get(ECR_PULL_SECRET, name)
        except NotFound:
            return None

    def held(self, name: str = "shop") -> bool:
        found = self.find(name)
        return found is not None and FINALIZER in found["metadata"].get("finalizers", ())

    def status(self, name: str = "shop") -> dict[str, Any]:
        found = self.find(name) or {}
        return dict(found.get("status") or {})

    def condition(self, kind: str, name: str = "shop") -> tuple[str, str]:
        for each in self.status(name).get("conditions", ()):
            if each["type"] == kind:
                return each["status"], each["reason"]
        return "", ""

    def claimed(self) -> dict[str, Claim]:
        return {claim.key.name: claim for claim in self.claimants[-1].claims()}

    def tell(self, **changes: Any) -> None:
        """The loop took up all claims, and they fare like this."""
        self.claimants[-1].tell(
            {claim.key: ClaimStatus(claim, **changes) for claim in self.claimants[-1].claims()}, frozenset()
        )

    def tell_well(self) -> None:
        self.tell(**self.well())

    def well(self) -> Mapping[str, Any]:
        now = self.clock.now()
        return {
            "selected": 1,
            "ready": 1,
            "refreshed_at": {"eu-central-1": now},
            "expires_at": {"eu-central-1": now + timedelta(hours=12)},
        }

    def serve(self) -> None:
        """Runs a claimant that serves object `shop`."""
        self.start()
        self.apply()
        self.until(lambda: "shop" in self.claimed(), "claimed")


@pytest.fixture
def scene(real_cluster: RealCluster) -> Iterator[Scene]:
    scene = Scene(Client(real_cluster.admin()), Client(real_cluster.admin()))
    yield scene
    scene.stop()
    forget(scene.client)
    scene.client.close()
    scene.agent.close()


@pytest.fixture
def installed(scene: Scene) -> Scene:
    install(scene.client, custom_resource.definition())
    return scene


def install(client: Client, definition: Object) -> None:
    """Returns when its objects are served, which is a moment after it is established."""
    client.apply(definition)
    kind = ALCHEMY_PULL_SECRET if definition["metadata"]["name"] == OLDER else ECR_PULL_SECRET
    pause = threading.Event()
    for _ in range(600):
        try:
            client.list(kind)
        except NotFound:
            pause.wait(0.05)
        else:
            return
    raise AssertionError("never served")


def forget(client: Client) -> None:
    """Takes the definitions and all objects of theirs away, whoever holds those."""
    for kind, name in ((ECR_PULL_SECRET, custom_resource.NAME), (ALCHEMY_PULL_SECRET, OLDER)):
        try:
            for obj in client.list(kind).items:
                client.merge_patch(kind, obj["metadata"]["name"], {"metadata": {"finalizers": None}})
        except NotFound:
            pass
        client.delete(CUSTOM_RESOURCE_DEFINITION, name)
        pause = threading.Event()
        for _ in range(600):
            try:
                client.get(CUSTOM_RESOURCE_DEFINITION, name)
            except NotFound:
                break
            pause.wait(0.05)


def older_definition() -> Object:
    """The older operator's, from its documented fields."""
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["secretName"],
                "properties": {
                    "secretName": {"type": "string"},
                    "namespaces": {"type": "array", "items": {"type": "string"}},
                },
            }
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": OLDER},
        "spec": {
            "group": "alchemy.com",
            "scope": "Cluster",
            "names": {"kind": "ECRPullSecret", "plural": "ecrpullsecrets", "shortNames": ["ecrps"]},
            "versions": [
                {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


def test_an_object_is_claimed_once_the_finalizer_is_on_it(installed: Scene) -> None:
    installed.serve()
    assert installed.held()
    assert "shop-ecr" == installed.claimed()["shop"].secret_name
    installed.until(lambda: installed.claimants[-1].synced, "synced")


def test_its_status_says_how_the_claim_fares(installed: Scene) -> None:
    installed.serve()
    installed.tell_well()
    installed.until(lambda: installed.condition("Ready") == ("True", "Ready"), "ready")
    status = installed.status()
    assert "1/1" == status["namespaces"]["summary"]
    assert ROLE == status["identity"]
    assert {"lastRefreshTime", "expirationTime"} <= status.keys()
    assert (1, 1) == installed.claimants[-1].contribution().custom_resources
    installed.until(lambda: installed.said == [("shop", "Refreshed")], "said")


def test_a_status_that_stands_is_not_written_again(installed: Scene) -> None:
    installed.serve()
    installed.tell_well()
    installed.until(lambda: installed.condition("Ready") == ("True", "Ready"), "ready")
    installed.calm()
    before = installed.agent.requests
    told = installed.claimants[-1]
    told.tell(dict(told._statuses), frozenset())
    installed.calm()
    assert before == installed.agent.requests


def test_a_restart_says_nothing_anew(installed: Scene) -> None:
    installed.serve()
    installed.tell_well()
    installed.until(lambda: installed.condition("Ready") == ("True", "Ready"), "ready")
    statuses = dict(installed.claimants[-1]._statuses)
    written = installed.find()
    installed.stop()
    installed.said.clear()
    again = installed.start()
    installed.until(lambda: again.synced and again.claims(), "claimed again")
    again.tell(statuses, frozenset())
    installed.calm()
    assert written == installed.find()
    assert [] == installed.said


def test_a_failure_is_told_in_condition_and_event(installed: Scene) -> None:
    installed.serve()
    installed.tell(selected=1, failure=("AssumeRoleRefused", "AWS says no"))
    installed.until(lambda: installed.condition("Ready") == ("False", "AssumeRoleRefused"), "told")
    installed.until(lambda: installed.said == [("shop", "Failed")], "said")


def test_time_alone_ends_a_credential(installed: Scene) -> None:
    installed.serve()
    installed.tell_well()
    installed.until(lambda: installed.condition("CredentialsValid")[0] == "True", "valid")
    installed.clock.advance(12 * 3600)
    installed.until(lambda: installed.condition("CredentialsValid") == ("False", "Expired"), "expired")


def test_errors_of_namespaces_stand_in_the_status(installed: Scene) -> None:
    installed.serve()
    error = NamespaceError("shop", "SecretNotOurs", "somebody else's")
    installed.tell(**{**installed.well(), "ready": 0, "errors": (error,)})
    installed.until(lambda: installed.condition("NamespacesReady") == ("False", "SecretNotOurs"), "told")
    assert [
        {"namespace": "shop", "code": "SecretNotOurs", "message": "somebody else's"}
    ] == installed.status()["namespaceErrors"]


def test_a_changed_spec_is_another_claim_and_its_status_waits_for_the_loop(installed: Scene) -> None:
    installed.serve()
    installed.tell_well()
    installed.until(lambda: installed.status().get("observedGeneration") == 1, "told")
    installed.apply(secretName="other")
    installed.until(lambda: installed.claimed()["shop"].secret_name == "other", "claimed")
    assert 1 == installed.status()["observedGeneration"]
    installed.tell_well()
    installed.until(lambda: installed.status().get("observedGeneration") == 2, "told")


def test_suspend_and_resume_are_seen(installed: Scene) -> None:
    installed.serve()
    installed.tell_well()
    installed.until(lambda: installed.condition("Suspended")[0] == "False", "told")
    for suspend, reason in ((True, "Suspended"), (False, "Resumed")):
        installed.apply(suspend=suspend)
        installed.until(lambda: installed.claimed()["shop"].suspended is suspend, reason)  # noqa: B023
        installed.tell_well()
        installed.until(lambda: ("shop", reason) in installed.said, reason)  # noqa: B023


def test_a_deleted_object_stays_until_nothing_of_its_claim_is_left(installed: Scene) -> None:
    installed.serve()
    installed.tell_well()
    installed.client.delete(ECR_PULL_SECRET, "shop")
    installed.until(lambda: not installed.claimed(), "claimed no more")
    installed.calm()
    assert installed.held()
    installed.claimants[-1].tell({}, frozenset({SHOP}))
    installed.calm()
    assert installed.held()
    installed.claimants[-1].tell({}, frozenset())
    installed.until(lambda: installed.find() is None, "gone")
    installed.until(lambda: installed.said[-1] == ("shop", "CleanedUp"), "said")


def test_one_deleted_while_no_agent_ran_waits_for_the_loops_first_word(installed: Scene) -> None:
    installed.serve()
    installed.stop()
    installed.client.delete(ECR_PULL_SECRET, "shop")
    installed.start()
    installed.until(lambda: installed.claimants[-1].synced, "synced")
    installed.calm()
    assert installed.held()
    installed.tell()
    installed.until(lambda: installed.find() is None, "gone")


def test_turned_off_all_are_let_go_and_say_so(installed: Scene) -> None:
    installed.serve()
    installed.tell_well()
    installed.wish(custom_resources=False)
    installed.until(lambda: not installed.claimed(), "claimed no more")
    assert (1, 0) == installed.claimants[-1].contribution().custom_resources
    assert not installed.claimants[-1].contribution().left
    installed.tell()
    installed.until(lambda: not installed.held(), "let go")
    installed.until(lambda: installed.claimants[-1].contribution().left, "left")
    assert ("False", "NotServed") == installed.condition("Ready")
    assert installed.claimants[-1].contribution().custom_resources is None


def test_removal_after_a_restart_lets_go_what_an_earlier_agent_held(installed: Scene) -> None:
    installed.serve()
    installed.stop()
    installed.configuration = replace(installed.configuration, removing=True)
    again = installed.start()
    assert not again.contribution().left
    again.tell({}, frozenset({SHOP}))
    installed.calm()
    assert installed.held()
    again.tell({}, frozenset())
    installed.until(lambda: not installed.held(), "let go")
    installed.until(lambda: again.contribution().left, "left")


def test_a_definition_that_comes_later_is_found_and_one_that_goes_claims_nothing(scene: Scene) -> None:
    claimant = scene.start()
    scene.until(lambda: claimant.synced, "known to be absent")
    assert [("custom", "CustomResourceRefused")] == [
        (error.claim, error.code) for error in claimant.contribution().errors
    ]
    install(scene.client, custom_resource.definition())
    scene.apply()
    scene.until(lambda: "shop" in scene.claimed(), "claimed")
    assert () == claimant.contribution().errors
    forget(scene.client)
    scene.until(lambda: not scene.claimed() and claimant.synced, "claimed no more")


def test_keys_that_come_and_change_are_other_identities(installed: Scene) -> None:
    def version() -> str:
        source = installed.claimed()["aws"].identity.source
        assert isinstance(source, StoredKeys)
        return source.version

    installed.start()
    installed.apply("aws", identity={"secretKeys": {"namespace": "default", "name": "aws-keys"}})
    installed.until(lambda: "aws" in installed.claimed(), "claimed")
    assert "" == version()
    secret: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "aws-keys", "namespace": "default"},
        "stringData": {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hush"},
    }
    try:
        installed.client.apply(secret)
        installed.until(lambda: version() != "", "seen")
        first = version()
        installed.client.apply(secret | {"stringData": {"AWS_SECRET_ACCESS_KEY": "other"}})
        installed.until(lambda: version() != first, "seen anew")
        assert "hush" not in repr(vars(installed.claimants[-1]))
    finally:
        installed.client.delete(SECRET, "aws-keys", namespace="default")


def test_what_the_definition_cannot_know_is_refused_in_status_and_report(installed: Scene) -> None:
    wrong = "123456789012.dkr.ecr.cn-north-1.amazonaws.com"
    installed.start()
    installed.apply(registries=[wrong])
    installed.until(lambda: "shop" in installed.claimed(), "claimed")
    installed.tell(selected=1)
    installed.until(lambda: installed.condition("Ready") == ("False", "CustomResourceRefused"), "told")
    assert ["CustomResourceRefused"] == [
        error.code for error in installed.claimants[-1].contribution().errors
    ]
    assert ["CustomResourceRefused"] == installed.failures


def test_older_objects_are_honoured_as_they_stand(scene: Scene) -> None:
    adopted = Adopted(OLDER, keys=AdoptedKeys("default", "aws-keys"))
    scene.configuration = replace(scene.configuration, pull_secret=PullSecret(adopt=(adopted,)))
    claimant = scene.start()
    scene.until(lambda: claimant.synced, "known to be absent")
    assert ["AdoptedResourceMissing"] == [error.code for error in claimant.contribution().errors]
    install(scene.client, older_definition())
    older: Object = {
        "apiVersion": "alchemy.com/v1alpha1",
        "kind": "ECRPullSecret",
        "metadata": {"name": "all"},
        "spec": {"secretName": "ecr", "namespaces": ["default", "shop"]},
    }
    scene.client.apply(older)
    scene.until(lambda: "all" in scene.claimed(), "claimed")
    claim = scene.claimed()["all"]
    assert ("ecr", "default", ("default", "shop")) == (
        claim.secret_name,
        claim.service_accounts,
        claim.selection.namespaces,
    )
    assert () == claimant.contribution().errors
    scene.tell_well()
    scene.until(lambda: ("all", "Refreshed") in scene.said, "told")
    found = scene.client.get(ALCHEMY_PULL_SECRET, "all")
    assert "status" not in found
    assert "finalizers" not in found["metadata"]
    scene.client.delete(ALCHEMY_PULL_SECRET, "all")
    scene.until(lambda: not scene.claimed(), "claimed no more")
