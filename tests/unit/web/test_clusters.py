"""The list of clusters: what it shows, how it is narrowed and paged, how it stays live, and who sees which button."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from fleet import statuses
from schemas.status import AddOnStatus, ClusterStatus, Issue, State
from tests.support.console import Browser, Console, words
from tests.support.hub import CONNECTION, START, Hub, manifest

Fill = Callable[..., None]


@pytest.fixture
def fill(console: Console) -> Fill:
    """Creates clusters; with a state they are connected and have a status."""

    def fill_in(*names: str, state: State | None = None, code: str = "", **members: Any) -> None:
        for name in names:
            console.hub.put({**manifest(name), **members})
            if state is not None:
                report(console.hub, name, state, code)

    return fill_in


def report(hub: Hub, name: str, state: State, code: str = "") -> None:
    hub.call("PUT", f"/org/acme/mk8s/{name}/-connection", json=CONNECTION)
    issues = (Issue(code, "", ""),) if code else ()
    details = {"credentials": {"expiresAt": "2026-11-22T11:40:00Z"}}
    hub.report(
        name,
        ClusterStatus(
            add_ons={
                "awsECR": AddOnStatus(state, issues=issues, details=details),
                "awsWorkloadIdentity": AddOnStatus(State.READY),
            }
        ),
    )


def shown(markup: str) -> list[str]:
    """The names in the table, in order."""
    return re.findall(r'id="to-([^"]+)"', markup)


def address(markup: str, name: str) -> str:
    """Where the link with this id leads."""
    found = re.search(rf'id="{name}"[^>]* href="([^"]+)"', markup)
    assert found is not None, name
    return found[1].replace("&amp;", "&")


def poll(markup: str) -> str:
    """What the page asks for every few seconds."""
    found = re.search(r'id="live" hx-get="([^"]+)"', markup)
    assert found is not None
    return found[1].replace("&amp;", "&")


def test_a_row_says_how_the_cluster_is(console: Console, fill: Fill, browser: Browser) -> None:
    fill("demo", state=State.BLOCKED, code="RoleArnMissing", description="The <shop>")
    statuses.seen(console.hub.database, {console.hub.stored("demo").uid: START - timedelta(minutes=3)})

    text = browser.text("/clusters")

    assert (
        "demo The <shop> Blocked Role ARN missing generic aws-eu-central-1 awsECR awsWorkloadIdentity"
        " in 6 hours 3 minutes ago" in text
    )


def test_a_cluster_that_nobody_connected_says_so(fill: Fill, browser: Browser) -> None:
    fill("demo")

    assert re.search(r"demo Not connected .* awsWorkloadIdentity none never", browser.text("/clusters"))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["aa1", "bb1", "bb2", "cc1"]),
        ("text=bb", ["bb1", "bb2"]),
        ("text=+b2+bb+", ["bb2"]),
        ("standing=Ready", ["aa1"]),
        ("standing=Blocked&text=b1", ["bb1"]),
        ("issue=RoleArnMissing", ["bb1", "bb2"]),
        ("text=%25", []),
        ("standing=Removing", []),
        ("issue=Nothing", []),
        ("after=aa1", ["bb1", "bb2", "cc1"]),
        ("before=bb2", ["aa1", "bb1"]),
        ("after=zz", []),
    ],
)
def test_the_address_narrows_the_list(fill: Fill, browser: Browser, query: str, expected: list[str]) -> None:
    fill("aa1", state=State.READY)
    fill("bb1", "bb2", state=State.BLOCKED, code="RoleArnMissing")
    fill("cc1")

    answer = browser.get(f"/clusters?{query}")

    assert 200 == answer.status_code
    assert expected == shown(answer.text)


@pytest.mark.parametrize("query", ["standing=Fine", "text=a%00b", "standing=%F0%9F%98%80&text=x"])
def test_an_address_that_was_mistyped_leads_to_the_list(fill: Fill, browser: Browser, query: str) -> None:
    fill("demo")

    answer = browser.get(f"/clusters?{query}")

    assert answer.status_code in {200, 303}
    assert answer.headers.get("Location", "/clusters") == "/clusters"


@pytest.mark.parametrize("query", ["text=" + "x" * 5000, "after=" + "x" * 5000, "unknown=1", "text=%ff"])
def test_an_odd_address_is_answered(fill: Fill, browser: Browser, query: str) -> None:
    fill("demo")

    assert 200 == browser.get(f"/clusters?{query}").status_code


def test_choices_count_within_what_is_searched(fill: Fill, browser: Browser) -> None:
    fill("aa1", "ab1", state=State.READY)
    fill("ab2", state=State.FAILED, code="EcrAccessDenied")

    assert "All 3 Failed 1 Ready 2" in browser.text("/clusters")
    assert "All 2 Failed 1 Ready 1" in browser.text("/clusters?text=ab")
    assert "All 2 Failed 1 Ready 1" in browser.text("/clusters?text=ab&standing=Failed")


def test_a_choice_and_the_end_of_an_issue_keep_the_rest(fill: Fill, browser: Browser) -> None:
    fill("bb1", state=State.BLOCKED, code="RoleArnMissing")

    markup = browser.get("/clusters?text=bb&issue=RoleArnMissing&standing=Blocked&after=a").text

    assert "/clusters?text=bb&standing=Blocked" == address(markup, "any-issue")
    assert "/clusters?text=bb&issue=RoleArnMissing" == address(markup, "any")
    assert {"text": ["bb"], "issue": ["RoleArnMissing"], "standing": ["Blocked"]} == parse_qs(
        urlsplit(address(markup, "only-Blocked")).query
    )


def test_pages_lead_forwards_back_and_to_the_first(console: Console, fill: Fill, browser: Browser) -> None:
    names = [f"c{number:03}" for number in range(120)]
    fill(*names, tags={"team": "shop"})

    first = browser.get("/clusters?text=shop").text
    second = browser.get(address(first, "next")).text
    third = browser.get(address(second, "next")).text

    assert [names[:50], names[50:100], names[100:]] == [shown(page) for page in (first, second, third)]
    assert 'id="next"' not in third
    assert 'id="first"' not in first
    assert names[50:100] == shown(browser.get(address(third, "previous")).text)
    assert names[:50] == shown(browser.get(address(second, "previous")).text)
    assert names[:50] == shown(browser.get(address(third, "first")).text)


def test_nothing_is_sent_while_nothing_changed(fill: Fill, browser: Browser) -> None:
    fill("demo", state=State.READY)
    markup = browser.get("/clusters?text=demo").text

    answer = browser.live(poll(markup))

    assert (204, b"") == (answer.status_code, answer.data)


def test_what_changed_is_sent_and_asks_on_with_the_same_filter(
    console: Console, fill: Fill, browser: Browser
) -> None:
    fill("demo", state=State.INSTALLING)
    markup = browser.get("/clusters?text=demo").text
    report(console.hub, "demo", State.READY)

    answer = browser.live(poll(markup))

    assert "Ready" in words(answer.text)
    assert "<html" not in answer.text
    assert 'id="text"' not in answer.text  # what somebody types stays
    assert 'id="said"' not in answer.text  # nobody asked: no voice interrupts
    assert ["demo"] == parse_qs(urlsplit(poll(answer.text)).query)["text"]
    assert 204 == browser.live(poll(answer.text)).status_code


def test_a_sighting_is_a_change(console: Console, fill: Fill, browser: Browser) -> None:
    fill("demo")
    markup = browser.get("/clusters").text
    statuses.seen(console.hub.database, {console.hub.stored("demo").uid: START})

    assert 200 == browser.live(poll(markup)).status_code


def test_typing_swaps_the_list_names_the_address_and_says_the_number(fill: Fill, browser: Browser) -> None:
    fill("aa1", "aa2", "bb1")

    answer = browser.live("/clusters?text=aa&standing=")

    assert ["aa1", "aa2"] == shown(answer.text)
    assert "/clusters?text=aa" == answer.headers["HX-Push-Url"]
    assert '<div id="said" hx-swap-oob="innerHTML">2 clusters</div>' in answer.text


def test_the_first_cluster_and_the_last_bring_the_whole_page(
    console: Console, fill: Fill, browser: Browser
) -> None:
    empty = poll(browser.get("/clusters").text)
    assert 204 == browser.live(empty).status_code
    fill("demo")
    came = browser.live(empty)
    full = poll(browser.get("/clusters").text)
    console.hub.call("DELETE", "/org/acme/mk8s/demo?force=true")
    went = browser.live(full)

    assert ("true", "true") == (came.headers["HX-Refresh"], went.headers["HX-Refresh"])


def test_without_a_cluster_it_says_what_to_do_first(browser: Browser) -> None:
    markup = browser.get("/clusters").text

    assert "No cluster yet" in markup
    assert 1 == markup.count('href="/clusters/-new"')


def test_a_viewer_without_a_cluster_is_told_whom_to_ask(console: Console) -> None:
    answer = console.browser("viewer").get("/clusters")

    assert "/clusters/-new" not in answer.text
    assert "an editor or admin of acme" in words(answer.text)


@pytest.mark.parametrize(("role", "expected"), [("viewer", False), ("editor", True), ("admin", True)])
def test_only_who_may_create_sees_the_button(console: Console, fill: Fill, role: str, expected: bool) -> None:
    fill("demo")

    assert expected == ('href="/clusters/-new"' in console.browser(role).get("/clusters").text)


def test_a_filter_that_finds_nothing_leads_back(fill: Fill, browser: Browser) -> None:
    fill("demo")

    text = browser.text("/clusters?text=zzz&issue=Nothing")

    assert "No cluster is like that" in text
    assert "No cluster yet" not in text


def test_nothing_of_another_organisation_is_shown(console: Console, fill: Fill) -> None:
    fill("demo")

    assert "demo" not in console.browser("stranger").text("/clusters")


def test_what_somebody_typed_is_only_ever_text(fill: Fill, browser: Browser) -> None:
    fill("demo")
    sent = '"><script>alert(1)</script>'

    markup = browser.get("/clusters", query_string={"text": sent, "issue": sent}).text

    assert "<script>alert" not in markup
    assert 'value="&#34;&gt;&lt;script&gt;' in markup
