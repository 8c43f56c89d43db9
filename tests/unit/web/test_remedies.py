"""Remedies as forms beside their issues: each does over the API what the issue's command would."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from fleet import issuers
from schemas.issues import KINDS
from schemas.status import State
from tests.support.cluster_pages import PAGE, condition, connected, ecr, report
from tests.support.console import Browser, Console, words
from tests.support.hub import ROLE_ARN
from web import aws_side, remedies


def test_an_unusable_issuer_is_mended_by_a_button(console: Console, browser: Browser) -> None:
    connected(console)
    report(console, ecr(State.BLOCKED, "IssuerNotUsable"))
    assert "Let the hub publish the issuer" in browser.text(PAGE)
    answer = browser.send(f"{PAGE}/mend", remedy="publish-issuer")
    assert f"{PAGE}?told=mended" == answer.headers["Location"]
    assert {"issuer": "published"} == console.hub.show("demo")["settings"]["awsWorkloadIdentity"]


def test_a_missing_role_is_entered_beside_its_issue(console: Console, browser: Browser) -> None:
    connected(console, addOns={"awsWorkloadIdentity": {}, "awsECR": {}})
    unverified = replace(ecr(State.BLOCKED, "RoleArnMissing"), conditions=(condition("IssuerUsable"),))
    report(console, unverified)
    text = browser.text(PAGE)
    assert "It prints the role's ARN: enter that here." in text
    assert "aws iam create-role" in text
    browser.send(f"{PAGE}/mend", remedy="set-role", roleArn=ROLE_ARN)
    assert ROLE_ARN == console.hub.show("demo")["spec"]["addOns"]["awsECR"]["roleArn"]


def test_a_role_that_is_none_is_refused_there_too(console: Console, browser: Browser) -> None:
    connected(console)
    report(console, ecr(State.READY))
    answer = browser.send(f"{PAGE}/mend", remedy="set-role", roleArn="pull")
    assert 422 == answer.status_code
    assert "expected the ARN of an IAM role" in words(answer.text)


_REGISTRIES = [
    "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
    "210987654321.dkr.ecr.us-east-1.amazonaws.com",
]


@pytest.mark.parametrize(
    ("code", "form", "expected"),
    [
        (
            "RegistriesUnknown",
            {"remedy": "set-registries", "registries": ", ".join(_REGISTRIES)},
            {"registries": _REGISTRIES},
        ),
        ("NodeUnsupported", {"remedy": "use-pull-secrets"}, {"delivery": "pullSecret"}),
        ("NodeWaiting", {"remedy": "restart-device-nodes"}, {"node": {"restartDeviceNodes": True}}),
        ("KubernetesTooOldForServiceAccounts", {"remedy": "share-identity"}, {"identity": "shared"}),
    ],
)
def test_settings_are_mended_by_a_form(
    console: Console, browser: Browser, code: str, form: dict[str, str], expected: dict[str, Any]
) -> None:
    connected(console)
    report(console, ecr(State.DEGRADED, code))
    assert f'value="{form["remedy"]}"' in browser.get(PAGE).text
    browser.send(f"{PAGE}/mend", **form)
    assert expected == console.hub.show("demo")["settings"]["awsECR"]


def test_flags_are_copied_one_to_a_line(console: Console, browser: Browser) -> None:
    connected(console)
    flags = "--service-account-issuer=https://a --service-account-issuer=https://b"
    remedy = f"Give the API server these flags, in this order, and restart it: {flags}"
    report(console, ecr(State.BLOCKED, "IssuerNotSwitched", remedy=remedy))
    found = re.search(r'<pre id="flags"[^>]*>(.*?)</pre>', browser.get(PAGE).text, re.DOTALL)
    assert found is not None
    assert flags.replace(" ", "\n") == found[1]


def changed_keys(console: Console) -> str:
    """Keys of the cluster that wait for an admin, by their fingerprint."""
    connected(console)
    uid = console.hub.stored("demo").uid
    issuers.reserve(console.hub.database, uid)
    issuers.observe(console.hub.database, uid, {"keys": [{"kid": "old"}]})
    found = issuers.observe(console.hub.database, uid, {"keys": [{"kid": "new"}]})
    assert found.pending_keys is not None
    report(console, ecr(State.DEGRADED, "IssuerKeysChanged"))
    return issuers.fingerprint(found.pending_keys)


def test_an_admin_accepts_the_keys_that_are_shown(console: Console, browser: Browser) -> None:
    fingerprint = changed_keys(console)
    assert fingerprint in browser.text(PAGE)
    answer = browser.send(f"{PAGE}/mend", remedy="accept-keys", fingerprint=fingerprint)
    assert 303 == answer.status_code
    issuer = console.hub.get("/org/acme/mk8s/demo/-issuer").json
    assert issuer is not None
    assert issuer["pendingKeys"] is None


def test_keys_that_nobody_saw_are_not_accepted(console: Console, browser: Browser) -> None:
    changed_keys(console)
    assert 422 == browser.send(f"{PAGE}/mend", remedy="accept-keys", fingerprint="another").status_code


def test_an_editor_is_told_that_keys_need_an_admin(console: Console) -> None:
    fingerprint = changed_keys(console)
    editor = console.browser("editor")
    page = editor.get(PAGE).text
    assert "This needs the role admin; yours is editor." in words(page)
    assert 'value="accept-keys"' not in page
    assert 403 == editor.send(f"{PAGE}/mend", remedy="accept-keys", fingerprint=fingerprint).status_code


def test_a_remedy_that_is_none_changes_nothing(console: Console, browser: Browser) -> None:
    connected(console)
    assert PAGE == browser.send(f"{PAGE}/mend", remedy="else").headers["Location"]


def test_every_code_that_a_page_knows_is_one_of_the_tables() -> None:
    assert {*remedies.BY_CODE, *remedies.BY_CONNECTING, *aws_side.ISSUES} <= KINDS.keys()
