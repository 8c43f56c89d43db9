"""The leader's loop with claims of several makers, on the sandbox's API server and an AWS that counts."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from agent.events import Events
from agent.metrics import Metrics
from agent.secrets.claims import Claim, ClaimKey, ClaimSource, Selection
from agent.secrets.duties import ClaimStatus, Contribution
from agent.secrets.identity import Identity, StoredKeys
from agent.secrets.loop import SecretsAgent
from agent.secrets.patience import MOST_WRITES
from agent.secrets.tasks import Task, Topic
from aws.hops import AwsFailure, HopName
from aws.identities import WebIdentity
from aws.registry_hosts import RegistryHost, parse
from kube.client import Client
from kube.errors import NotFound
from kube.objects import CONFIG_MAP, SECRET, SERVICE_ACCOUNT, Object
from reconcile.clock import SystemClock, SystemRandom
from schemas.addons.aws_ecr import PullSecret
from schemas.agent_documents import AgentConfiguration, AgentReport, dump_configuration, load_report
from tests.unit.agent.conftest import CountingAws
from tests.unit.agent.sandboxed import eventually, sandboxed

ROLE = "arn:aws:iam::111122223333:role/pull"
FRANKFURT = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"
DUBLIN = "444455556666.dkr.ecr.eu-west-1.amazonaws.com"
PUBLIC = "public.ecr.aws"
OURS = "pullpass-system"
CONFIGURATION = AgentConfiguration(
    generation=1,
    cluster_uid="c-1",
    organisation="acme",
    cluster="demo",
    removing=False,
    role_arn=ROLE,
    audience="sts.amazonaws.com",
    region=None,
    registries=(FRANKFURT,),
    wide_secrets=True,
)
WEB = ClaimKey(ClaimSource.CUSTOM, "web")
SHOP = Selection(namespaces=("shop",))


def host(name: str) -> RegistryHost:
    found = parse(name)
    assert found is not None
    return found


def claim(**changes: Any) -> Claim:
    made = Claim(WEB, "web-pull", SHOP, "default", (host(DUBLIN),), Identity(WebIdentity(f"{ROLE}-web", "a")))
    return replace(made, **changes)


class Claims:
    """A claimant whose claims the test makes."""

    def __init__(self) -> None:
        self.made: tuple[Claim, ...] = ()
        self.synced = True
        self.statuses: Mapping[ClaimKey, ClaimStatus] = {}
        self.remaining: frozenset[ClaimKey] = frozenset()

    def claims(self) -> tuple[Claim, ...]:
        return self.made

    def tell(self, statuses: Mapping[ClaimKey, ClaimStatus], remaining: frozenset[ClaimKey]) -> None:
        self.statuses, self.remaining = statuses, remaining

    def follow(self, configuration: AgentConfiguration) -> None:
        """Has its claims from the test."""

    def contribution(self) -> Contribution:
        return Contribution(custom_resources=(len(self.made), 0))

    def stop(self) -> None:
        """Has no thread."""

    def join(self, timeout_seconds: float) -> None:
        """Has no thread."""


class Cluster:
    """One cluster, one leader in it, and the claimant beside it."""

    def __init__(self, client: Client, aws: CountingAws, token_file: str) -> None:
        self.client = client.managing_as("admin")
        self.aws = aws
        self.claims = Claims()
        self.configuration = CONFIGURATION
        self._token_file = token_file
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        for name in (OURS, "shop"):
            self.apply("Namespace", name)

    def apply(self, kind: str, name: str, namespace: str | None = None, **more: Any) -> Object:
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {}) | more.pop("metadata", {})
        return self.client.apply({"apiVersion": "v1", "kind": kind, "metadata": metadata, **more})

    def configure(self, **changes: Any) -> None:
        generation = self.configuration.generation + (1 if changes else 0)
        self.configuration = replace(self.configuration, generation=generation, **changes)
        data = {"configuration.json": dump_configuration(self.configuration)}
        self.apply("ConfigMap", "pullpass-agent", OURS, data=data)

    def claim(self, *made: Claim) -> None:
        self.claims.made = made
        self.agent.changed()

    def start(self, *made: Claim) -> None:
        self.configure()
        self.claims.made = made
        self._stop = threading.Event()
        client = self.client.managing_as("pullpass").fenced(self._stop)
        self.agent = SecretsAgent(
            client,
            self.aws,
            token_file=self._token_file,
            clock=SystemClock(),
            random=SystemRandom(),
            metrics=Metrics(),
            events=Events(client, SystemClock()),
            claimants=[self.claims],
        )
        self._thread = threading.Thread(target=self.agent.run, args=(self._stop,))
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(60)
            assert not self._thread.is_alive()

    def secret(self, name: str, namespace: str = "shop") -> Object | None:
        try:
            return self.client.get(SECRET, name, namespace=namespace)
        except NotFound:
            return None

    def hosts(self, name: str, namespace: str = "shop") -> set[str]:
        found = self.secret(name, namespace)
        if found is None:
            return set()
        return set(json.loads(base64.b64decode(found["data"][".dockerconfigjson"]))["auths"])

    def references(self, namespace: str = "shop") -> list[str]:
        try:
            found = self.client.get(SERVICE_ACCOUNT, "default", namespace=namespace)
        except NotFound:
            return []
        return [entry["name"] for entry in found.get("imagePullSecrets") or ()]

    def reported(self, holds: Callable[[AgentReport], bool]) -> AgentReport:
        def look() -> AgentReport | None:
            try:
                found = self.client.get(CONFIG_MAP, "pullpass-status", namespace=OURS)
            except NotFound:
                return None
            report = load_report(found["data"]["report.json"])
            return report if report.generation == self.configuration.generation and holds(report) else None

        return eventually(look)

    def status(self, holds: Callable[[ClaimStatus], bool], key: ClaimKey = WEB) -> ClaimStatus:
        def look() -> ClaimStatus | None:
            status = self.claims.statuses.get(key)
            return status if status is not None and holds(status) else None

        return eventually(look)


@pytest.fixture
def cluster(aws: CountingAws, token_file: str) -> Iterator[Cluster]:
    with sandboxed() as client:
        cluster = Cluster(client, aws, token_file)
        yield cluster
        cluster.stop()


def test_a_claim_is_served_beside_the_add_ons(cluster: Cluster) -> None:
    cluster.start(claim())
    eventually(lambda: sorted(cluster.references()) == ["pullpass-ecr", "web-pull"])
    assert (DUBLIN in cluster.hosts("web-pull"), FRANKFURT in cluster.hosts("pullpass-ecr")) == (True, True)
    assert cluster.secret("web-pull", "default") is None


def test_its_maker_hears_how_it_fares(cluster: Cluster) -> None:
    cluster.start(claim())
    status = cluster.status(lambda status: status.ready == 1)
    assert (status.selected, status.errors, status.failure) == (1, (), None)
    assert status.expires_at.keys() == status.refreshed_at.keys() == {"eu-west-1"}


def test_claims_with_the_identity_of_the_add_on_cost_no_call(cluster: Cluster) -> None:
    own = Identity(WebIdentity(ROLE, "sts.amazonaws.com"))
    cluster.start(claim(registries=(host(FRANKFURT),), identity=own))
    cluster.status(lambda status: status.ready == 1)
    cluster.reported(lambda report: report.namespaces_ready == 2)
    assert [call for call in cluster.aws.calls if call.startswith("ecr")] == ["ecr eu-central-1"]


def test_an_identity_that_fails_is_no_trouble_of_the_others(cluster: Cluster) -> None:
    refused = AwsFailure(HopName.ECR, "EcrUnreachable", "no answer", transient=True)
    cluster.aws.failures["ecr eu-west-1"] = refused
    cluster.start(claim())
    assert cluster.status(lambda status: status.failure is not None).failure == (
        "EcrUnreachable",
        "no answer",
    )
    report = cluster.reported(lambda report: report.namespaces_ready == 2 and bool(report.failures))
    assert [(each.region, each.claim) for each in report.failures] == [("eu-west-1", "custom/web")]
    assert cluster.secret("web-pull") is None


def test_a_change_of_one_claim_does_not_have_another_that_fails_asked_before_its_time(
    cluster: Cluster,
) -> None:
    cluster.aws.failures["ecr eu-west-1"] = AwsFailure(
        HopName.ECR, "EcrUnreachable", "no answer", transient=True
    )
    key, public = ClaimKey(ClaimSource.CUSTOM, "zoo"), (host(PUBLIC),)
    cluster.start(claim())
    cluster.status(lambda status: status.failure is not None)
    for number in range(25):
        zoo = claim(key=key, secret_name=f"zoo-{number}", registries=public)
        cluster.claim(claim(), zoo)
        cluster.status(lambda status, zoo=zoo: status.claim == zoo and status.ready == 1, key)  # type: ignore[misc]
    # After 1, 2, 4, 8 … seconds, however many changes there were meanwhile.
    assert cluster.aws.calls.count("ecr eu-west-1") < 10


def test_ecr_public_has_a_secret_of_its_own_by_choice(cluster: Cluster) -> None:
    cluster.configuration = replace(
        CONFIGURATION, registries=(FRANKFURT, PUBLIC), pull_secret=PullSecret(public_name="ecr-public-token")
    )
    cluster.start()
    eventually(lambda: sorted(cluster.references()) == ["ecr-public-token", "pullpass-ecr"])
    assert PUBLIC in cluster.hosts("ecr-public-token")
    assert PUBLIC not in cluster.hosts("pullpass-ecr")


def test_of_two_claims_on_one_secret_the_first_has_it(cluster: Cluster) -> None:
    cluster.start(claim(secret_name="pullpass-ecr"))
    status = cluster.status(lambda status: bool(status.errors))
    assert [(error.namespace, error.code) for error in status.errors] == [("shop", "PullSecretClash")]
    eventually(lambda: FRANKFURT in cluster.hosts("pullpass-ecr"))


@pytest.mark.parametrize("kind", ["Opaque", "kubernetes.io/dockerconfigjson"])
def test_a_secret_that_is_not_ours_is_never_overwritten(cluster: Cluster, kind: str) -> None:
    data = {".dockerconfigjson": base64.b64encode(b'{"auths":{}}').decode()}
    cluster.apply("Secret", "web-pull", "shop", type=kind, data=data)
    cluster.start(claim())
    status = cluster.status(lambda status: bool(status.errors))
    assert [(error.namespace, error.code, error.secret) for error in status.errors] == [
        ("shop", "SecretNotOurs", "web-pull")
    ]
    found = cluster.secret("web-pull")
    assert found is not None
    assert (found["data"], found["metadata"].get("labels")) == (data, None)


def test_one_that_is_in_the_way_is_watched_so_that_its_going_is_seen(cluster: Cluster) -> None:
    data = {".dockerconfigjson": base64.b64encode(b'{"auths":{}}').decode()}
    cluster.apply("Secret", "web-pull", "shop", type="kubernetes.io/dockerconfigjson", data=data)
    cluster.start(claim())
    cluster.status(lambda status: bool(status.errors))
    namespace, shop = cluster.agent._queue, Task(Topic.NAMESPACE, "shop")
    eventually(lambda: not namespace.failures(shop))  # it is not tried again and again
    told = cluster.reported(lambda report: bool(report.namespace_errors)).namespace_errors
    assert [("shop", "SecretNotOurs", "web-pull", "custom/web")] == [
        (error.namespace, error.code, error.secret, error.claim) for error in told
    ]
    cluster.client.delete(SECRET, "web-pull", namespace="shop")
    eventually(lambda: DUBLIN in cluster.hosts("web-pull"))
    cluster.status(lambda status: not status.errors)
    cluster.reported(lambda report: not report.namespace_errors)


def test_what_is_refused_again_and_again_is_named_all_the_time(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.secrets.strangers.MOST_NAMES", 0)  # so that it has to be tried
    cluster.apply("Secret", "web-pull", "shop", type="Opaque")
    cluster.start(claim())
    cluster.status(lambda status: bool(status.errors))
    for _ in range(2 * MOST_WRITES):
        done = cluster.agent.progress().done
        cluster.agent._queue.add(Task(Topic.NAMESPACE, "shop"))
        eventually(lambda done=done: cluster.agent.progress().done > done)  # type: ignore[misc]
        errors = cluster.agent._telling._results.all()["shop"].errors
        assert ["SecretNotOurs"] == [error.code for error in errors]


def test_what_nobody_claims_any_more_goes(cluster: Cluster) -> None:
    cluster.start(claim())
    eventually(lambda: "web-pull" in cluster.references() and WEB in cluster.claims.remaining)
    cluster.claim()
    eventually(lambda: cluster.secret("web-pull") is None and WEB not in cluster.claims.remaining)
    eventually(lambda: cluster.references() == ["pullpass-ecr"])


def test_a_suspended_claim_keeps_what_stands(cluster: Cluster) -> None:
    cluster.start(claim())
    eventually(lambda: "web-pull" in cluster.references())
    before = cluster.secret("web-pull")
    calls = len(cluster.aws.calls)
    cluster.claim(claim(suspended=True, selection=Selection(none=True)))
    cluster.status(lambda status: status.claim.suspended)
    cluster.apply("Namespace", "new")
    eventually(lambda: cluster.secret("pullpass-ecr", "new") is not None)
    assert (cluster.secret("web-pull"), len(cluster.aws.calls)) == (before, calls)


def test_until_claimants_have_spoken_nothing_of_theirs_is_taken_back(cluster: Cluster) -> None:
    cluster.start(claim())
    eventually(lambda: "web-pull" in cluster.references())
    cluster.stop()
    cluster.claims.synced = False
    cluster.configuration = replace(cluster.configuration, generation=2)
    cluster.start()
    cluster.reported(lambda report: report.namespaces_ready == 2)
    assert (cluster.secret("web-pull") is not None, "web-pull" in cluster.references()) == (True, True)
    cluster.claims.synced = True
    cluster.claim()
    eventually(lambda: cluster.secret("web-pull") is None)


def test_restarts_call_nobody_at_aws(cluster: Cluster) -> None:
    cluster.start(claim())
    cluster.status(lambda status: status.ready == 1)
    cluster.reported(lambda report: report.namespaces_ready == 2 and report.verified_at is not None)
    eventually(lambda: len((cluster.secret("pullpass-credentials", OURS) or {"data": {}})["data"]) == 3)
    calls = [*cluster.aws.calls]
    for _ in range(3):
        cluster.stop()
        cluster.claims.statuses = {}
        cluster.start(claim())
        cluster.status(lambda status: status.ready == 1)
    assert cluster.aws.calls == calls


def test_what_is_left_elsewhere_is_counted_until_it_is_gone(cluster: Cluster) -> None:
    cluster.configuration = replace(CONFIGURATION, pull_secret=PullSecret(name="shop-pull"))
    cluster.start()
    cluster.reported(lambda report: report.elsewhere == 2)
    cluster.configure(pull_secret=PullSecret(), wide_secrets=False)
    cluster.reported(lambda report: report.elsewhere == 0 and report.namespaces_ready == 2)
    assert (cluster.secret("shop-pull"), cluster.references()) == (None, ["pullpass-ecr"])


def test_a_new_leader_finds_what_is_left_elsewhere(cluster: Cluster) -> None:
    cluster.configuration = replace(CONFIGURATION, pull_secret=PullSecret(name="shop-pull"))
    cluster.start()
    cluster.reported(lambda report: report.elsewhere == 2)
    cluster.stop()
    cluster.configuration = replace(CONFIGURATION, generation=2, wide_secrets=False)
    cluster.start()
    cluster.reported(lambda report: report.elsewhere == 0 and report.namespaces_ready == 2)
    assert cluster.secret("shop-pull") is None


def test_a_region_that_fails_keeps_its_old_entries_in_the_secret(cluster: Cluster) -> None:
    cluster.configuration = replace(CONFIGURATION, registries=(FRANKFURT, DUBLIN))
    cluster.start()
    eventually(lambda: {FRANKFURT, DUBLIN} <= cluster.hosts("pullpass-ecr"))
    before = cluster.secret("pullpass-ecr")
    assert before is not None
    cluster.aws.failures["ecr eu-west-1"] = AwsFailure(HopName.ECR, "EcrUnreachable", "no answer")
    cluster.configure(role_arn=f"{ROLE}-2")
    eventually(lambda: cluster.secret("pullpass-ecr") != before)
    after = cluster.secret("pullpass-ecr")
    assert after is not None
    assert {FRANKFURT, DUBLIN} <= cluster.hosts("pullpass-ecr")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_keys_are_read_from_their_secret(cluster: Cluster) -> None:
    texts = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "word"}
    cluster.apply("Secret", "aws", "default", stringData=texts)
    cluster.start(claim(identity=Identity(StoredKeys("default", "aws", version="u/1"))))
    eventually(lambda: len((cluster.secret("pullpass-credentials", OURS) or {"data": {}})["data"]) == 3)
    stored = cluster.secret("pullpass-credentials", OURS)
    assert stored is not None
    held = "".join(base64.b64decode(text).decode() for text in stored["data"].values())
    assert "AKIA" not in held


def test_keys_that_are_missing_are_told(cluster: Cluster) -> None:
    cluster.start(claim(identity=Identity(StoredKeys("default", "aws"))))
    status = cluster.status(lambda status: status.failure is not None)
    assert status.failure == ("KeysMissing", "secret aws in namespace default does not exist")


def test_removal_leaves_nothing_not_even_what_was_stored(cluster: Cluster) -> None:
    cluster.start(claim())
    eventually(lambda: "web-pull" in cluster.references())
    cluster.configure(removing=True)
    cluster.reported(lambda report: report.removed)
    left = [cluster.secret(name) for name in ("pullpass-ecr", "web-pull")]
    assert (left, cluster.references()) == ([None, None], [])
    eventually(lambda: cluster.secret("pullpass-credentials", OURS) is None)


def test_without_a_role_claims_are_served_alone(cluster: Cluster) -> None:
    cluster.configuration = replace(
        CONFIGURATION, role_arn="", registries=(), pull_secret=PullSecret(custom_resources=True)
    )
    cluster.start(claim())
    eventually(lambda: cluster.references() == ["web-pull"])
    report = cluster.reported(lambda report: report.custom_resources == (1, 0))
    assert (report.namespaces_selected, cluster.secret("pullpass-ecr")) == (0, None)
