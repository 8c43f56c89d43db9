from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from agent.nodes.summing import Secrets
from agent.secrets.add_on import claims_of, identity_of
from agent.secrets.claims import Claim, ClaimKey, ClaimSource, Selection
from agent.secrets.fetching import Awaiting, Fetching, Visit
from agent.secrets.identity import CredentialKey, Identity, StoredKeys
from agent.secrets.plan import Plan, merged
from agent.secrets.pool import CredentialPool
from agent.secrets.registries import configured
from agent.secrets.verification import Sources
from aws.credentials import RegistryCredential
from aws.hops import AwsFailure, HopName
from aws.identities import AccessKeys
from aws.registry_hosts import parse
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
REGIONS = (REGION, "eu-west-1")
WALK = ["sts eu-central-1", "ecr eu-central-1", "registry eu-central-1"]
DENIED = AwsFailure(HopName.STS, "TrustPolicyMismatch", "Not authorized", eventual=True)
MISSING = AwsFailure(HopName.REGISTRY, "ImageNotFound", "manifest unknown")
REFUSED = AwsFailure(HopName.REGISTRY, "RegistryAccessDenied", "denied")


class Aws(Protocol):
    calls: list[str]
    failures: dict[str, AwsFailure]
    tokens: list[str]
    sources: list[object]


class Cell:
    """One agent's credentials, and the time."""

    def __init__(self, aws: Aws, token_file: str) -> None:
        self.aws = aws
        self.now = START
        self.pool = CredentialPool(FakeRandom())
        self.keys = AccessKeys("AKIA", "key")
        sources = Sources(token_file, lambda _: self.keys)
        self.fetching = Fetching(aws, self.pool, sources, random=FakeRandom())  # type: ignore[arg-type]
        self.plan = planned(CONFIGURATION, START)

    def key(self, region: str = REGION) -> CredentialKey:
        return CredentialKey(self.plan.identity, region)

    def visit(self, region: str = REGION) -> Visit:
        return self.fetching.visit(self.key(region), self.plan, self.now)

    def after(self, **times: float) -> "Cell":
        self.now += timedelta(**times)
        self.aws.calls.clear()
        return self

    def password(self) -> str | None:
        held = self.pool.good(self.key(), self.now)
        return held.password if held is not None else None

    def reconfigure(self, **changes: object) -> None:
        configuration = replace(
            self.plan.configuration,
            generation=self.plan.configuration.generation + 1,
            **changes,  # type: ignore[arg-type]
        )
        self.plan = planned(configuration, self.now)


def planned(configuration: AgentConfiguration, at: datetime, *others: Claim) -> Plan:
    registries = configured(configuration)
    claims = merged(claims_of(configuration, registries), others, ())
    return Plan(configuration, at, registries, Secrets.FILL, claims)


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


def test_when_its_time_has_come_the_credential_is_replaced(cell: Cell) -> None:
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
    assert cell.fetching.proofs() == {}


def test_what_iam_refuses_in_the_first_minute_is_known_as_refused_so_far(cell: Cell) -> None:
    cell.aws.failures["sts eu-central-1"] = DENIED
    cell.visit()
    awaited = Awaiting(1, "TrustPolicyMismatch", "Not authorized", START + timedelta(seconds=60))
    assert ({cell.key(): awaited}, True) == (cell.fetching.awaiting(), cell.fetching.all_walked(cell.plan))


def test_what_iam_lets_in_after_all_is_refused_no_more(cell: Cell) -> None:
    cell.aws.failures["sts eu-central-1"] = DENIED
    cell.visit()
    cell.aws.failures.clear()
    assert cell.after(seconds=5).visit().refreshed
    assert {} == cell.fetching.awaiting()


def test_a_failure_that_stays_after_the_minute_is_refused_for_good(cell: Cell) -> None:
    cell.aws.failures["sts eu-central-1"] = DENIED
    cell.visit()
    cell.after(seconds=60).visit()
    assert {} == cell.fetching.awaiting()


def test_a_failure_is_told_on_while_it_is_looked_at_again_and_not_once_another_stands_behind_it(
    cell: Cell,
) -> None:
    cell.aws.failures["sts eu-central-1"] = DENIED
    cell.after(seconds=60).visit()
    cell.reconfigure()
    cell.visit()
    same = [each.code for each in cell.fetching.failing().values()]
    cell.aws.failures = {"ecr eu-central-1": AwsFailure(HopName.ECR, "EcrAccessDenied", "no", eventual=True)}
    cell.visit()
    assert (["TrustPolicyMismatch"], {}) == (same, cell.fetching.failing())


def test_after_the_first_minute_it_is_told(cell: Cell) -> None:
    cell.aws.failures["sts eu-central-1"] = DENIED
    assert cell.after(seconds=60).visit().failure == DENIED
    assert [hop.code for hop in cell.fetching.proofs()[cell.key()].hops] == ["", "TrustPolicyMismatch"]


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
    assert [hop.name for hop in cell.fetching.proofs()[cell.key()].hops] == list(HopName)


def test_a_registry_that_lets_us_in_again_is_proof(cell: Cell) -> None:
    cell.aws.failures["registry eu-central-1"] = REFUSED
    cell.visit()
    cell.aws.failures.clear()
    assert cell.after(seconds=1).visit().failure is None
    assert cell.fetching.proofs()[cell.key()].verified_at == cell.now


def test_a_failure_keeps_the_time_when_all_last_succeeded(cell: Cell) -> None:
    cell.visit()
    cell.aws.failures["sts eu-central-1"] = DENIED
    cell.after(hours=1).visit()
    assert cell.fetching.proofs()[cell.key()].verified_at == START


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


def test_sts_is_asked_in_the_region_of_the_configuration(cell: Cell) -> None:
    cell.reconfigure(region="eu-west-1")
    cell.visit()
    assert cell.aws.calls[0] == "sts eu-west-1"


def test_each_region_gets_one_credential_however_many_registries_it_has(cell: Cell) -> None:
    cell.reconfigure(
        registries=(HOST, HOST.replace("1111", "9999"), "111122223333.dkr.ecr.eu-west-1.amazonaws.com")
    )
    for region in REGIONS:
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
    assert [cell.visit(region).refreshed for region in REGIONS] == [False, True]


def restarted(cell: Cell, report: AgentReport) -> None:
    issued_at = START - timedelta(hours=1)
    cell.pool.put(
        cell.key(), RegistryCredential(REGION, "AWS", "stored", issued_at, issued_at + timedelta(hours=12))
    )
    cell.fetching.take_over(report, cell.plan, cell.now)


def last_report(**changes: object) -> AgentReport:
    report = AgentReport(
        generation=1,
        agent_version="1",
        written_at=START,
        hops=tuple(ReportedHop(name.value, succeeded=True) for name in HopName),
        verified_at=START - timedelta(minutes=30),
    )
    return replace(report, **changes)  # type: ignore[arg-type]


def test_after_a_restart_nothing_is_called(cell: Cell) -> None:
    restarted(cell, last_report())
    cell.visit()
    assert cell.aws.calls == []
    assert cell.password() == "stored"


def test_after_a_restart_the_next_walk_is_due_when_the_last_leader_would_have_walked(cell: Cell) -> None:
    restarted(cell, last_report())
    assert cell.visit().come_back_in == 1800.0


def test_a_credential_that_the_registry_refuses_is_not_replaced(cell: Cell) -> None:
    cell.aws.failures["registry eu-central-1"] = REFUSED
    cell.visit()
    assert not cell.after(seconds=1).visit().refreshed


def test_what_fails_is_known_with_the_time_when_it_began(cell: Cell) -> None:
    cell.visit()
    cell.aws.failures["sts eu-central-1"] = DENIED
    cell.after(hours=1).visit()
    cell.after(hours=1).visit()
    failing = cell.fetching.failing()[cell.key()]
    assert (failing.code, failing.since) == ("TrustPolicyMismatch", START + timedelta(hours=1))


def test_what_works_again_fails_no_longer(cell: Cell) -> None:
    cell.aws.failures["registry eu-central-1"] = REFUSED
    cell.visit()
    cell.aws.failures.clear()
    cell.after(seconds=1).visit()
    assert cell.fetching.failing() == {}


def test_what_is_no_longer_wanted_is_forgotten(cell: Cell) -> None:
    cell.visit()
    cell.fetching.follow((), cell.now)
    assert cell.fetching.proofs() == {}


def test_ecr_public_is_a_region_of_its_own(cell: Cell) -> None:
    cell.reconfigure(registries=(HOST, "public.ecr.aws"))
    assert cell.visit("public").refreshed
    assert [call for call in cell.aws.calls if call.startswith("ecr")] == ["ecr public"]


def custom(identity: Identity) -> Claim:
    registry = parse(HOST)
    assert registry is not None
    key = ClaimKey(ClaimSource.CUSTOM, "web")
    return Claim(key, "web-pull", Selection(), "default", (registry,), identity)


def test_a_custom_claim_is_fetched_and_not_proven(cell: Cell) -> None:
    claim = custom(Identity(StoredKeys("vault", "aws", version="u/1")))
    cell.plan = planned(CONFIGURATION, START, claim)
    (key,) = claim.credential_keys
    assert cell.fetching.visit(key, cell.plan, cell.now).refreshed
    assert cell.aws.calls == ["sts eu-central-1", "ecr eu-central-1"]
    assert cell.aws.sources == [cell.keys]


def test_a_custom_claim_is_not_visited_again_before_its_refresh_is_due(cell: Cell) -> None:
    claim = custom(Identity(StoredKeys("vault", "aws", version="u/1")))
    cell.plan = planned(CONFIGURATION, START, claim)
    (key,) = claim.credential_keys
    cell.fetching.visit(key, cell.plan, cell.now)
    cell.after(hours=5)
    assert cell.fetching.visit(key, cell.plan, cell.now) == Visit(come_back_in=3600.0)
    assert cell.aws.calls == []


def test_claims_of_one_identity_share_its_credential(cell: Cell) -> None:
    claim = custom(identity_of(CONFIGURATION))
    cell.plan = planned(CONFIGURATION, START, claim)
    assert cell.plan.keys == (cell.key(),)


def test_keys_in_another_partition_are_used_with_its_own_sts(cell: Cell) -> None:
    claim = custom(Identity(StoredKeys("vault", "aws", version="u/1")))
    china = parse("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn")
    assert china is not None
    cell.plan = planned(
        replace(CONFIGURATION, region="eu-west-1"), START, replace(claim, registries=(china,))
    )
    assert cell.plan.asked(CredentialKey(claim.identity, "cn-north-1")).sts_region == "cn-north-1"


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
