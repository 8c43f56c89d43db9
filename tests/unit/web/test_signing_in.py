"""Signing in with a token or a link, the cookie, where one is led afterwards, and what a forged request meets."""

from __future__ import annotations

from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from fleet import sessions, tokens
from tests.support.console import Console, words
from tests.support.hub import START


def link(console: Console, token: str) -> str:
    owner = tokens.authenticate(console.hub.database, token, now=START)
    assert owner is not None
    return f"/sign-in?code={sessions.make_link(console.hub.database, owner, now=console.hub.clock.now())}"


def sign_in(console: Console, *, base_url: str = "http://localhost", **fields: str) -> TestResponse:
    return console.app.test_client().post(
        "/sign-in", data={"token": console.hub.admin, **fields}, base_url=base_url
    )


def test_a_token_signs_in(console: Console) -> None:
    assert "Clusters" in console.browser("viewer").text("/clusters")


@pytest.mark.parametrize(
    ("token", "said"), [("pp_wrong", "No token of this hub reads like that"), ("  ", "Paste a token first.")]
)
def test_a_wrong_token_is_told_and_not_repeated(console: Console, token: str, said: str) -> None:
    answer = sign_in(console, token=token)
    assert 422 == answer.status_code
    assert said in words(answer.text)
    assert "pp_wrong" not in answer.text


def test_a_link_shows_whom_it_signs_in_and_works_once(console: Console) -> None:
    address = link(console, console.hub.editor)
    code = address.partition("=")[2]
    browser = console.browser(None)
    assert "organisation acme as editor , editor." in browser.text(address)
    assert 303 == browser.client.post("/sign-in", data={"code": code}).status_code
    assert "Clusters" in browser.text("/clusters")
    again = console.browser(None)
    assert "This link was used already, or has expired." in again.text(address)
    assert 422 == again.client.post("/sign-in", data={"code": code}).status_code


def test_a_link_expires(console: Console) -> None:
    address = link(console, console.hub.admin)
    console.hub.clock.pass_seconds(sessions.LINK_LIFE.total_seconds())
    assert "has expired" in console.browser(None).text(address)


def test_looking_at_a_link_does_not_use_it_up(console: Console) -> None:
    address = link(console, console.hub.admin)
    console.browser(None).text(address)
    assert "This link signs you in" in console.browser(None).text(address)


@pytest.mark.parametrize(
    ("base_url", "secure"),
    [
        ("http://localhost", False),
        ("http://127.0.0.1:8080", False),
        ("http://[::1]:8080", False),
        ("https://pullpass.example.com", True),
        ("http://10.0.0.1:8080", True),
    ],
)
def test_the_cookie_is_read_by_no_script_and_sent_by_no_other_site(
    console: Console, base_url: str, secure: bool
) -> None:
    flags = {
        flag.strip() for flag in sign_in(console, base_url=base_url).headers["Set-Cookie"].split(";")[1:]
    }
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= flags
    assert secure == ("Secure" in flags)


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example.com/",
        "//evil.example.com/clusters",
        "/\\evil.example.com",
        "/\t/evil.example.com",
        "\\\\evil.example.com",
        "javascript:alert(1)",
        "http:evil.example.com",
        "evil.example.com",
        "/clusters\r\nX: 1",
        "",
    ],
)
def test_nobody_is_led_elsewhere_after_signing_in(console: Console, target: str) -> None:
    assert "/clusters" == sign_in(console, to=target).headers["Location"]


def test_one_is_led_where_one_wanted_to_go(console: Console) -> None:
    asked = console.browser(None).get("/clusters?standing=Ready")
    assert "/sign-in?to=%2Fclusters%3Fstanding%3DReady" == asked.headers["Location"]
    assert "/clusters?standing=Ready" == sign_in(console, to="/clusters?standing=Ready").headers["Location"]


def test_a_part_of_a_page_sends_the_whole_page_to_sign_in(console: Console) -> None:
    answer = console.browser(None).live("/clusters")
    assert (401, "/sign-in") == (answer.status_code, answer.headers["HX-Redirect"])


def test_who_comes_from_a_part_of_a_page_is_led_back_to_the_page(console: Console) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/clusters?standing=Ready"}
    answer = console.browser(None).get("/clusters/demo/live", headers=headers)
    assert "/sign-in?to=%2Fclusters%3Fstanding%3DReady" == answer.headers["HX-Redirect"]


def test_signing_out_ends_the_session_and_takes_the_cookie_back(console: Console) -> None:
    browser = console.browser()
    stolen = browser.client.get_cookie("pullpass-session")
    assert stolen is not None
    answer = browser.send("/sign-out")
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    thief = console.app.test_client()
    thief.set_cookie("pullpass-session", stolen.value)
    assert 303 == thief.get("/clusters").status_code


def test_a_session_ends_with_its_token(console: Console) -> None:
    browser = console.browser("editor")
    owner = tokens.authenticate(console.hub.database, console.hub.editor, now=START)
    assert owner is not None
    tokens.revoke(console.hub.database, owner.token_id)
    assert 303 == browser.get("/clusters").status_code


def test_a_session_ends_by_itself(console: Console) -> None:
    browser = console.browser()
    console.hub.clock.pass_seconds((sessions.LIFE - timedelta(seconds=1)).total_seconds())
    assert 200 == browser.get("/clusters").status_code
    console.hub.clock.pass_seconds(1)
    assert 303 == browser.get("/clusters").status_code


def test_the_list_names_browsers_and_never_their_cookies(console: Console) -> None:
    mine, other = console.browser(), console.browser()
    page = mine.get("/sessions").text
    assert 2 == page.count("/end")
    assert 1 == page.count("this one")
    for browser in (mine, other):
        cookie = browser.client.get_cookie("pullpass-session")
        assert cookie is not None
        assert cookie.value not in page


def test_one_session_ends_another_of_the_same_token_only(console: Console) -> None:
    other = console.browser()
    owner = tokens.authenticate(console.hub.database, console.hub.admin, now=START)
    assert owner is not None
    (found,) = sessions.page(console.hub.database, owner, now=START)
    console.browser("viewer").send(f"/sessions/{found.id}/end")
    assert 200 == other.get("/clusters").status_code
    console.browser().send(f"/sessions/{found.id}/end")
    assert 303 == other.get("/clusters").status_code


FORGED = [
    {"data": {}},
    {"data": {"form_key": ""}},
    {"data": {"form_key": "0" * 64}},
    {"headers": {"Origin": "https://evil.example.com"}},
    {"headers": {"Origin": "null"}},
    {"headers": {"Sec-Fetch-Site": "cross-site"}},
    {"headers": {"Sec-Fetch-Site": "same-site"}},
]


@pytest.mark.parametrize("forged", FORGED, ids=str)
@pytest.mark.parametrize("path", ["/sign-out", "/clusters/demo/remove"])
def test_a_forged_form_changes_nothing(
    console: Console, path: str, forged: dict[str, dict[str, str]]
) -> None:
    browser = console.browser()
    good = {"form_key": browser.form_key}
    answer = browser.client.post(path, **{"data": good, **forged})
    assert 403 == answer.status_code
    assert "Nothing was changed." in words(answer.text)
    assert 200 == browser.get("/clusters").status_code


def test_the_form_key_of_another_session_is_refused(console: Console) -> None:
    browser, other = console.browser(), console.browser()
    assert 403 == browser.send("/sign-out", form_key=other.form_key).status_code


def test_nobody_is_signed_in_from_another_site(console: Console) -> None:
    answer = console.app.test_client().post(
        "/sign-in", data={"token": console.hub.admin}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert (403, None) == (answer.status_code, answer.headers.get("Set-Cookie"))


def test_a_form_from_here_is_believed(console: Console) -> None:
    browser = console.browser()
    answer = browser.client.post(
        "/sign-out",
        data={"form_key": browser.form_key},
        headers={"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
    )
    assert "/sign-in" == answer.headers["Location"]


def test_a_role_that_is_too_small_is_told_which_is_needed(console: Console) -> None:
    answer = console.browser("viewer").get("/clusters/-new")
    assert 403 == answer.status_code
    assert "This needs the role editor; yours is viewer." in words(answer.text)
