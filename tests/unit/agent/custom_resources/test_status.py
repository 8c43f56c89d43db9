from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.custom_resources import status
from agent.custom_resources.status import Happening
from agent.secrets.duties import ClaimStatus
from aws.registry_hosts import parse
from kube.objects import Object
from schemas.agent_documents import NamespaceError
from tests.unit.agent.custom_resources import makers
from tests.unit.agent.custom_resources.makers import REGISTRY, ROLE

NOW = datetime(2026, 11, 22, 5, 40, tzinfo=UTC)
LATER = NOW + timedelta(hours=12)
GOOD: dict[str, Any] = {
    "selected": 2,
    "ready": 2,
    "refreshed_at": {"eu-central-1": NOW},
    "expires_at": {"eu-central-1": LATER},
}


def written(told: ClaimStatus, *, now: datetime = NOW, **changes: Any) -> Object:
    return status.served(makers.resource(**changes), told, (), now)


def conditions(state: Object) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in state["conditions"]}


def test_what_is_well_is_ready() -> None:
    state = written(makers.told(**GOOD))
    assert {
        "Ready": ("True", "Ready"),
        "CredentialsValid": ("True", "Valid"),
        "NamespacesReady": ("True", "Filled"),
        "Suspended": ("False", "Active"),
    } == conditions(state)
    del state["conditions"]
    assert {
        "observedGeneration": 3,
        "identity": ROLE,
        "namespaces": {"selected": 2, "ready": 2, "summary": "2/2"},
        "lastRefreshTime": "2026-11-22T05:40:00Z",
        "expirationTime": "2026-11-22T17:40:00Z",
    } == state


def test_before_aws_was_asked_nothing_is_known() -> None:
    assert ("Unknown", "Pending") == conditions(written(makers.told(selected=2)))["Ready"]


def test_aws_words_stand_in_the_condition() -> None:
    state = written(makers.told(selected=2, failure=("AssumeRoleRefused", "no such role")))
    ready = state["conditions"][0]
    assert ("False", "AssumeRoleRefused", "no such role") == (
        ready["status"],
        ready["reason"],
        ready["message"],
    )


def test_a_refresh_that_fails_while_the_credential_is_good_leaves_it_ready() -> None:
    state = written(makers.told(**GOOD, failure=("StsUnreachable", "timed out")))
    assert ("True", "StsUnreachable") == conditions(state)["CredentialsValid"]
    assert ("True", "Ready") == conditions(state)["Ready"]
    assert (
        "good until 2026-11-22T17:40:00Z; the refresh fails: timed out" == state["conditions"][1]["message"]
    )


def test_a_credential_that_ran_out_is_no_longer_valid() -> None:
    assert ("False", "Expired") == conditions(written(makers.told(**GOOD), now=LATER))["CredentialsValid"]


def test_one_that_ran_out_while_the_object_is_suspended_stays_told() -> None:
    suspended = makers.claim(suspended=True)
    before = written(makers.told(suspended, **GOOD))
    after = written(makers.told(suspended, selected=2), now=LATER, status=before)
    assert ("False", "Expired") == conditions(after)["Ready"]
    assert "2026-11-22T17:40:00Z" == after["expirationTime"]


def test_the_credential_that_ends_first_counts() -> None:
    registries = tuple(found for host in (REGISTRY, "public.ecr.aws") if (found := parse(host)))
    claim = makers.claim(registries=registries)
    expires = {"eu-central-1": LATER, "public": NOW + timedelta(hours=1)}
    assert NOW + timedelta(hours=1) == status.expiry(makers.told(claim, expires_at=expires))
    assert status.expiry(makers.told(claim, expires_at={"eu-central-1": LATER})) is None


def test_namespaces_that_wait_make_it_not_ready() -> None:
    assert ("False", "Filling") == conditions(written(makers.told(**GOOD | {"ready": 1})))["Ready"]


def test_no_selected_namespace_is_said() -> None:
    state = written(makers.told(**GOOD | {"selected": 0, "ready": 0}))
    assert ("True", "NoNamespaceSelected") == conditions(state)["NamespacesReady"]


def test_errors_of_namespaces_are_listed_up_to_a_bound() -> None:
    errors = tuple(
        NamespaceError(f"n{number:02}", "SecretNotOurs", "x" * 2000) for number in range(30, 0, -1)
    )
    state = written(makers.told(**GOOD, errors=errors))
    assert [f"n{number:02}" for number in range(1, 21)] == [
        each["namespace"] for each in state["namespaceErrors"]
    ]
    assert {1000} == {len(each["message"]) for each in state["namespaceErrors"]}
    assert ("False", "SecretNotOurs") == conditions(state)["Ready"]


def test_problems_of_the_object_come_first() -> None:
    state = status.served(makers.resource(), makers.told(**GOOD), ("docker.io is no ECR registry",), NOW)
    assert ("False", "CustomResourceRefused") == conditions(state)["Ready"]


def test_an_object_that_claims_nothing_says_why() -> None:
    assert {"Ready": ("False", "CustomResourceRefused")} == conditions(
        status.refused(makers.resource(), ("no identity",), NOW)
    )


def test_a_suspended_object_says_so_and_stays_ready() -> None:
    state = written(makers.told(makers.claim(suspended=True), **GOOD))
    assert ("True", "Suspended") == conditions(state)["Suspended"]
    assert ("True", "Ready") == conditions(state)["Ready"]


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    first = written(makers.told(**GOOD))
    then = NOW + timedelta(minutes=1)
    again = written(makers.told(**GOOD | {"ready": 1}), now=then, status=first)
    times = {each["type"]: each["lastTransitionTime"] for each in again["conditions"]}
    assert "2026-11-22T05:41:00Z" == times["Ready"]
    assert "2026-11-22T05:40:00Z" == times["CredentialsValid"]


def test_what_stands_there_already_is_not_written() -> None:
    state = written(makers.told(**GOOD))
    foreign = {"type": "Policy", "status": "True", "reason": "Theirs"}
    stored = state | {"conditions": [foreign, *reversed(state["conditions"])]}
    assert not status.differs(stored, written(makers.told(**GOOD), now=LATER - timedelta(1), status=stored))
    assert status.differs(stored, written(makers.told(**GOOD | {"ready": 1}), status=stored))
    assert status.differs({}, state)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, GOOD, [Happening("Refreshed", f"credentials of {ROLE} until 2026-11-22T17:40:00Z")]),
        (GOOD, GOOD, []),
        (GOOD, GOOD | {"ready": 1}, []),
        (
            GOOD,
            GOOD | {"failure": ("StsRefused", "no")},
            [
                Happening(
                    "Failed",
                    "StsRefused: good until 2026-11-22T17:40:00Z; the refresh fails: no",
                    warning=True,
                )
            ],
        ),
        (
            GOOD | {"failure": ("StsRefused", "no")},
            GOOD | {"failure": ("StsRefused", "no")},
            [],
        ),
        (
            {},
            {"selected": 1, "failure": ("KeysMissing", "no secret vault/aws")},
            [Happening("Failed", "KeysMissing: no secret vault/aws", warning=True)],
        ),
    ],
)
def test_events_tell_what_happened_between_two_statuses(
    before: dict[str, Any], after: dict[str, Any], expected: list[Happening]
) -> None:
    stored = written(makers.told(**before)) if before else {}
    assert expected == status.happenings(stored, written(makers.told(**after)))


def test_suspending_and_resuming_are_events() -> None:
    active = written(makers.told(**GOOD))
    resting = written(makers.told(makers.claim(suspended=True), **GOOD))
    assert ["Suspended"] == [each.reason for each in status.happenings(active, resting)]
    assert ["Resumed"] == [each.reason for each in status.happenings(resting, active)]


def test_whether_all_is_well_is_told_for_the_report() -> None:
    assert status.is_well(makers.told(**GOOD), NOW)
    assert not status.is_well(makers.told(**GOOD), LATER)
    assert not status.is_well(makers.told(**GOOD | {"ready": 1}), NOW)
