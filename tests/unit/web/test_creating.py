"""Creating a cluster by the form: what it sends, what it says of mistakes, and what it keeps."""

from __future__ import annotations

import re
from typing import Any

import pytest

from schemas.documents import read_yaml
from tests.support.console import Browser, Console, words
from tests.support.hub import ROLE_ARN, manifest

NEW = "/clusters/-new"
GENERIC = {"name": "demo", "version": "1.34.4", "provider": "generic", "generic.location": "here"}
AWS = {
    "name": "demo", "version": "1.34.4", "provider": "aws", "aws.region": "eu-central-1", "aws.vpcId": "vpc-1",
    "aws.deployRoleArn": "arn:aws:iam::123456789012:role/deploy", "aws.image.recommended": "amazon/al2023",
}  # fmt: skip
HETZNER = {
    "name": "demo", "version": "1.34.4", "provider": "hetzner", "hetzner.region": "fsn1", "hetzner.networkId": "7",
    "hetzner.image": "ubuntu-24.04", "hetzner.tokenSecretLink": "//secret/hetzner",
}  # fmt: skip


def test_the_form_begins_with_both_add_ons_on(browser: Browser) -> None:
    page = browser.get(NEW).text
    assert ["awsECR", "awsWorkloadIdentity"] == re.findall(r'name="(\w+)" value="on" checked', page)


@pytest.mark.parametrize("form", [GENERIC, AWS, HETZNER])
def test_each_provider_of_the_form_creates(console: Console, browser: Browser, form: dict[str, str]) -> None:
    answer = browser.send(NEW, **form, awsECR="on", awsWorkloadIdentity="on", roleArn=ROLE_ARN)
    assert "/clusters/demo/connect?told=created" == answer.headers["Location"], words(answer.text)
    spec = console.hub.show("demo")["spec"]
    assert [form["provider"]] == list(spec["provider"])
    assert {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE_ARN}} == spec["addOns"]


def test_an_editor_is_led_to_the_cluster_since_an_admin_connects(console: Console) -> None:
    assert "/clusters/demo?told=created" == console.browser("editor").send(NEW, **GENERIC).headers["Location"]


def test_registries_are_settings(console: Console, browser: Browser) -> None:
    host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    browser.send(NEW, **GENERIC, awsECR="on", registries=f"{host}, {host.replace('1', '2')}")
    assert 2 == len(console.hub.show("demo")["settings"]["awsECR"]["registries"])


def test_add_ons_that_are_off_are_not_sent(console: Console, browser: Browser) -> None:
    browser.send(NEW, **GENERIC, roleArn=ROLE_ARN)
    assert "addOns" not in console.hub.show("demo")["spec"]


def test_mistakes_stand_at_their_fields_and_nothing_typed_is_lost(console: Console, browser: Browser) -> None:
    form = GENERIC | {"name": "No", "description": "a <b>", "roleArn": "pull"}
    answer = browser.send(NEW, **form, awsECR="on")
    assert 422 == answer.status_code
    page = answer.text
    invalid = re.findall(r'<input type="text" id="([\w.]+)"[^>]*aria-invalid="true"', page)
    assert ["name", "roleArn"] == invalid
    for kept in ('value="No"', 'value="a &lt;b&gt;"', 'value="pull"', 'value="here"'):
        assert kept in page
    assert ["awsECR"] == re.findall(r'name="(\w+)" value="on" checked', page)
    assert 404 == console.hub.get("/org/acme/mk8s/No").status_code


def test_a_mistake_that_has_no_field_is_told_above(browser: Browser) -> None:
    text = words(browser.send(NEW, **AWS | {"aws.image.recommended": ""}).text)
    assert "$.spec.provider.aws.image" in text


def test_a_name_that_is_taken_is_told_at_the_name(console: Console, browser: Browser) -> None:
    console.hub.put(manifest())
    answer = browser.send(NEW, **GENERIC)
    assert 422 == answer.status_code
    assert "exists already: choose another name" in words(answer.text)


def test_choosing_another_provider_keeps_what_was_typed_for_all(console: Console, browser: Browser) -> None:
    """Without scripts the button does it; with them htmx sends the same."""
    page = browser.send(NEW, **HETZNER | {"provider": "aws"}, choose="1").text
    assert 'id="aws.region"' in page
    assert '<input type="hidden" name="hetzner.networkId" value="7">' in page
    back = browser.send(NEW, **HETZNER, choose="1").text
    assert 'id="hetzner.networkId" name="hetzner.networkId" value="7"' in back
    assert 404 == console.hub.get("/org/acme/mk8s/demo").status_code


def test_enter_creates_and_does_not_press_another_button(browser: Browser) -> None:
    """A browser presses the first button of a form."""
    form = browser.get(NEW).text.split('id="new"', 1)[1]
    found = re.search(r"<button[^>]*>", form)
    assert found is not None
    assert "name=" not in found[0]


def test_the_form_goes_on_in_yaml_with_what_was_typed(console: Console, browser: Browser) -> None:
    answer = browser.send(NEW, **HETZNER, description="mine", awsECR="on", roleArn=ROLE_ARN, yaml="1")
    found = re.search(r'<textarea id="manifest"[^>]*>(.*?)</textarea>', answer.text, re.DOTALL)
    assert found is not None
    document: Any = read_yaml(found[1].replace("&#39;", "'").encode())
    assert ("demo", "mine", "7") == (
        document["name"], document["description"], document["spec"]["provider"]["hetzner"]["networkId"],
    )  # fmt: skip
    assert 'action="/clusters/-new/yaml"' in answer.text
    assert 404 == console.hub.get("/org/acme/mk8s/demo").status_code


def test_providers_without_a_form_are_named(browser: Browser) -> None:
    text = browser.text(NEW)
    for name in ("azure", "digitalocean", "gcp", "linode"):
        assert name in text


def test_a_viewer_creates_nothing(console: Console) -> None:
    viewer = console.browser("viewer")
    assert [403, 403] == [viewer.get(NEW).status_code, viewer.send(NEW, **GENERIC).status_code]
