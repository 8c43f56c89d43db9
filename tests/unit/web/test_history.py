"""Events and audit log of a cluster, page by page."""

from __future__ import annotations

import re

import pytest

from fleet.events import NewEvent
from schemas.status import ClusterStatus
from tests.support.console import Browser, Console, words
from tests.support.hub import manifest


@pytest.fixture
def busy(console: Console) -> Console:
    console.hub.put(manifest())
    found = [NewEvent("Normal", "Looked", f"look {number:03}") for number in range(119)]
    console.hub.report(
        "demo", ClusterStatus(), *found, NewEvent("Warning", "Odd", "is <odd>", {"remedy": "mend it"})
    )
    return console


def older(page: str) -> str | None:
    found = re.search(r'href="([^"]+)" rel="next"', page)
    return found[1].replace("&amp;", "&") if found else None


@pytest.mark.usefixtures("busy")
def test_events_come_in_pages_newest_first_and_each_once(browser: Browser) -> None:
    seen: list[str] = []
    address: str | None = "/clusters/demo/events"
    while address is not None:
        page = browser.get(address).text
        seen += re.findall(r"look (\d+)", page)
        address = older(page)
    assert [f"{number:03}" for number in reversed(range(119))] == seen


@pytest.mark.usefixtures("busy")
def test_a_warning_says_so_and_has_its_remedy(browser: Browser) -> None:
    page = browser.get("/clusters/demo/events").text
    assert "Odd (warning) is <odd> Remedy mend it" in words(page)
    assert "<odd>" not in page


@pytest.mark.usefixtures("busy")
def test_the_audit_log_says_who_did_what(browser: Browser) -> None:
    text = browser.text("/clusters/demo/audit")
    assert "admin (" in text
    assert "create" in text


def test_the_audit_log_stays_when_the_cluster_is_gone(busy: Console, browser: Browser) -> None:
    busy.hub.call("DELETE", "/org/acme/mk8s/demo")
    assert "delete" in browser.text("/clusters/demo/audit")
    assert 404 == browser.get("/clusters/demo/events").status_code


@pytest.mark.parametrize("path", ["events", "audit"])
def test_an_address_that_was_made_up_is_refused(busy: Console, path: str) -> None:
    assert 400 == busy.browser().get(f"/clusters/demo/{path}?after=x").status_code


@pytest.mark.usefixtures("busy")
def test_a_viewer_reads_both(console: Console) -> None:
    viewer = console.browser("viewer")
    assert [200, 200] == [viewer.get(f"/clusters/demo/{path}").status_code for path in ("events", "audit")]
