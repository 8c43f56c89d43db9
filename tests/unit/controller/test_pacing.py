from __future__ import annotations

from datetime import timedelta

import pytest

from controller import pacing, renewal
from kube.errors import Forbidden
from reconcile.outcome import Done, Outcome, RequeueAfter
from schemas.connection import Connection
from schemas.status import AddOnStatus, Issue, State
from tests.unit.controller.samples import NOW, context

FIXED = Connection(server="https://10.0.0.1:6443", token="secret")
RENEWABLE = Connection(
    server="https://10.0.0.1:6443",
    token="secret",
    renewable=True,
    granted_at=NOW,
    expires_at=NOW + timedelta(hours=24),
)


def after(
    status: AddOnStatus, *, attempts: int = 0, connection: Connection = FIXED, hours: float = 0
) -> Outcome:
    return pacing.after(
        {"awsECR": status},
        attempts=attempts,
        connection=connection,
        now=NOW + timedelta(hours=hours),
        look_seconds=300,
    )


def with_issue(code: str, state: State = State.BLOCKED) -> AddOnStatus:
    return AddOnStatus(state, issues=(Issue(code, "", ""),))


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 1), (5, 1), (6, 2), (7, 3), (8, 5), (99, 5)])
def test_an_installation_is_looked_at_less_and_less_often(attempts: int, seconds: int) -> None:
    assert after(AddOnStatus(State.INSTALLING), attempts=attempts) == RequeueAfter(seconds)


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 1), (1, 2), (3, 5), (5, 10), (99, 10)])
def test_a_removal_is_looked_at_less_and_less_often(attempts: int, seconds: int) -> None:
    assert after(AddOnStatus(State.REMOVING), attempts=attempts) == RequeueAfter(seconds)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (AddOnStatus(State.READY), Done()),
        (AddOnStatus(State.FAILED), RequeueAfter(30)),
        (with_issue("TrustPolicyMismatch", State.DEGRADED), RequeueAfter(30)),
        (with_issue("IssuerNotSwitched"), RequeueAfter(30)),
        (with_issue("RoleArnMissing"), Done()),
        (with_issue("PublicUrlMissing"), Done()),
    ],
)
def test_what_only_the_hubs_users_can_change_is_not_looked_at(status: AddOnStatus, outcome: Outcome) -> None:
    assert after(status) == outcome


@pytest.mark.parametrize(
    ("hours", "outcome"), [(0, Done()), (7.95, RequeueAfter(180)), (9, RequeueAfter(30))]
)
def test_a_token_that_is_due_before_the_next_look_brings_it_forward(hours: float, outcome: Outcome) -> None:
    assert after(AddOnStatus(State.READY), connection=RENEWABLE, hours=hours) == outcome


def test_a_token_that_cannot_be_renewed_is_never_due() -> None:
    assert renewal.due_at(FIXED) is None


@pytest.mark.parametrize(("hours", "codes"), [(17.9, []), (18, ["ConnectionExpiring"])])
def test_a_dying_token_is_an_issue_in_its_last_quarter(hours: float, codes: list[str]) -> None:
    dying = context(connection=RENEWABLE, now=NOW + timedelta(hours=hours))
    issue = renewal.expiring(dying, Forbidden(403, "Forbidden", "no"))
    assert [issue.code for issue in [issue] if issue is not None] == codes
