from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from schemas.status import (
    AddOnStatus,
    ClusterStatus,
    Condition,
    Issue,
    State,
    from_json,
    to_json,
    with_transition_times,
)

THEN = datetime(2026, 11, 22, 5, 40, tzinfo=UTC)
NOW = THEN + timedelta(minutes=5)
READY = Condition("Ready", "True", "Verified", "all hops succeeded", THEN, 3)
STATUS = ClusterStatus(
    observed_generation=3,
    oidc_provider_url="https://oidc.example.com/x",
    server_url="https://k8s.example.com",
    conditions=(READY,),
    issues=(Issue("ConnectionExpiring", "soon", "pullpass connect", ("Cluster/demo",)),),
    add_ons={
        "awsECR": AddOnStatus(
            State.DEGRADED,
            conditions=(replace(READY, status="False"),),
            issues=(Issue("ImageNotFound", "gone", "push it"),),
            details={"delivery": {"mode": "pullSecret"}, "credentials": None},
        )
    },
)


def test_a_status_is_written_as_the_wire_contract_has_it() -> None:
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Verified",
        "message": "all hops succeeded",
        "lastTransitionTime": "2026-11-22T05:40:00Z",
        "observedGeneration": 3,
    }
    assert to_json(STATUS) == {
        "observedGeneration": 3,
        "oidcProviderUrl": "https://oidc.example.com/x",
        "serverUrl": "https://k8s.example.com",
        "conditions": [condition],
        "issues": [
            {
                "code": "ConnectionExpiring",
                "message": "soon",
                "remedy": "pullpass connect",
                "resources": ["Cluster/demo"],
            }
        ],
        "addOns": {
            "awsECR": {
                "state": "Degraded",
                "conditions": [{**condition, "status": "False"}],
                "issues": [
                    {"code": "ImageNotFound", "message": "gone", "remedy": "push it", "resources": []}
                ],
                "delivery": {"mode": "pullSecret"},
                "credentials": None,
            }
        },
    }


@pytest.mark.parametrize("status", [STATUS, ClusterStatus()])
def test_a_status_comes_back_as_it_was_written(status: ClusterStatus) -> None:
    assert from_json(to_json(status)) == status


def test_members_of_a_newer_hub_are_ignored() -> None:
    assert from_json({"observedGeneration": 1, "later": {"x": 1}}) == ClusterStatus(observed_generation=1)


def test_details_may_not_hide_the_members_of_every_add_on() -> None:
    status = ClusterStatus(add_ons={"awsECR": AddOnStatus(State.READY, details={"state": "x", "issues": []})})
    with pytest.raises(ValueError, match="issues, state"):
        to_json(status)


def test_a_damaged_status_is_refused_by_the_member_s_name() -> None:
    with pytest.raises(ValueError, match=r"addOns\.awsECR\.state: expected one of"):
        from_json({"addOns": {"awsECR": {"state": "Happy"}}})


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    new = replace(STATUS, conditions=(replace(READY, reason="Other", last_transition_time=NOW),))
    assert with_transition_times(new, STATUS).conditions == (replace(READY, reason="Other"),)


def test_a_condition_gets_its_new_time_when_its_status_changes() -> None:
    changed = replace(READY, status="Unknown", last_transition_time=NOW)
    assert with_transition_times(replace(STATUS, conditions=(changed,)), STATUS).conditions == (changed,)


def test_an_add_on_s_conditions_are_compared_with_its_own() -> None:
    moved = replace(READY, last_transition_time=NOW)
    new = ClusterStatus(
        add_ons={
            "awsECR": AddOnStatus(State.READY, conditions=(replace(moved, status="False"),)),
            "awsWorkloadIdentity": AddOnStatus(State.READY, conditions=(moved,)),
        }
    )
    kept = with_transition_times(new, STATUS).add_ons
    assert [kept["awsECR"].conditions[0].last_transition_time, kept["awsWorkloadIdentity"].conditions[0]] == [
        THEN,
        moved,
    ]


def test_the_first_status_stays_as_it_is() -> None:
    assert with_transition_times(STATUS, None) is STATUS
