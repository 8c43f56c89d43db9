from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from agent.secrets.credentials import CredentialCache
from agent.secrets.regions import Regions, Visit, Wanted
from agent.secrets.registries import configured
from aws.credentials import RegistryCredential
from aws.hops import AwsFailure, HopName
from reconcile.clock import FakeRandom
from schemas.agent_documents import AgentConfiguration, AgentReport, ReportedHop

START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
REGION = "eu-central-1"
HOST = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"
CONFIGURATION = AgentConfiguration(
    generation=1,
    cluster_uid="c-1",
    organisation="acme",
    cluster="demo",
    removing=False,
    role_arn="arn:aws:iam::111122223333:role/pull",
    audience="sts.amazonaws.com",
    region=None,
    registries=(HOST,),
)
WALK = ["sts eu-central-1", "ecr eu-central-1", "registry eu-central-1"]
DENIED = AwsFailure(HopName.STS, "TrustPolicyMismatch", "Not authorized", eventual=True)
MISSING = AwsFailure(HopName.REGISTRY, "ImageNotFound", "manifest unknown")
REFUSED = AwsFailure(HopName.REGISTRY, "RegistryAccessDenied", "denied")


class Aws(Protocol):
    calls: list[str]
    failures: dict[str, AwsFailure]
    tokens: list[str]


class Cell:
    """One agent's regions, and the time."""

    def __init__(self, aws: Aws, token_file: str) -> None:
        self.aws = aws
        self.now = START
        self.cache = CredentialCache(FakeRandom())
        self.regions = Regions(aws, self.cache, token_file=token_file, random=FakeRandom())  # type: ignore[arg-type]
        self.wanted = wanted(CONFIGURATION, START)

    def visit(self, region: str = REGION) -> Visit:
        return self.regions.visit(region, self.wanted, self.now)

    def after(self, **times: float) -> "Cell":
        self.now += timedelta(**times)
        self.aws.calls.clear()
        return self

    def password(self) -> str:
        return self.cache.good([REGION], self.now)[REGION].password

    def reconfigure(self, **changes: object) -> None:
        configuration = replace(
            self.wanted.configuration,
            generation=self.wanted.configuration.generation + 1,
            **changes,  # type: ignore[arg-type]
        )
        self.wanted = wanted(configuration, self.now)


def wanted(configuration: AgentConfiguration, at: datetime) -> Wanted:
    return Wanted(configuration, at, configured(configuration))


@pytest.fixture
def cell(aws: Aws, token_file: str) -> Cell:
    return Cell(aws, token_file)


def test_the_first_visit_walks_every_hop_once_and_serves_the_credential(cell: Cell) -> None:
    assert cell.visit().refreshed
    assert cell.aws.calls == WALK
    assert cell.password() == "password-1"


def test_a_walk_is_due_again_after_an_hour(cell: Cell) -> None:
    assert cell.visit() == Visit(refreshed=True, come_back_in=3600.0)


def test_before_its_time_nothing_is_called(cell: Cell) -> None:
    cell.visit()
    assert cell.after(minutes=59).visit() == Visit(come_back_in=60.0)
    assert cell.aws.calls == []


def test_the_hourly_proof_walks_and_leaves_the_credential_as_it_is(cell: Cell) -> None:
    cell.visit()
    assert not cell.after(hours=1).visit().refreshed
    assert cell.aws.calls == WALK
    assert cell.password() == "password-1"


def test_at_half_of_its_life_the_credential_is_replaced(cell: Cell) -> None:
    cell.visit()
    assert cell.after(hours=6).visit().refreshed
    assert cell.password() == "password-2"


def test_the_token_file_is_read_anew_for_each_walk(cell: Cell, rewrite: Callable[[str], None]) -> None:
    cell.visit()
    rewrite("another.web.token")
    cell.after(hours=1).visit()
    assert cell.aws.tokens == ["a.web.token", "another.web.token"]


def test_a_token_file_that_is_empty_is_told(cell: Cell, rewrite: Callable[[str], None]) -> None:
    rewrite("")
    failure = cell.visit().failure
    assert failure is not None
    assert (failure.hop, failure.code) == (HopName.TOKEN, "TokenUnreadable")


def test_a_failed_refresh_leaves_the_good_credential(cell: Cell) -> None:
    cell.visit()
    cell.aws.failures["sts eu-central-1"] = DENIED
    visit = cell.after(hours=6).visit()
    assert (visit.refreshed, visit.failure) == (False, DENIED)
    assert cell.password() == "password-1"


def test_what_iam_refuses_in_the_first_minute_is_tried_again_and_not_told(cell: Cell) -> None:
    cell.aws.failures["sts eu-central-1"] = DENIED
    assert cell.after(seconds=59).visit() == Visit(come_back_in=5.0)
    assert cell.regions.proofs() == {}


def test_after_the_first_minute_it_is_told(cell: Cell) -> None:
    cell.aws.failures["sts eu-central-1"] = DENIED
    assert cell.after(seconds=60).visit().failure == DENIED
    assert [hop.code for hop in cell.regions.proofs()[REGION].hops] == ["", "TrustPolicyMismatch"]


def test_a_change_of_the_configuration_starts_the_minute_again(cell: Cell) -> None:
    cell.visit()
    cell.after(hours=2).reconfigure()
    cell.aws.failures["sts eu-central-1"] = DENIED
    assert cell.visit() == Visit(come_back_in=5.0)


def test_what_does_not_pass_by_itself_is_told_at_once(cell: Cell) -> None:
    missing = AwsFailure(HopName.STS, "OidcProviderMissing", "No OpenIDConnect provider found")
    cell.aws.failures["sts eu-central-1"] = missing
    assert cell.visit().failure == missing


def test_a_failed_walk_is_repeated_whole(cell: Cell) -> None:
    cell.aws.failures["ecr eu-central-1"] = AwsFailure(HopName.ECR, "EcrAccessDenied", "no")
    cell.visit()
    cell.aws.failures.clear()
    assert cell.after(seconds=1).visit().failure is None
    assert cell.aws.calls == WALK


def test_an_image_that_is_missing_is_no_reason_to_hold_the_credential_back(cell: Cell) -> None:
    cell.reconfigure(verify_image=f"{HOST}/shop/web:1")
    cell.aws.failures[f"image {HOST}/shop/web:1"] = MISSING
    visit = cell.visit()
    assert (visit.refreshed, visit.failure) == (True, MISSING)


def test_after_a_registry_failed_only_the_last_hop_is_repeated(cell: Cell) -> None:
    cell.aws.failures["registry eu-central-1"] = REFUSED
    cell.visit()
    cell.after(seconds=1).visit()
    assert cell.aws.calls == ["registry eu-central-1"]
    assert [hop.name for hop in cell.regions.proofs()[REGION].hops] == list(HopName)


def test_a_registry_that_lets_us_in_again_is_proof(cell: Cell) -> None:
    cell.aws.failures["registry eu-central-1"] = REFUSED
    cell.visit()
    cell.aws.failures.clear()
    assert cell.after(seconds=1).visit().failure is None
    assert cell.regions.proofs()[REGION].verified_at == cell.now


def test_a_failure_keeps_the_time_when_all_last_succeeded(cell: Cell) -> None:
    cell.visit()
    cell.aws.failures["sts eu-central-1"] = DENIED
    cell.after(hours=1).visit()
    assert cell.regions.proofs()[REGION].verified_at == START


def test_a_new_generation_is_proven_anew_without_a_new_credential(cell: Cell) -> None:
    cell.visit()
    cell.after(seconds=1).reconfigure()
    assert not cell.visit().refreshed
    assert cell.aws.calls == WALK


def test_another_role_is_a_new_credential(cell: Cell) -> None:
    cell.visit()
    cell.after(seconds=1).reconfigure(role_arn="arn:aws:iam::111122223333:role/other")
    assert cell.visit().refreshed
    assert cell.password() == "password-2"


def test_while_another_role_does_not_work_the_old_credential_is_served(cell: Cell) -> None:
    cell.visit()
    cell.after(seconds=1).reconfigure(role_arn="arn:aws:iam::111122223333:role/other")
    cell.aws.failures["sts eu-central-1"] = DENIED
    cell.visit()
    assert cell.password() == "password-1"


def test_sts_is_asked_in_the_region_of_the_configuration(cell: Cell) -> None:
    cell.reconfigure(region="eu-west-1")
    cell.visit()
    assert cell.aws.calls[0] == "sts eu-west-1"


def test_each_region_gets_one_credential_however_many_registries_it_has(cell: Cell) -> None:
    cell.reconfigure(
        registries=(HOST, HOST.replace("1111", "9999"), "111122223333.dkr.ecr.eu-west-1.amazonaws.com")
    )
    for region in cell.wanted.regions:
        cell.visit(region)
    assert sorted(call for call in cell.aws.calls if call.startswith("ecr")) == [
        "ecr eu-central-1",
        "ecr eu-west-1",
    ]


def test_a_region_that_fails_does_not_keep_the_others_from_their_credential(cell: Cell) -> None:
    cell.reconfigure(registries=(HOST, "111122223333.dkr.ecr.eu-west-1.amazonaws.com"))
    cell.aws.failures["ecr eu-central-1"] = AwsFailure(
        HopName.ECR, "EcrUnreachable", "no answer", transient=True
    )
    assert [cell.visit(region).refreshed for region in cell.wanted.regions] == [False, True]


def restarted(cell: Cell, report: AgentReport) -> None:
    issued_at = START - timedelta(hours=1)
    credential = RegistryCredential(REGION, "AWS", "recovered", issued_at, issued_at + timedelta(hours=12))
    cell.cache.put(credential, cell.wanted.identity, recovered=True)
    cell.regions.take_over(report, cell.wanted, cell.now)


def last_report(**changes: object) -> AgentReport:
    report = AgentReport(
        generation=1,
        agent_version="1",
        written_at=START,
        hops=tuple(ReportedHop(name.value, succeeded=True) for name in HopName),
        verified_at=START - timedelta(minutes=30),
    )
    return replace(report, **changes)  # type: ignore[arg-type]


def test_after_a_restart_neither_sts_nor_ecr_is_called(cell: Cell) -> None:
    restarted(cell, last_report())
    cell.visit()
    assert cell.aws.calls == ["registry eu-central-1"]
    assert cell.password() == "recovered"


def test_after_a_restart_the_next_walk_is_due_when_the_last_agent_would_have_walked(cell: Cell) -> None:
    restarted(cell, last_report())
    assert cell.visit().come_back_in == 1800.0


def test_a_recovered_credential_that_the_registry_refuses_is_replaced(cell: Cell) -> None:
    restarted(cell, last_report())
    cell.aws.failures["registry eu-central-1"] = REFUSED
    cell.visit()
    cell.aws.failures.clear()
    assert cell.after(seconds=1).visit().refreshed
    assert cell.password() == "password-1"


def test_a_fetched_credential_that_the_registry_refuses_is_not_replaced(cell: Cell) -> None:
    cell.aws.failures["registry eu-central-1"] = REFUSED
    cell.visit()
    assert not cell.after(seconds=1).visit().refreshed


@pytest.mark.parametrize(
    "changes",
    [
        {"generation": 2},
        {"verified_at": None},
        {"verified_at": START - timedelta(hours=2)},
        {"verified_at": START + timedelta(hours=2)},
        {
            "hops": (
                ReportedHop("token", succeeded=True),
                ReportedHop("sts", succeeded=False, code="StsRefused"),
            )
        },
    ],
)
def test_a_report_that_proves_nothing_now_is_not_taken_over(cell: Cell, changes: dict[str, object]) -> None:
    restarted(cell, last_report(**changes))
    cell.visit()
    assert cell.aws.calls == WALK
