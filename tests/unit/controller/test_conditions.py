from __future__ import annotations

from dataclasses import replace

import pytest

from controller import conditions
from controller.outcomes import Failure, judge
from kube.errors import Unauthorized, Unreachable
from schemas.status import AddOnStatus, ClusterStatus, State
from tests.unit.controller.samples import ISSUER, context

DOWN = judge(Unreachable("connection refused"))
REFUSED = judge(Unauthorized(401, "Unauthorized", "expired"))


def cut_short(failure: Failure | None, old: AddOnStatus | None, *, removing: bool = False) -> AddOnStatus:
    assert failure is not None
    before = ClusterStatus(add_ons={"awsECR": old} if old else {}, oidc_provider_url=ISSUER)
    status = conditions.cut_short(context(), failure, before, ["awsECR"], removing=removing)
    assert status.oidc_provider_url == ISSUER
    return status.add_ons["awsECR"]


@pytest.mark.parametrize(
    ("failure", "old", "state"),
    [
        (DOWN, None, State.FAILED),
        (DOWN, State.INSTALLING, State.FAILED),
        (DOWN, State.READY, State.DEGRADED),
        (DOWN, State.DEGRADED, State.DEGRADED),
        (DOWN, State.REMOVING, State.REMOVING),
        (REFUSED, State.READY, State.BLOCKED),
        (REFUSED, None, State.BLOCKED),
        (REFUSED, State.REMOVING, State.REMOVING),
    ],
)
def test_a_run_that_was_cut_short_keeps_what_goes_on_without_us(
    failure: Failure | None, old: State | None, state: State
) -> None:
    assert cut_short(failure, AddOnStatus(old) if old else None).state is state


def test_a_cluster_that_is_being_removed_goes_on_being_removed() -> None:
    assert cut_short(REFUSED, AddOnStatus(State.READY), removing=True).state is State.REMOVING


def test_what_was_known_stays_under_the_issue() -> None:
    old = AddOnStatus(
        State.READY,
        conditions=(context().condition("Installed", "True", "AgentReports"),),
        details={"delivery": "pullSecret"},
    )
    found = cut_short(DOWN, old)
    assert found.details == {"delivery": "pullSecret"}
    assert {each.type: each.status for each in found.conditions} == {
        "Reachable": "False",
        "Installed": "True",
        "Ready": "Unknown",
    }


def test_an_issue_is_told_once() -> None:
    old = ClusterStatus()
    issue = context().issue("ClusterUnreachable", {"MESSAGE": "refused"})
    blocked = AddOnStatus(State.FAILED, issues=(issue,))
    new = ClusterStatus(issues=(issue,), add_ons={"awsECR": blocked, "awsWorkloadIdentity": blocked})
    reasons = [event.reason for event in conditions.events(old, new)]
    assert reasons == ["ClusterUnreachable", "Failed", "Failed"]
    assert conditions.events(new, new) == []


def test_an_add_on_that_is_gone_is_told() -> None:
    old = ClusterStatus(add_ons={"awsECR": AddOnStatus(State.REMOVING)})
    assert [event.reason for event in conditions.events(old, ClusterStatus())] == ["Removed"]


def test_a_good_state_is_no_warning() -> None:
    old = ClusterStatus(add_ons={"awsECR": AddOnStatus(State.DEGRADED)})
    new = replace(old, add_ons={"awsECR": AddOnStatus(State.READY)})
    assert [(event.type, event.message) for event in conditions.events(old, new)] == [
        ("Normal", "awsECR: Degraded → Ready")
    ]
