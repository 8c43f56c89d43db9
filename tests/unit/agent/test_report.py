from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from agent.nodes.summing import Secrets
from agent.secrets.add_on import claims_of
from agent.secrets.duties import Contribution
from agent.secrets.fetching import Awaiting, Failing, Proof
from agent.secrets.plan import Plan
from agent.secrets.registries import configured
from agent.secrets.report import Found, Reporter, compose, compose_without_add_on
from aws.credentials import RegistryCredential
from aws.hops import Hop, HopName
from kube.client import Access, Client
from kube.objects import CONFIG_MAP
from sandbox.world import World
from schemas.agent_documents import AgentConfiguration, AgentReport, NamespaceError, load_report
from schemas.pod_identity_documents import PodIdentityConfiguration
from schemas.reported import ReportedRefusal

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
FRANKFURT = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"
DUBLIN = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
CONFIGURATION = AgentConfiguration(
    generation=3,
    cluster_uid="c-1",
    organisation="acme",
    cluster="demo",
    removing=False,
    role_arn="arn:aws:iam::111122223333:role/pull",
    audience="sts.amazonaws.com",
    region=None,
    registries=(FRANKFURT, DUBLIN),
)
REGISTRIES = configured(CONFIGURATION)
PLAN = Plan(CONFIGURATION, NOW, REGISTRIES, Secrets.FILL, claims_of(CONFIGURATION, REGISTRIES))
FRANKFURT_KEY, DUBLIN_KEY = PLAN.own_keys
GOOD = (Hop(HopName.TOKEN, succeeded=True), Hop(HopName.STS, succeeded=True))
BAD = (Hop(HopName.TOKEN, succeeded=True), Hop(HopName.STS, succeeded=False, code="StsRefused", message="no"))


def proof(hops: tuple[Hop, ...] = GOOD, **changes: Any) -> Proof:
    made = Proof(generation=3, registries=(), hops=hops, again_at=NOW + timedelta(hours=1), verified_at=NOW)
    return replace(made, **changes)


def composed(**changes: Any) -> AgentReport:
    members: dict[str, Any] = {"proofs": {FRANKFURT_KEY: proof(), DUBLIN_KEY: proof()}}
    return compose(PLAN, Found(NOW, **{**members, **changes}))


def test_one_region_speaks_for_all_that_succeeded() -> None:
    assert [(hop.name, hop.succeeded) for hop in composed().hops] == [("token", True), ("sts", True)]


def test_the_region_that_failed_speaks() -> None:
    report = composed(proofs={FRANKFURT_KEY: proof(), DUBLIN_KEY: proof(BAD)})
    assert [(hop.code, hop.message) for hop in report.hops] == [("", ""), ("StsRefused", "no")]


def test_nothing_is_said_while_a_region_is_not_proven() -> None:
    assert composed(proofs={FRANKFURT_KEY: proof()}).hops == ()


def test_a_proof_of_another_generation_proves_nothing() -> None:
    report = composed(proofs={FRANKFURT_KEY: proof(), DUBLIN_KEY: proof(generation=2)})
    assert report.hops == ()


def test_what_iam_refuses_so_far_is_said_with_the_end_of_the_wait() -> None:
    refused = Awaiting(3, "TrustPolicyMismatch", "Not authorized", NOW + timedelta(seconds=60))
    report = composed(proofs={FRANKFURT_KEY: proof()}, awaiting={DUBLIN_KEY: refused})
    assert (
        ReportedRefusal("TrustPolicyMismatch", "Not authorized", NOW + timedelta(seconds=60))
        == report.refused_so_far
    )


def test_everything_was_verified_when_the_last_region_was() -> None:
    early = NOW - timedelta(minutes=30)
    report = composed(proofs={FRANKFURT_KEY: proof(), DUBLIN_KEY: proof(verified_at=early)})
    assert report.verified_at == early


def test_a_region_that_was_never_verified_means_never() -> None:
    report = composed(proofs={FRANKFURT_KEY: proof(), DUBLIN_KEY: proof(BAD, verified_at=None)})
    assert report.verified_at is None


def test_a_credential_names_the_registries_it_opens() -> None:
    dublin = RegistryCredential("eu-west-1", "AWS", "word", NOW, NOW + timedelta(hours=12))
    report = composed(credentials={DUBLIN_KEY: dublin})
    assert [(each.region, each.registries) for each in report.credentials] == [("eu-west-1", (DUBLIN,))]


def test_a_credential_names_whose_it_is() -> None:
    dublin = RegistryCredential("eu-west-1", "AWS", "word", NOW, NOW + timedelta(hours=12))
    report = composed(credentials={DUBLIN_KEY: dublin})
    assert [each.identity for each in report.credentials] == [CONFIGURATION.role_arn]


def test_what_fails_is_told_with_its_claim_and_since_when() -> None:
    report = composed(failing={DUBLIN_KEY: Failing("EcrUnreachable", "no answer", NOW)})
    assert [(each.region, each.code, each.since, each.claim) for each in report.failures] == [
        ("eu-west-1", "EcrUnreachable", NOW, "add-on")
    ]


def test_what_duties_contribute_is_summed_up() -> None:
    error = NamespaceError("shop", "KeysMissing", "", "web-pull", "custom/web")
    report = composed(
        contributions=[
            Contribution(custom_resources=(3, 2), errors=(error,)),
            Contribution(custom_resources=(2, 2)),
            Contribution(labelled_secrets=(7, 7)),
        ]
    )
    assert (report.custom_resources, report.labelled_secrets) == ((5, 4), (7, 7))
    assert report.namespace_errors == (error,)


def test_without_the_add_on_it_speaks_for_pod_identity() -> None:
    configuration = PodIdentityConfiguration(4, "c-1", "sts.amazonaws.com", None, False, 86400)
    report = compose_without_add_on(configuration, Found(NOW, leader="pullpass-agent-1"))
    assert (report.generation, report.leader, report.pull_secrets) == (4, "pullpass-agent-1", False)


def test_no_more_errors_are_listed_than_are_worth_reading() -> None:
    errors = [NamespaceError(f"n-{number:02}", "SecretNotOurs", "") for number in range(30, 0, -1)]
    report = composed(selected=[error.namespace for error in errors], errors=errors)
    assert report.namespaces_selected == 30
    assert [error.namespace for error in report.namespace_errors] == [
        f"n-{number:02}" for number in range(1, 21)
    ]


@pytest.fixture
def client() -> Iterator[Client]:
    world = World(run_workloads=False)
    world.start()
    cluster = world.add_cluster("demo", issuer="https://issuer.example", public=False)
    document = yaml.safe_load(cluster.kubeconfig())["clusters"][0]["cluster"]
    client = Client(
        Access(
            document["server"],
            certificate_authority=world._certificates.authority,
            token=cluster.admin_token,
            allow_loopback=True,
        )
    )
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pullpass-system"}})
    yield client
    client.close()
    world.stop()


def written(client: Client) -> AgentReport:
    found = client.get(CONFIG_MAP, "pullpass-status", namespace="pullpass-system")
    return load_report(found["data"]["report.json"])


def later(report: AgentReport, seconds: float, **changes: Any) -> AgentReport:
    return replace(report, written_at=report.written_at + timedelta(seconds=seconds), **changes)


def test_the_first_report_is_written(client: Client) -> None:
    report = composed()
    assert Reporter(client).write(report, "c-1") == 600.0
    assert written(client) == report


def test_a_report_that_says_nothing_new_is_not_written(client: Client) -> None:
    reporter, report = Reporter(client), composed()
    reporter.write(report, "c-1")
    assert reporter.write(later(report, 30), "c-1") == 570.0
    assert written(client) == report


def test_after_ten_minutes_it_is_written_as_a_sign_of_life(client: Client) -> None:
    reporter, report = Reporter(client), composed()
    reporter.write(report, "c-1")
    reporter.write(later(report, 600), "c-1")
    assert written(client) == later(report, 600)


def test_something_new_waits_for_a_moment_after_the_last(client: Client) -> None:
    reporter, report = Reporter(client), composed()
    reporter.write(report, "c-1")
    assert reporter.write(later(report, 0.5, namespaces_ready=1), "c-1") == 1.5
    assert written(client) == report
    reporter.write(later(report, 2, namespaces_ready=1), "c-1")
    assert written(client).namespaces_ready == 1


@pytest.mark.parametrize("changes", [{"generation": 4}, {"removed": True}])
def test_what_the_hub_waits_for_is_written_at_once(client: Client, changes: dict[str, Any]) -> None:
    reporter, report = Reporter(client), composed()
    reporter.write(report, "c-1")
    reporter.write(later(report, 0.5, **changes), "c-1")
    assert (written(client).generation, written(client).removed) == (
        changes.get("generation", 3),
        changes.get("removed", False),
    )


def test_once_removed_it_falls_silent(client: Client) -> None:
    reporter, report = Reporter(client), composed(removed=True)
    assert reporter.write(report, "c-1") is None
    assert reporter.write(later(report, 3600), "c-1") is None
    assert written(client) == report


def test_a_new_agent_does_not_repeat_what_the_last_one_said(client: Client) -> None:
    report = composed()
    Reporter(client).write(report, "c-1")
    reporter = Reporter(client)
    assert reporter.recall() == report
    assert reporter.write(later(report, 30), "c-1") == 570.0


def test_without_a_report_there_is_nothing_to_recall(client: Client) -> None:
    assert Reporter(client).recall() is None


def test_a_report_from_the_future_is_written_over(client: Client) -> None:
    report = composed()
    Reporter(client).write(later(report, 3600), "c-1")
    reporter = Reporter(client)
    reporter.recall()
    reporter.write(report, "c-1")
    assert written(client) == report
