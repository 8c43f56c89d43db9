"""Connecting: the command, the checks of a kubeconfig, and that nothing of it is ever shown again."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
import yaml

from fleet import connections, external_ids
from tests.support.console import Browser, Console, words
from tests.support.hub import CONNECTION, manifest
from web.api import Mistake
from web.connecting import checks

CONNECT = "/clusters/demo/connect"
SECRET = "s3cret-token-of-the-cluster"


def kubeconfig(
    cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, context: str = "c"
) -> str:
    document = {
        "current-context": context,
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": cluster or {"server": "https://demo.example.com"}}],
        "users": [{"name": "u", "user": user or {"token": SECRET}}],
    }
    return yaml.safe_dump(document)


@pytest.fixture
def here(console: Console) -> Console:
    console.hub.put(manifest())
    return console


def verdicts(page: str) -> list[str]:
    """What was said of each check, in order."""
    marks = {"Passed": "passed", "Failed": "failed", "Not looked at": "not reached"}
    found = page.split('class="checks"', 1)[1].split("</ul>", 1)[0]
    return [marks[part.split('"', 1)[0]] for part in found.split('aria-label="')[1:]]


@pytest.mark.usefixtures("here")
def test_the_command_is_whole(browser: Browser) -> None:
    text = browser.text(CONNECT)
    assert "export PULLPASS_ENDPOINT=http://localhost PULLPASS_TOKEN=…" in text
    assert "pullpass connect demo --org acme --context CONTEXT" in text
    assert "pullpass connect demo --org acme --context CONTEXT --print" in text


AWS = {
    "aws": {
        "region": "eu-central-1",
        "deployRoleArn": "arn:aws:iam::210987654321:role/deploy",
        "vpcId": "vpc-1",
        "image": {"recommended": "amazon/al2023"},
    }
}


def test_an_eks_cluster_may_be_entered_by_a_role(console: Console, browser: Browser) -> None:
    console.hub.put(manifest(provider=AWS))
    text = browser.text(CONNECT)
    assert "pullpass connect demo --org acme --eks CLUSTER" in text
    assert external_ids.of_organisation(console.hub.database, "acme") in text
    assert "sts:ExternalId" in text


@pytest.mark.usefixtures("here")
def test_other_clusters_are_not_shown_the_way_by_eks(browser: Browser) -> None:
    assert "--eks" not in browser.text(CONNECT)


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_who_may_not_connect_sees_what_an_admin_has_to_do(here: Console, role: str) -> None:
    browser = here.browser(role)
    page = browser.get(CONNECT).text
    assert "An admin of this organisation has to do it" in words(page)
    assert "pullpass connect demo" in words(page)
    assert 'action="/clusters/demo/connect"' not in page
    assert 403 == browser.send(CONNECT, kubeconfig=kubeconfig()).status_code


def test_a_pasted_kubeconfig_connects(here: Console, browser: Browser) -> None:
    answer = browser.send(CONNECT, kubeconfig=kubeconfig())
    assert "/clusters/demo?told=connected" == answer.headers["Location"]
    stored = connections.read(here.hub.database, here.hub.stored("demo").uid)
    assert stored is not None
    assert (SECRET, "https://demo.example.com") == (stored.token, stored.server)


def test_a_file_connects(here: Console, browser: Browser) -> None:
    answer = browser.send(CONNECT, file=(io.BytesIO(kubeconfig().encode()), "config"), kubeconfig="")
    assert 303 == answer.status_code
    assert here.hub.show("demo")["status"]["connected"]


@pytest.mark.usefixtures("here")
def test_nothing_is_said_to_be_nothing(browser: Browser) -> None:
    answer = browser.send(CONNECT, kubeconfig=" ")
    assert (422, True) == (answer.status_code, "Paste a kubeconfig, or choose a file" in words(answer.text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"a: [{SECRET}", ["failed", *["not reached"] * 4]),
        (kubeconfig(context="other"), ["passed", "failed", *["not reached"] * 3]),
        (
            kubeconfig(user={"exec": {"command": "aws"}, "token": SECRET}),
            ["passed", "passed", "not reached", "not reached", "failed"],
        ),
        (
            kubeconfig(cluster={"server": "https://a.b", "insecure-skip-tls-verify": True}),
            ["passed", "passed", "not reached", "failed", "not reached"],
        ),
        (
            kubeconfig(cluster={"server": "http://169.254.169.254"}),
            ["passed", "passed", "failed", "not reached", "not reached"],
        ),
        (
            kubeconfig(cluster={"server": "https://a.b", "proxy-url": "ftp://a.b"}),
            ["passed", "passed", "failed", "not reached", "not reached"],
        ),
        (
            kubeconfig(user={"token": "two words"}),
            ["passed", "passed", "not reached", "not reached", "failed"],
        ),
        (
            kubeconfig(user={"client-certificate-data": base64.b64encode(b"none").decode()}),
            ["passed", "passed", "not reached", "not reached", "failed"],
        ),
    ],
)
def test_each_check_tells_whether_it_passed(
    here: Console, browser: Browser, text: str, expected: list[str]
) -> None:
    answer = browser.send(CONNECT, kubeconfig=text)
    assert 422 == answer.status_code
    assert expected == verdicts(answer.text)
    assert SECRET not in answer.text
    assert not here.hub.show("demo")["status"]["connected"]


def test_what_is_about_something_else_is_told_all_the_same() -> None:
    found = checks((Mistake("$.settings.proxy", "is wrong", ""),))
    assert ("What came with it", "failed") == (found[-1].title, str(found[-1].verdict))


def test_no_page_shows_a_credential(here: Console, browser: Browser) -> None:
    browser.send(CONNECT, kubeconfig=kubeconfig())
    for path in ("", "/connect", "/edit", "/events", "/audit", "/remove", "/live"):
        assert SECRET not in browser.get(f"/clusters/demo{path}").text


def test_the_page_leads_on_once_somebody_has_run_the_command(here: Console, browser: Browser) -> None:
    address = f"{CONNECT}/waiting"
    assert f'hx-get="{address}"' in browser.get(CONNECT).text
    assert "HX-Redirect" not in browser.live(address).headers
    here.hub.call("PUT", "/org/acme/mk8s/demo/-connection", json=CONNECTION)
    assert "/clusters/demo?told=connected" == browser.live(address).headers["HX-Redirect"]
    assert address not in browser.get(CONNECT).text
