"""The AWS side for each tool: tabs on the cluster's page, which are links first."""

from __future__ import annotations

import html
import re

import pytest

from addon_api.app import ApiSettings
from fleet.database import Database
from schemas.status import State
from tests.support.cluster_pages import PAGE, connected, ecr, report
from tests.support.console import Browser, Console, make_console
from tests.support.hub import manifest
from web.aws_setup import VARIANTS

API = "/org/acme/mk8s/demo/-addons/awsECR/setup"
KEYS = [variant.key for variant in VARIANTS]


def ready(console: Console) -> None:
    connected(console)
    report(console, ecr(State.READY))


def shown(page: str) -> str:
    found = re.search(r'<pre id="setup-text"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found is not None
    return html.unescape(found[1])


def chosen(page: str) -> list[str]:
    return re.findall(r'<a id="setup-(\w+)"[^>]* aria-current="true"', page)


def by_api(console: Console, form: str) -> str:
    return console.hub.get(f"{API}?format={form}").text


@pytest.mark.parametrize("key", KEYS)
def test_a_tab_is_a_link_to_the_page_with_that_text(console: Console, browser: Browser, key: str) -> None:
    ready(console)
    page = browser.get(f"{PAGE}?setup={key}").text
    assert ([key], by_api(console, key)) == (chosen(page), shown(page))
    assert KEYS == re.findall(rf'href="{PAGE}\?setup=(\w+)#setup"', page)


@pytest.mark.parametrize("query", ["", "?setup=pulumi"])
def test_without_a_choice_it_is_the_first(console: Console, browser: Browser, query: str) -> None:
    ready(console)
    assert ["cli"] == chosen(browser.get(PAGE + query).text)


@pytest.mark.parametrize("key", KEYS)
def test_scripts_ask_for_the_tabs_alone(console: Console, browser: Browser, key: str) -> None:
    ready(console)
    part = browser.live(f"{PAGE}/aws-setup?setup={key}").text
    assert part.startswith('<div class="setup')
    assert ([key], by_api(console, key)) == (chosen(part), shown(part))


@pytest.mark.parametrize("key", KEYS)
def test_each_is_downloaded_as_the_api_gives_it(console: Console, key: str) -> None:
    ready(console)
    answer = console.browser("viewer").get(f"{PAGE}/aws-setup/{key}")
    api = console.hub.get(f"{API}?format={key}")
    assert api.headers["Content-Disposition"] == answer.headers["Content-Disposition"]
    assert api.text == answer.text


def test_there_is_no_such_file(console: Console, browser: Browser) -> None:
    ready(console)
    assert 404 == browser.get(f"{PAGE}/aws-setup/pulumi").status_code


def test_the_choice_stays_while_the_page_lives(console: Console, browser: Browser) -> None:
    ready(console)
    one = re.search(r'<div id="(setup-[0-9a-f]{12})" hx-preserve', browser.get(PAGE).text)
    other = re.search(r'<div id="(setup-[0-9a-f]{12})" hx-preserve', browser.live(f"{PAGE}/live").text)
    assert one is not None
    assert other is not None
    assert one[1] == other[1]


def test_before_the_issuer_is_known_there_are_no_tabs(console: Console, browser: Browser) -> None:
    console.hub.put(manifest())
    assert "data-tabs" not in browser.get(PAGE).text


def test_where_nothing_can_be_printed_the_api_says_why(database: Database) -> None:
    console = make_console(database, ApiSettings(trust_policy_quota=200))
    ready(console)
    assert "over IAM's quota of 200" in html.unescape(console.browser().get(PAGE).text)
