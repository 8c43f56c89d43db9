from typing import Any

import pytest

from agent.pods.owners import Rounds, is_job, job_bears_a_failure, replaces
from agent.pods.waiting import Owner
from reconcile.clock import FakeRandom


@pytest.fixture
def rounds() -> Rounds:
    return Rounds(FakeRandom())


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        ("apps/v1", "ReplicaSet", (True, False)),
        ("apps/v1", "StatefulSet", (True, False)),
        ("apps/v1", "DaemonSet", (True, False)),
        ("v1", "ReplicationController", (True, False)),
        ("batch/v1", "Job", (False, True)),
        ("argoproj.io/v1alpha1", "Workflow", (False, False)),
        ("example.com/v1", "ReplicaSet", (False, False)),
    ],
)
def test_only_known_controllers_make_a_new_pod_as_a_matter_of_course(
    api_version: str, kind: str, expected: tuple[bool, bool]
) -> None:
    owner = Owner(api_version, kind, "app", "u-1")
    assert expected == (replaces(owner), is_job(owner))


@pytest.mark.parametrize(
    ("spec", "failed", "expected"),
    [
        ({}, 0, True),
        ({}, 5, True),
        ({}, 6, False),
        ({"backoffLimit": 0}, 0, False),
        ({"backoffLimit": 1}, 0, True),
        ({"backoffLimit": 1}, 1, False),
        ({"backoffLimit": 5, "backoffLimitPerIndex": 1}, 0, False),
        ({"podFailurePolicy": {"rules": [{"action": "FailJob"}]}}, 0, False),
        ({"podFailurePolicy": {"rules": [{"action": "Ignore"}]}}, 0, True),
    ],
)
def test_a_job_bears_a_failure_as_long_as_its_limit_is_not_reached(
    spec: dict[str, Any], failed: int, expected: bool
) -> None:
    assert expected == job_bears_a_failure({"spec": spec, "status": {"failed": failed}})


def test_all_pods_that_an_owner_has_at_first_may_go(rounds: Rounds) -> None:
    assert (frozenset({"a", "b"}), 0.0) == rounds.admitted("o", ["a", "b"], 0.0)


def test_a_new_pod_that_is_stuck_again_waits(rounds: Rounds) -> None:
    rounds.admitted("o", ["a"], 0.0)
    assert (frozenset(), 50.0) == rounds.admitted("o", ["b"], 10.0)


def test_the_pods_of_the_first_round_go_all_the_same(rounds: Rounds) -> None:
    rounds.admitted("o", ["a", "b"], 0.0)
    assert (frozenset({"b"}), 50.0) == rounds.admitted("o", ["b", "c"], 10.0)


def test_each_round_takes_longer_up_to_an_hour(rounds: Rounds) -> None:
    now, waits = 0.0, []
    for number in range(9):
        assert frozenset({f"pod-{number}"}) == rounds.admitted("o", [f"pod-{number}"], now)[0]
        _, wait = rounds.admitted("o", ["next"], now)
        waits.append(wait)
        now += wait
    assert [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600] == waits


def test_an_owner_whose_pod_is_stuck_still_is_not_forgotten(rounds: Rounds) -> None:
    rounds.admitted("o", ["a"], 0.0)
    first = [rounds.is_first("o", "b", hour * 3_000.0) for hour in range(1, 9)]
    assert [False] * 8 == first


def test_only_what_was_stuck_before_anything_was_retried_is_first(rounds: Rounds) -> None:
    before = rounds.is_first("o", "a", 0.0)
    rounds.admitted("o", ["a"], 0.0)
    assert (True, True, False) == (before, rounds.is_first("o", "a", 1.0), rounds.is_first("o", "b", 1.0))


def test_owners_do_not_wait_for_each_other(rounds: Rounds) -> None:
    rounds.admitted("o", ["a"], 0.0)
    assert frozenset({"b"}) == rounds.admitted("p", ["b"], 1.0)[0]


def test_an_owner_that_was_well_for_long_begins_anew(rounds: Rounds) -> None:
    rounds.admitted("o", ["a"], 0.0)
    rounds.admitted("o", ["b"], 60.0)
    later = 60.0 + 120.0 + 3600.0
    rounds.admitted("o", ["c"], later)
    assert 60.0 == rounds.admitted("o", ["d"], later)[1]
