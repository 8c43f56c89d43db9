"""Files that pages need: kept by browsers for ever, compressed, and nothing from elsewhere."""

from __future__ import annotations

import gzip
import re

import pytest

from tests.support.console import Browser, Console
from web.assets import Assets

FIRST_VISIT_BYTES = 150_000


def addresses(page: str) -> list[str]:
    return sorted({match.partition("#")[0] for match in re.findall(r'"(/static/[^"]+)"', page)})


def transferred(browser: Browser, path: str) -> tuple[str, int]:
    """The text of an answer, and how many bytes it took with its headers."""
    answer = browser.get(path, headers={"Accept-Encoding": "gzip"})
    body = answer.get_data()
    head = sum(len(name) + len(value) + 4 for name, value in answer.headers.items())
    text = gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" else body
    return text.decode(), head + len(body)


def test_a_file_is_kept_for_ever_under_a_name_of_its_content(browser: Browser) -> None:
    for address in addresses(browser.get("/clusters").text):
        answer = browser.get(address)
        assert 200 == answer.status_code
        assert "public, max-age=31536000, immutable" == answer.headers["Cache-Control"]
        assert "nosniff" == answer.headers["X-Content-Type-Options"]


def test_a_file_needs_no_sign_in(console: Console) -> None:
    stranger = console.browser(None)
    assert 200 == stranger.get(addresses(stranger.get("/sign-in").text)[0]).status_code


@pytest.mark.parametrize(
    "path",
    [
        "/static/000000000000/console.css",
        "/static/000000000000/..%2Fapp.py",
        "/static/../app.py",
        "/static/app.py",
    ],
)
def test_nothing_else_is_served(browser: Browser, path: str) -> None:
    assert 404 == browser.get(path).status_code


def test_a_file_is_the_same_compressed(browser: Browser) -> None:
    address = Assets().url("console.css")
    plain, packed = browser.get(address), browser.get(address, headers={"Accept-Encoding": "br, gzip"})
    assert ["Accept-Encoding", "gzip"] == [plain.headers["Vary"], packed.headers["Content-Encoding"]]
    assert plain.get_data() == gzip.decompress(packed.get_data())
    assert len(packed.get_data()) < len(plain.get_data())


def test_a_first_visit_takes_little(console: Console) -> None:
    """Sign-in and the list, with every file they name; the editor comes with the pages that edit."""
    browser = console.browser(None)
    sign_in, size = transferred(browser, "/sign-in")
    browser.sign_in(console.hub.admin)
    clusters, more = transferred(browser, "/clusters")
    files = {address: transferred(browser, address)[1] for address in addresses(sign_in + clusters)}
    assert not [address for address in files if "editor" in address]
    assert size + more + sum(files.values()) < FIRST_VISIT_BYTES


def test_no_page_names_another_host_or_brings_a_script_of_its_own(console: Console) -> None:
    browser = console.browser()
    console.hub.put(
        {
            "kind": "mk8s",
            "name": "demo",
            "spec": {"version": "1.34.4", "provider": {"generic": {"location": "aws-eu-central-1"}}},
        }
    )
    paths = (
        "/sign-in?code=x",
        "/clusters",
        "/fleet",
        "/clusters/demo",
        "/clusters/demo/edit",
        "/clusters/-new",
    )
    for path in paths:
        page = browser.get(path).text
        assert [] == re.findall(r'(?:src|href|action|hx-get)="(?:https?:)?//', page)
        assert [] == re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|hx-on|javascript:", page)
