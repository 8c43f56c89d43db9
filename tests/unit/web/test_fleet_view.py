"""The fleet at once: every cluster a square, what hits the most, what runs out first."""

from __future__ import annotations

import gzip
import re

import pytest

from schemas.status import AddOnStatus, ClusterStatus, Issue, State
from tests.support.console import Browser, Console, words
from tests.support.hub import CONNECTION, Hub, manifest
from web import fleet_view


def add(hub: Hub, name: str, state: State, code: str = "") -> None:
    hub.put(manifest(name))
    hub.call("PUT", f"/org/acme/mk8s/{name}/-connection", json=CONNECTION)
    issues = (Issue(code, "", ""),) if code else ()
    details = {} if code else {"credentials": {"expiresAt": "2026-11-22T11:40:00Z"}}
    identity = AddOnStatus(State.READY)
    registries = AddOnStatus(state, issues=issues, details=details)
    hub.report(name, ClusterStatus(add_ons={"awsECR": registries, "awsWorkloadIdentity": identity}))


@pytest.fixture
def fleet(console: Console) -> Hub:
    for name in ("aa1", "aa2"):
        add(console.hub, name, State.READY)
    for name in ("bb1", "bb2", "bb3", "bb4"):
        add(console.hub, name, State.BLOCKED, "RoleArnMissing")
    add(console.hub, "cc1", State.FAILED, "EcrAccessDenied")
    return console.hub


def test_it_counts_and_names_each_state_worst_first(fleet: Hub, browser: Browser) -> None:
    text = browser.text("/fleet")

    assert "2 of 7 ready; 5 need somebody" in text
    assert "Failed 1 14 % Blocked 4 57 % Ready 2 29 %" in text


def test_the_most_common_issue_names_whom_it_hits(fleet: Hub, browser: Browser) -> None:
    text = browser.text("/fleet")

    assert "Role ARN missing 4 clusters 4 clusters: bb1 , bb2 , bb3 and 1 more" in text
    assert text.index("Role ARN missing") < text.index("ECR access denied")


def test_it_leads_to_the_filtered_lists(fleet: Hub, browser: Browser) -> None:
    markup = browser.get("/fleet").text

    for path, number in (("/clusters?standing=Blocked", 4), ("/clusters?issue=RoleArnMissing", 4)):
        assert f'href="{path}"' in markup
        assert number == browser.get(path).text.count('id="to-')


def test_it_says_what_runs_out_first(fleet: Hub, browser: Browser) -> None:
    text = browser.text("/fleet")

    assert "Pull credentials in 6 hours on aa1 ." in text
    assert "access in 30 days to aa1 ." in text


def test_an_empty_fleet_leads_to_the_clusters(browser: Browser) -> None:
    assert "No cluster yet" in browser.text("/fleet")


def test_nothing_is_sent_while_nothing_changed(fleet: Hub, browser: Browser) -> None:
    found = re.search(r'hx-get="(/fleet\?seen=[^"]+)"', browser.get("/fleet").text)
    assert found is not None
    assert 204 == browser.live(found[1]).status_code

    add(fleet, "dd1", State.READY)

    answer = browser.live(found[1])
    assert "3 of 8 ready" in words(answer.text)
    assert "<html" not in answer.text


def squares(path: str) -> int:
    """Dashes of eight with gaps of two."""
    return sum((int(length) + 2) // 10 for length in re.findall(r"h(\d+)", path))


@pytest.mark.parametrize("number", [1, 39, 40, 41, 160, 161, 8800, 10_000])
@pytest.mark.parametrize("columns", [40, 160])
def test_every_cluster_is_a_square(number: int, columns: int) -> None:
    assert number == squares(fleet_view._path(number, columns))


@pytest.mark.parametrize(
    ("number", "total", "expected"),
    [(1, 1000, "< 1 %"), (10, 1000, "1 %"), (999, 1000, "99 %"), (1000, 1000, "100 %"), (1, 3, "33 %")],
)
def test_a_share_is_neither_nothing_nor_all_unless_it_is(number: int, total: int, expected: str) -> None:
    assert expected == fleet_view._share(number, total)


def test_the_picture_of_ten_thousand_is_small_on_the_wire() -> None:
    columns = fleet_view._columns(10_000)
    paths = "".join(fleet_view._path(number, columns) for number in (300, 400, 200, 100, 9000))

    assert len(gzip.compress(paths.encode())) < 1000
