"""Removing a cluster: asked for with its name, told truly, and what remains."""

from __future__ import annotations

import pytest

from tests.support.console import Browser, Console, words
from tests.support.hub import CONNECTION, manifest, status

REMOVE = "/clusters/demo/remove"
PUBLISHED = {"settings": {"awsWorkloadIdentity": {"issuer": "published"}}}


def connected(console: Console, **members: object) -> None:
    console.hub.put(manifest() | members)
    console.hub.call("PUT", "/org/acme/mk8s/demo/-connection", json=CONNECTION)


def test_another_name_removes_nothing(console: Console, browser: Browser) -> None:
    connected(console)
    answer = browser.send(REMOVE, name="other")
    assert (422, True) == (answer.status_code, "nothing was removed" in words(answer.text))
    assert "removal" not in console.hub.show("demo")["status"]


def test_the_name_starts_the_removal(console: Console, browser: Browser) -> None:
    connected(console)
    assert "/clusters/demo" == browser.send(REMOVE, name=" demo ").headers["Location"]
    assert "removal" in console.hub.show("demo")["status"]


def test_a_cluster_that_was_never_connected_is_gone_at_once(console: Console, browser: Browser) -> None:
    console.hub.put(manifest())
    assert "It is only forgotten" in browser.text(REMOVE)
    assert "/clusters" == browser.send(REMOVE, name="demo").headers["Location"]
    assert 404 == console.hub.get("/org/acme/mk8s/demo").status_code


def test_forgetting_lists_what_remains_with_commands(console: Console, browser: Browser) -> None:
    connected(console)
    console.hub.report("demo", status())
    text = words(browser.send(REMOVE, name="demo", force="true").text)
    assert "demo was forgotten" in text
    assert "kubectl delete namespace pullpass-system" in text
    assert "aws iam delete-open-id-connect-provider" in text
    assert 404 == console.hub.get("/org/acme/mk8s/demo").status_code


@pytest.mark.parametrize(("members", "told"), [(PUBLISHED, True), ({}, False)])
def test_the_end_of_a_published_issuer_is_told(
    console: Console, browser: Browser, members: dict[str, object], told: bool
) -> None:
    connected(console, **members)
    assert told is ("AWS believes no token of it" in browser.text(REMOVE))


def test_an_editor_may(console: Console) -> None:
    console.hub.put(manifest())
    assert 303 == console.browser("editor").send(REMOVE, name="demo").status_code
