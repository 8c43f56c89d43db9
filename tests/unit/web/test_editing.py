"""Editing a manifest: mistakes at their lines, the diff, and what happens when somebody else was faster."""

from __future__ import annotations

import re
from typing import Any

import pytest

from schemas.documents import read_yaml
from tests.support.console import Browser, Console, words
from tests.support.hub import manifest

EDIT = "/clusters/demo/edit"
YAML = """\
kind: mk8s
name: demo
spec:
  version: 1.31.0
  provider:
    generic:
      location: here
"""


def text_of(page: str) -> str:
    """What the field holds, as a browser reads it."""
    found = re.search(r'<textarea id="manifest"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    assert found is not None
    return (
        found[1]
        .replace("&#39;", "'")
        .replace("&#34;", '"')
        .replace("&gt;", ">")
        .replace("&lt;", "<")
        .replace("&amp;", "&")
    )


def seen(page: str) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', page)
    assert found is not None
    return found[1].replace("&#34;", '"')


def check(browser: Browser, text: str, name: str = "") -> list[dict[str, Any]]:
    found: Any = browser.send("/clusters/-check", manifest=text, name=name).json
    return list(found)


def test_the_editor_holds_the_manifest_as_it_was_sent(console: Console, browser: Browser) -> None:
    console.hub.put(manifest() | {"settings": {"awsECR": {"delivery": "node"}}})
    document = read_yaml(text_of(browser.get(EDIT).text).encode())
    assert manifest() | {"settings": {"awsECR": {"delivery": "node"}}} == document


def test_a_mistake_has_its_line(browser: Browser) -> None:
    (found,) = check(browser, YAML.replace("location: here", "location: 7"))
    assert (7, "$.spec.provider.generic.location") == (found["line"], found["path"])


def test_what_is_no_yaml_has_its_line(browser: Browser) -> None:
    (found,) = check(browser, "kind: mk8s\nname: [a\nspec: {}\n")
    assert found["line"] in {2, 3}
    assert found["message"].startswith("not valid YAML")


def test_a_key_that_stands_twice_has_its_line(browser: Browser) -> None:
    (found,) = check(browser, YAML + "name: other\n")
    assert (8, "a key stands twice") == (found["line"], found["message"])


@pytest.mark.parametrize("text", ["", "[]", "a", "a: *b", "a: \x01"])
def test_any_text_is_answered(browser: Browser, text: str) -> None:
    assert check(browser, text)


def test_a_new_name_that_is_taken_is_a_mistake(console: Console, browser: Browser) -> None:
    assert [] == check(browser, YAML)
    console.hub.put(manifest())
    (found,) = check(browser, YAML)
    assert (2, "$.name") == (found["line"], found["path"])
    assert "exists already" in found["message"]


def test_the_name_of_a_cluster_cannot_be_changed(console: Console, browser: Browser) -> None:
    console.hub.put(manifest())
    assert [] == check(browser, YAML, "demo")
    (found,) = check(browser, YAML.replace("demo", "other"), "demo")
    assert (2, "$.name") == (found["line"], found["path"])


def test_checking_stores_nothing(console: Console, browser: Browser) -> None:
    check(browser, YAML)
    assert 404 == console.hub.get("/org/acme/mk8s/demo").status_code


def test_a_viewer_checks_nothing(console: Console) -> None:
    assert 403 == console.browser("viewer").send("/clusters/-check", manifest=YAML).status_code


def test_yaml_creates_a_cluster(console: Console, browser: Browser) -> None:
    answer = browser.send("/clusters/-new/yaml", manifest=YAML.replace("\n", "\r\n"))
    assert "/clusters/demo/connect?told=created" == answer.headers["Location"]
    assert "1.31.0" == console.hub.show("demo")["spec"]["version"]


def test_an_editor_who_creates_is_led_to_the_cluster(console: Console) -> None:
    answer = console.browser("editor").send("/clusters/-new/yaml", manifest=YAML)
    assert "/clusters/demo?told=created" == answer.headers["Location"]


def test_yaml_with_a_mistake_comes_back_as_it_was_typed(console: Console, browser: Browser) -> None:
    wrong = YAML.replace("version: 1.31.0", "version: 1.30") + "# mine: <&>\n"
    answer = browser.send("/clusters/-new/yaml", manifest=wrong)
    assert 422 == answer.status_code
    assert wrong == text_of(answer.text)
    assert "Line 4 $.spec.version" in words(answer.text)
    assert "put it in quotes" in words(answer.text)


def test_a_change_is_shown_before_it_is_applied(console: Console, browser: Browser) -> None:
    console.hub.put(manifest())
    text = text_of(browser.get(EDIT).text).replace("1.30.0", "1.31.0")
    page = browser.send(EDIT, manifest=text).text
    assert "removed: version: 1.30.0" in words(page)
    assert "added: version: 1.31.0" in words(page)
    assert "1.30.0" == console.hub.show("demo")["spec"]["version"]
    answer = browser.send("/clusters/demo/apply", manifest=text, seen=seen(page))
    assert "/clusters/demo?told=applied" == answer.headers["Location"]
    assert "1.31.0" == console.hub.show("demo")["spec"]["version"]


def test_no_change_is_said_to_be_none(console: Console, browser: Browser) -> None:
    console.hub.put(manifest())
    page = browser.send(EDIT, manifest=text_of(browser.get(EDIT).text)).text
    assert "nothing would change" in words(page)
    assert 'action="/clusters/demo/apply"' not in page


def test_settings_that_are_taken_out_of_the_text_are_reset(console: Console, browser: Browser) -> None:
    console.hub.put(manifest() | {"settings": {"awsECR": {"delivery": "node"}}})
    text = text_of(browser.get(EDIT).text).split("settings:")[0]
    page = browser.send(EDIT, manifest=text).text
    browser.send("/clusters/demo/apply", manifest=text, seen=seen(page))
    assert {} == console.hub.show("demo")["settings"]


def somebody_else(console: Console) -> None:
    console.hub.call("PATCH", "/org/acme/mk8s/demo", json={"tags": {"theirs": "1"}})


def test_who_was_slower_is_asked_and_loses_nothing(console: Console, browser: Browser) -> None:
    console.hub.put(manifest())
    text = text_of(browser.get(EDIT).text).replace("1.30.0", "1.31.0")
    first = browser.send(EDIT, manifest=text).text
    somebody_else(console)
    answer = browser.send("/clusters/demo/apply", manifest=text, seen=seen(first))
    assert 409 == answer.status_code
    page = words(answer.text)
    for shown in (
        "Someone else changed demo meanwhile",
        "theirs",
        "Apply mine over it",
        "Go on editing mine",
        "Start over",
    ):
        assert shown in page
    assert "1.30.0" == console.hub.show("demo")["spec"]["version"]

    assert text == text_of(browser.send("/clusters/demo/edit/again", manifest=text).text)
    answer = browser.send("/clusters/demo/apply", manifest=text, seen=seen(answer.text))
    assert 303 == answer.status_code
    assert {} == console.hub.show("demo")["tags"]


def test_a_cluster_that_was_removed_meanwhile_leaves_the_text(console: Console, browser: Browser) -> None:
    console.hub.put(manifest())
    page = browser.send(EDIT, manifest=YAML).text
    console.hub.call("DELETE", "/org/acme/mk8s/demo")
    for answer in (
        browser.send("/clusters/demo/apply", manifest=YAML, seen=seen(page)),
        browser.send(EDIT, manifest=YAML),
    ):
        assert 409 == answer.status_code
        assert "removed meanwhile" in words(answer.text)
        assert 'action="/clusters/-new/yaml"' in answer.text
        assert YAML == text_of(answer.text)


def test_the_editor_is_loaded_by_the_pages_that_edit_alone(console: Console, browser: Browser) -> None:
    console.hub.put(manifest())
    loading = [
        path
        for path in ("/clusters/demo", EDIT, "/clusters/-new", "/clusters/-new/yaml")
        if "editor.js" in browser.get(path).text
    ]
    assert [EDIT, "/clusters/-new/yaml"] == loading


def test_the_editors_styles_carry_the_nonce_of_the_policy(browser: Browser) -> None:
    answer = browser.get("/clusters/-new/yaml")
    found = re.search(r'data-nonce="([^"]+)"', answer.text)
    assert found is not None
    assert f"'nonce-{found[1]}'" in answer.headers["Content-Security-Policy"]
