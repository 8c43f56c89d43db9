"""What every answer of the console has: its headers, its size, and one way out for whatever goes wrong."""

from __future__ import annotations

import gzip
import re
from types import ModuleType

import pytest
from werkzeug.test import TestResponse

from fleet.errors import DatabaseUnavailable
from fleet.records import Role
from tests.support.console import Browser, Console, words
from tests.support.hub import CONNECTION, manifest
from web import app, clusters
from web.app import SEGMENTS
from web.routing import Page


def all_pages() -> list[Page]:
    modules = [module for module in vars(app).values() if isinstance(module, ModuleType)]
    return [page for module in modules for page in getattr(module, "PAGES", ())]


def policy(answer: TestResponse) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in answer.headers["Content-Security-Policy"].split(";"))
    return {name: value for name, _, value in parts}


@pytest.mark.parametrize("path", ["/clusters", "/clusters/nobody", "/sessions"])
def test_pages_are_kept_by_nobody_and_framed_by_nobody(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert ["no-store", "nosniff", "same-origin", "same-origin"] == [
        answer.headers[name]
        for name in (
            "Cache-Control",
            "X-Content-Type-Options",
            "Referrer-Policy",
            "Cross-Origin-Opener-Policy",
        )
    ]
    rules = policy(answer)
    assert ["'none'", "'self'", "'none'", "'none'", "'self'"] == [
        rules[name] for name in ("default-src", "script-src", "frame-ancestors", "base-uri", "form-action")
    ]
    assert not re.search(r"unsafe|\*|https?:|data:", answer.headers["Content-Security-Policy"])


def test_a_nonce_is_never_used_twice(browser: Browser) -> None:
    first, second = (policy(browser.get("/clusters"))["style-src"] for _ in range(2))
    assert first != second


def test_a_page_is_compressed_for_who_can_read_that(console: Console) -> None:
    browser = console.browser()
    plain = browser.get("/clusters")
    packed = browser.get("/clusters", headers={"Accept-Encoding": "gzip"})
    assert [None, "gzip"] == [answer.headers.get("Content-Encoding") for answer in (plain, packed)]
    assert "<h1>Clusters</h1>" in gzip.decompress(packed.get_data()).decode()
    assert "Accept-Encoding" == packed.headers["Vary"]


def test_every_page_but_signing_in_and_files_asks_who_it_is(console: Console) -> None:
    stranger = console.app.test_client()
    for page in all_pages():
        path = re.sub(r"<[^>]+>", "demo", page.path)
        answer = stranger.open(path, method=page.method)
        expected = {200, 404, 422} if page.role is None else {303}
        assert answer.status_code in expected, path
    assert {"/static/<digest>/<name>", "/sign-in"} == {page.path for page in all_pages() if page.role is None}


def test_every_page_is_the_consoles_by_its_first_segment() -> None:
    assert SEGMENTS == {page.path.lstrip("/").split("/", 1)[0] for page in all_pages()}


def test_what_changes_something_is_never_a_link() -> None:
    changing = {"switch", "mend", "create", "apply", "remove", "upload", "end_session", "sign_out", "sign_in"}
    found = {page.method for page in all_pages() if page.view.__name__ in changing}
    assert {"POST"} == found


def test_a_viewer_is_refused_every_form_that_changes_something(console: Console) -> None:
    console.hub.put(manifest())
    browser = console.browser("viewer")
    for page in all_pages():
        if page.method == "POST" and page.role is not None and page.role > Role.VIEWER:
            assert 403 == browser.send(re.sub(r"<[^>]+>", "demo", page.path)).status_code, page.path


def test_what_goes_wrong_is_logged_and_never_shown(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = console.browser()
    monkeypatch.setattr(clusters, "_scene", lambda: {"section": "clusters"})  # names that the template misses
    answer = browser.get("/clusters")
    assert 500 == answer.status_code
    assert "Something went wrong here" in words(answer.text)
    assert not re.search(r"undefined|Traceback|jinja", answer.text, re.IGNORECASE)


def test_a_database_that_does_not_answer_is_told(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise DatabaseUnavailable("postgresql://user:secret@db")

    browser = console.browser()
    monkeypatch.setattr(clusters, "_scene", fail)
    answer = browser.get("/clusters")
    assert 503 == answer.status_code
    assert "The database does not answer" in words(answer.text)
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/clusters/nobody", 404), ("GET", "/fleet/nothing", 404), ("GET", "/clusters/", 404)],
)
def test_what_is_not_there_is_a_page_too(browser: Browser, method: str, path: str, status: int) -> None:
    answer = browser.client.open(path, method=method)
    assert (status, "text/html") == (answer.status_code, answer.mimetype)
    assert "Nothing" in words(answer.text)


def test_a_form_that_is_too_large_is_refused(console: Console) -> None:
    browser = console.browser()
    answer = browser.send("/clusters/demo/connect", kubeconfig="x" * 1_100_000)
    assert 413 == answer.status_code
    assert "A form may hold 1 MiB at most." in words(answer.text)


def test_another_organisations_clusters_are_not_there(console: Console) -> None:
    console.hub.put(manifest())
    stranger = console.browser("stranger")
    assert 404 == stranger.get("/clusters/demo").status_code
    assert "demo" not in stranger.text("/clusters")


def test_a_connection_is_never_shown(console: Console) -> None:
    console.hub.put(manifest())
    console.hub.call("PUT", "/org/acme/mk8s/demo/-connection", json=CONNECTION)
    browser = console.browser()
    for page in all_pages():
        if page.method == "GET":
            answer = browser.get(page.path.replace("<name>", "demo").replace("<add_on>", "awsECR"))
            assert CONNECTION["token"] not in answer.text, page.path
