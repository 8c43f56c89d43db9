"""A cluster in few words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
import pytest

from cli import summary
from web.journey import Mark

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def cluster(**status: Any) -> dict[str, Any]:
    return {
        "name": "demo",
        "created": "2026-11-22T11:00:00Z",
        "spec": {"version": "1.34.4", "provider": {"generic": {}}, "addOns": {"awsECR": {}}},
        "status": {
            "standing": "Ready",
            "generation": 2,
            "observedGeneration": 2,
            "connected": True,
            **status,
        },
    }


def issue(code: str) -> dict[str, str]:
    return {"code": code, "message": f"{code} happened", "remedy": f"mend {code}"}


@pytest.mark.parametrize("mark", Mark)
def test_every_mark_of_a_step_has_a_sign_of_one_column(mark: Mark) -> None:
    assert 1 == len(click.unstyle(summary._MARKS[mark]))


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("2026-11-22T11:59:50Z", "10s"),
        ("2026-11-22T11:58:30Z", "90s"),
        ("2026-11-22T11:30:00Z", "30m"),
        ("2026-11-20T13:00:00Z", "47h"),
        ("2026-11-01T12:00:00Z", "21d"),
        ("2026-11-22T12:00:05Z", "0s"),
    ],
)
def test_an_age_is_in_its_largest_unit(moment: str, words: str) -> None:
    assert words == summary.age(moment, NOW)


def test_what_was_never_is_no_age() -> None:
    assert summary.age(None, NOW) is None


def test_a_row_names_the_first_issue_and_how_many_more() -> None:
    shown = summary.row(cluster(issues=[issue("A")], addOns={"awsECR": {"issues": [issue("B")]}}), NOW)
    assert ("A (+1)", "Ready", "generic", "60m") == tuple(
        shown[name] for name in ("issue", "state", "provider", "age")
    )


def test_an_issue_of_several_add_ons_is_told_once() -> None:
    both = {"awsECR": {"issues": [issue("A")]}, "awsWorkloadIdentity": {"issues": [issue("A")]}}
    assert [issue("A")] == summary.issues(cluster(addOns=both))


def test_a_change_that_nobody_acted_on_is_under_way() -> None:
    assert "Installing" == summary.state_of(cluster(observedGeneration=1))


def test_an_add_on_that_pullpass_does_not_look_after_has_no_steps() -> None:
    assert "dashboard" not in summary.page(cluster(addOns={"dashboard": {}}), NOW)


def test_a_cluster_that_was_never_connected_says_what_to_run() -> None:
    assert "pullpass connect" in summary.page(cluster(connected=False), NOW)


def test_a_removal_says_by_whom() -> None:
    removal = {"requestedAt": "2026-11-22T11:00:00Z", "requestedBy": "alice"}
    assert "since 2026-11-22T11:00:00Z, by alice" in summary.page(cluster(removal=removal), NOW)
