"""One cluster's page, over the real API: what is shown to whom, what switches do, and what a live page is answered."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from schemas.status import State
from tests.support.cluster_pages import PAGE, connected, ecr, report
from tests.support.console import Browser, Console, words
from tests.support.hub import ISSUER, ROLE_ARN, manifest
from tests.support.hub import status as with_issuer


def live_address(page: str) -> str:
    found = re.search(r'hx-get="(/clusters/demo/live[^"]+)" hx-trigger="every (\w+)"', page)
    assert found is not None
    return found[1].replace("&amp;", "&")


def pause(page: str) -> str:
    found = re.search(r'hx-trigger="every (\w+)"', page)
    assert found is not None
    return found[1]


# What stands there


def test_a_cluster_without_a_connection_says_what_to_do_first(console: Console, browser: Browser) -> None:
    console.hub.put(manifest())
    text = browser.text(PAGE)
    assert "Pullpass cannot reach this cluster yet" in text
    assert "Connect demo" in text
    assert "On, once connected" in text


def test_a_ready_cluster_shows_its_steps_url_audience_and_policy(console: Console, browser: Browser) -> None:
    connected(console)
    report(console, ecr(State.READY))
    page = browser.get(PAGE).text
    for shown in (ISSUER, "sts.amazonaws.com", "Verify a pull", "Seen from inside the cluster", ROLE_ARN):
        assert shown in words(page)
    policy = re.search(r'<pre id="trust-policy"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert policy is not None
    api = console.hub.get("/org/acme/mk8s/demo/-addons/awsECR/trustPolicy").json
    assert api == json.loads(words(policy[1]))


@pytest.mark.parametrize(
    ("iam", "shown"),
    [
        (
            {"checked": False, "reason": "not checked: no read access"},
            "IAM itself: not checked: no read access.",
        ),
        (
            {"checked": True, "checkedAt": "2026-11-22T05:35:00Z"},
            "Compared with what IAM holds 5 minutes ago",
        ),
    ],
)
def test_whether_iam_itself_was_read_is_said(
    console: Console, browser: Browser, iam: dict[str, Any], shown: str
) -> None:
    connected(console)
    report(console, ecr(State.READY, iam=iam))
    assert shown in words(browser.get(PAGE).text)


def test_a_look_is_asked_for_and_told_of(console: Console, browser: Browser) -> None:
    connected(console)
    report(console, ecr(State.FAILED, "TrustPolicyMismatch"))
    before = console.hub.stored("demo").generation
    answer = browser.send(f"{PAGE}/look")
    assert f"{PAGE}?told=looking" == answer.headers["Location"]
    assert before + 1 == console.hub.stored("demo").generation
    assert "Looking now." in browser.text(answer.headers["Location"])


def test_with_scripts_a_look_is_answered_by_the_live_part_alone(console: Console, browser: Browser) -> None:
    connected(console)
    report(console, ecr(State.FAILED, "TrustPolicyMismatch"))
    answer = browser.client.post(
        f"{PAGE}/look", data={"form_key": browser.form_key}, headers={"HX-Request": "true"}
    )
    assert answer.text.lstrip().startswith('<div id="live"')
    assert "Checking…" in answer.text


def test_after_a_look_an_issue_that_stays_says_when_it_was_looked_at(
    console: Console, browser: Browser
) -> None:
    connected(console)
    report(console, ecr(State.FAILED, "TrustPolicyMismatch"))
    browser.send(f"{PAGE}/look")
    assert "Looked at now" not in browser.text(PAGE)
    report(console, ecr(State.FAILED, "TrustPolicyMismatch"))
    assert "Looked at now" in browser.text(PAGE)


def test_a_change_that_no_controller_takes_up_is_said_on_a_page_that_is_open(
    console: Console, browser: Browser
) -> None:
    connected(console)
    page = browser.get(PAGE).text
    assert "No controller" not in page
    assert 204 == browser.live(live_address(page)).status_code
    console.hub.clock.pass_seconds(31)
    later = browser.live(live_address(page))
    assert "No controller has taken the last change up yet" in words(later.text)
    assert 204 == browser.live(live_address(later.text)).status_code


def test_a_change_that_was_taken_up_is_not_said_to_wait_however_old_it_is(
    console: Console, browser: Browser
) -> None:
    connected(console)
    report(console, ecr(State.BLOCKED, "RoleArnMissing"))
    console.hub.clock.pass_seconds(3600)
    assert "No controller" not in browser.text(PAGE)


def test_each_issue_that_is_mended_elsewhere_offers_to_check_now(console: Console, browser: Browser) -> None:
    connected(console)
    report(console, ecr(State.FAILED, "TrustPolicyMismatch"))
    page = browser.get(PAGE).text
    assert 'id="look-issue-TrustPolicyMismatch"' in page
    assert 'id="look-aws"' in page


@pytest.mark.parametrize("code", ["RoleArnMissing", "IssuerNotUsable"])
def test_what_is_mended_on_the_page_itself_does_not_offer_it(
    console: Console, browser: Browser, code: str
) -> None:
    connected(console)
    report(console, ecr(State.BLOCKED, code))
    assert f"look-issue-{code}" not in browser.get(PAGE).text


def test_nothing_is_looked_at_by_a_viewer(console: Console) -> None:
    connected(console)
    report(console, ecr(State.FAILED, "TrustPolicyMismatch"))
    viewer = console.browser("viewer")
    assert "/look" not in viewer.get(PAGE).text
    assert 403 == viewer.send(f"{PAGE}/look").status_code


def test_a_look_at_what_is_not_connected_is_refused_on_the_page(console: Console, browser: Browser) -> None:
    console.hub.put(manifest())
    answer = browser.send(f"{PAGE}/look")
    assert (422, True) == (answer.status_code, "is not connected" in words(answer.text))


def test_what_aws_refuses_so_far_is_said_and_until_when_it_is_asked_again(
    console: Console, browser: Browser
) -> None:
    connected(console)
    refused = {"code": "TrustPolicyMismatch", "message": "Not authorized", "until": "2026-11-22T05:40:50Z"}
    found = ecr(State.INSTALLING, refusedSoFar=refused)
    unproven = replace(found.conditions[-1], status="Unknown")
    report(console, replace(found, conditions=(*found.conditions[:-1], unproven)))
    text = browser.text(PAGE)
    assert "AWS refuses so far: Not authorized." in text
    assert "for the last time in" in text
    assert "Refused so far: Not authorized" in text


def test_the_policy_is_downloaded_as_the_api_gives_it(console: Console, browser: Browser) -> None:
    connected(console)
    report(console, ecr(State.READY))
    answer = browser.get(f"{PAGE}/trust-policy")
    assert 'attachment; filename="demo-trust-policy.json"' == answer.headers["Content-Disposition"]
    assert console.hub.get("/org/acme/mk8s/demo/-addons/awsECR/trustPolicy").json == answer.json


def test_clusters_that_share_a_role_are_told_of_and_each_statement_can_be_had_alone(
    console: Console, browser: Browser
) -> None:
    connected(console)
    report(console, ecr(State.READY))
    console.hub.put(manifest("other"))
    console.hub.report("other", with_issuer("https://oidc.example.com/other"))
    page = browser.get(PAGE).text
    assert "a statement for each of the 2 clusters" in words(page)
    assert 'id="statement"' in page
    alone = browser.get(f"{PAGE}/trust-policy?cluster=only").json
    assert alone is not None
    assert 1 == len(alone["Statement"])


def test_the_permissions_are_shown_once_the_api_knows_them(console: Console, browser: Browser) -> None:
    connected(console)
    policy = {"Version": "2012-10-17", "Statement": []}
    assert "Permissions policy" not in browser.text(PAGE)
    report(console, ecr(State.READY, permissionsPolicy=policy))
    assert "Permissions policy" in browser.text(PAGE)
    assert policy == browser.get(f"{PAGE}/permissions-policy").json


def test_nodes_that_pull_by_their_own_role_are_let_by_one_command(console: Console, browser: Browser) -> None:
    provider = {
        "region": "eu-central-1",
        "deployRoleArn": "arn:aws:iam::123456789012:role/deploy",
        "vpcId": "vpc-1",
        "image": {"recommended": "amazon/al2023"},
        "nodePools": [],
    }
    connected(console, provider={"aws": provider}, addOns={"awsWorkloadIdentity": {}, "awsECR": {}})
    report(console, ecr(State.INSTALLING))
    assert "pullpass aws attach-node-role demo --org acme" in browser.text(PAGE)


def test_there_are_no_permissions_to_download_before(console: Console, browser: Browser) -> None:
    connected(console)
    assert 404 == browser.get(f"{PAGE}/permissions-policy").status_code


def test_nodes_and_namespaces_are_listed_with_their_reasons(console: Console, browser: Browser) -> None:
    connected(console)
    nodes = {
        "desired": 2, "ready": 1, "existing": 0, "rolledBack": 1,
        "notReady": [{"name": "n1", "state": "rolledBack", "reason": "KubeletNotHealthy", "message": "it did not start"}],
    }  # fmt: skip
    namespaces = {
        "selected": 3, "ready": 2,
        "errors": [{"namespace": "shop", "code": "SecretNotOurs", "message": "somebody made it"}],
    }  # fmt: skip
    counts: dict[str, Any] = {
        "customResources": {"total": 4, "ready": 3},
        "labelledSecrets": {"total": 7, "filled": 6},
    }
    webhook = {"served": False, "reason": "its certificate is being made"}
    report(
        console,
        ecr(State.DEGRADED, nodes=nodes, namespaces=namespaces, webhook=webhook, delivery="mixed", **counts),
    )
    text = browser.text(PAGE)
    for shown in (
        "1 of 2 get credentials themselves", "1 rolled back", "n1 rolledBack KubeletNotHealthy it did not start",
        "2 of 3 namespaces", "shop SecretNotOurs somebody made it", "3 of 4 ready", "6 of 7 filled", "Does not serve",
        "its certificate is being made",
    ):  # fmt: skip
        assert shown in text


def test_what_a_cluster_says_is_never_markup(console: Console, browser: Browser) -> None:
    connected(console)
    report(console, ecr(State.FAILED, "StsRefused", message="<script>alert(1)</script>", remedy="<b>x</b>"))
    page = browser.get(PAGE).text
    assert "<script>alert" not in page
    assert "<b>x</b>" not in page


# Switching


def test_switching_on_takes_the_role_and_what_it_needs(console: Console, browser: Browser) -> None:
    connected(console, addOns={})
    answer = browser.send(f"{PAGE}/add-ons/awsECR", roleArn=f" {ROLE_ARN} ")
    assert f"{PAGE}?told=on" == answer.headers["Location"]
    assert {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE_ARN}} == console.hub.show("demo")["spec"][
        "addOns"
    ]


def test_switching_on_without_a_role_is_allowed(console: Console, browser: Browser) -> None:
    connected(console, addOns={})
    browser.send(f"{PAGE}/add-ons/awsECR", roleArn="")
    assert {} == console.hub.show("demo")["spec"]["addOns"]["awsECR"]


def test_a_role_that_is_none_is_refused_in_the_apis_words_and_kept_in_its_field(
    console: Console, browser: Browser
) -> None:
    connected(console, addOns={})
    answer = browser.send(f"{PAGE}/add-ons/awsECR", roleArn="pull")
    assert 422 == answer.status_code
    assert "expected the ARN of an IAM role" in words(answer.text)
    assert 'value="pull"' in answer.text
    assert {} == console.hub.show("demo")["spec"]["addOns"]


def test_switching_off_asks_first_and_says_what_happens(console: Console, browser: Browser) -> None:
    connected(console)
    nodes = {"desired": 5, "ready": 3, "existing": 1, "restarting": 0}
    report(
        console,
        ecr(State.READY, nodes=nodes, namespaces={"selected": 9, "ready": 9, "errors": []}, delivery="mixed"),
    )
    text = browser.text(f"{PAGE}/add-ons/awsECR/off")
    for shown in ("Pods that run go on running", "ImagePullBackOff", "in 9 namespaces", "2 nodes give back"):
        assert shown in text
    browser.send(f"{PAGE}/add-ons/awsECR", to="off")
    assert {"awsWorkloadIdentity": {}} == console.hub.show("demo")["spec"]["addOns"]


def test_nodes_that_nobody_changed_are_not_spoken_of(console: Console, browser: Browser) -> None:
    connected(console)
    report(
        console,
        ecr(State.READY, nodes={"desired": 2, "ready": 0}, delivery="pullSecret", namespaces={"selected": 1}),
    )
    assert "give back" not in browser.text(f"{PAGE}/add-ons/awsECR/off")


def test_what_another_add_on_needs_is_not_switched_off(console: Console, browser: Browser) -> None:
    connected(console)
    page = browser.get(f"{PAGE}/add-ons/awsWorkloadIdentity/off").text
    assert "Switch awsECR off first" in words(page)
    assert 'value="off"' not in page


# As it happens


def test_a_page_that_shows_all_there_is_gets_nothing(console: Console, browser: Browser) -> None:
    connected(console)
    report(console, ecr(State.READY))
    assert 204 == browser.live(live_address(browser.get(PAGE).text)).status_code


def test_a_change_is_sent_and_said_to_who_cannot_see_it(console: Console, browser: Browser) -> None:
    connected(console)
    report(console, ecr(State.INSTALLING))
    address = live_address(browser.get(PAGE).text)
    report(console, ecr(State.READY))
    answer = browser.live(address)
    assert 200 == answer.status_code
    assert 'id="said" hx-swap-oob="innerHTML">demo is Ready. awsECR is Ready' in answer.text
    assert 204 == browser.live(live_address(answer.text)).status_code


@pytest.mark.parametrize(
    ("state", "expected"),
    [(State.INSTALLING, "500ms"), (State.READY, "4s"), (State.BLOCKED, "4s"), (State.FAILED, "4s")],
)
def test_a_page_looks_again_soon_while_something_is_under_way(
    console: Console, browser: Browser, state: State, expected: str
) -> None:
    connected(console)
    report(console, ecr(state))
    assert expected == pause(browser.get(PAGE).text)


def test_a_page_looks_again_soon_until_the_last_change_was_seen(console: Console, browser: Browser) -> None:
    connected(console)
    report(console, ecr(State.READY))
    browser.send(f"{PAGE}/mend", remedy="use-pull-secrets")
    page = browser.get(PAGE).text
    assert "500ms" == pause(page)
    assert "applying the last change" in words(page)


def test_nothing_is_under_way_without_a_connection(console: Console, browser: Browser) -> None:
    console.hub.put(manifest())
    assert "4s" == pause(browser.get(PAGE).text)


def test_a_removal_says_what_stays_and_ends_before_ones_eyes(console: Console, browser: Browser) -> None:
    connected(console)
    page = browser.get(PAGE).text
    browser.send(f"{PAGE}/remove", name="demo")
    text = browser.text(PAGE)
    assert "kubectl delete namespace pullpass-system" in text
    assert "Remove demo" not in text
    browser.send(f"{PAGE}/remove", name="demo", force="true")
    answer = browser.live(live_address(page))
    assert "demo is gone" in words(answer.text)
    assert "hx-get" not in answer.text


# Who may what


@pytest.mark.parametrize("role", ["viewer", "editor", "admin"])
def test_nobody_sees_a_form_that_is_refused(console: Console, role: str) -> None:
    """Every form and link of a cluster's pages leads where this role may go."""
    connected(console)
    report(console, ecr(State.BLOCKED, "IssuerNotUsable", "RoleArnMissing", "ClusterUnreachable"))
    browser = console.browser(role)
    page = browser.get(PAGE).text
    for link in set(re.findall(r'(?:href|hx-get)="(/clusters[^"]*)"', page)):
        assert browser.get(link.replace("&amp;", "&")).status_code in {200, 204}, link
    forms = set(re.findall(r'<form method="(get|post)" action="(/clusters[^"]*)"', page))
    assert bool(forms) is (role != "viewer")
    for method, action in forms:
        answer = browser.get(action) if method == "get" else browser.send(action, remedy="none", roleArn="x")
        assert answer.status_code != 403, action


@pytest.mark.parametrize(
    "path", ["add-ons/awsECR", "mend", "remove", "edit", "apply", "edit/again", "connect"]
)
def test_a_viewer_changes_nothing(console: Console, path: str) -> None:
    connected(console)
    assert 403 == console.browser("viewer").send(f"{PAGE}/{path}").status_code


def test_another_organisations_cluster_is_not_there(console: Console) -> None:
    connected(console)
    assert 404 == console.browser("stranger").get(PAGE).status_code
