"""What people come to the console for, each from beginning to end, in a real browser at both widths."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.world import ConsoleWorld, both, role_arn

WIDTHS = pytest.mark.parametrize("width", [1600, 360])


@WIDTHS
def test_a_newcomer_signs_in_by_the_link_and_enables_awsecr(
    world: ConsoleWorld, new_window: Open, width: int
) -> None:
    name = f"first-{width}"
    world.add_cluster(name, provider="hetzner")
    link = world.link if width == 1600 else world.new_link()
    window = new_window(token=None, width=width)
    page = window.page
    window.go(link)
    window.shows("This link signs you in to organisation acme")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_label("Role ARN").fill(role_arn(name))
    page.get_by_role("button", name="Enable awsECR").click()
    window.shows("Switched on")
    window.state("awsECR", "Ready")
    expect(page.get_by_role("list").filter(has_text="The role trusts this cluster")).not_to_contain_text(
        "not checked yet"
    )
    policy = world.call("GET", f"/{name}/-addons/awsECR/trustPolicy")
    assert policy == json.loads(window.copied("the trust policy"))
    assert world.call("GET", f"/{name}")["status"]["oidcProviderUrl"] == window.copied(
        "the OIDC provider URL"
    )
    second = new_window(token=None, width=width)
    second.go(link)
    second.shows("This link was used already")


@pytest.mark.parametrize(("width", "scripts"), [(1600, True), (360, True), (1600, False)])
def test_an_add_on_is_switched_off_and_on_again(
    world: ConsoleWorld, new_window: Open, width: int, scripts: bool
) -> None:
    name = f"switched-{width}-{'scripts' if scripts else 'plain'}"
    world.add_cluster(name, add_ons=both(name))
    window = new_window(width=width, scripts=scripts)
    page = window.page
    window.go(f"/clusters/{name}")
    window.state("awsECR", "Ready")
    page.get_by_role("switch", name="awsECR").click()
    window.shows("Pods that run go on running")
    page.get_by_role("link", name="Keep it on").click()
    page.get_by_role("switch", name="awsECR").click()
    page.get_by_role("button", name="Switch off awsECR").click()
    window.shows("Switched off. Pullpass takes back what it installed.")
    window.state("awsECR", "Off")
    assert "awsECR" not in world.call("GET", f"/{name}")["spec"]["addOns"]
    page.get_by_label("Role ARN").fill(role_arn(name))
    page.get_by_role("button", name="Enable awsECR").click()
    window.state("awsECR", "Ready")


@WIDTHS
def test_a_cluster_is_created_from_yaml_with_a_mistake_that_is_mended(
    world: ConsoleWorld, new_window: Open, width: int
) -> None:
    name = f"written-{width}"
    text = f"kind: mk8s\nname: {name}\nspec:\n  version: 1.34.4\n  provider:\n    generic: {{}}\n"
    window = new_window(width=width)
    page = window.page
    window.go("/clusters/-new/yaml")
    window.write_manifest(f"{text}  addOns:\n    awsECR:\n      roleARN: {role_arn(name)}\n")
    expect(page.locator(".cm-lint-marker-error")).not_to_have_count(0)
    page.get_by_role("button", name="Create the cluster").click()
    window.shows("Nothing was changed")
    window.shows("$.spec.addOns.awsECR.roleARN")
    mended = f"{text}  addOns:\n    awsWorkloadIdentity: {{}}\n    awsECR:\n      roleArn: {role_arn(name)}\n"
    window.write_manifest(mended.replace("generic: {}", "generic:\n      location: aws-eu-central-1"))
    expect(page.locator(".cm-lint-marker-error")).to_have_count(0)
    page.get_by_role("textbox", name="Manifest as YAML").press("ControlOrMeta+Enter")
    window.shows("The cluster was created. Connect it")
    assert both(name) == world.call("GET", f"/{name}")["spec"]["addOns"]


@WIDTHS
@pytest.mark.parametrize("choice", ["Apply mine over it", "Go on editing mine", "Start over from theirs"])
def test_a_conflict_shows_both_and_lets_choose(
    world: ConsoleWorld, new_window: Open, width: int, choice: str
) -> None:
    name = f"edited-{width}-{choice.split(maxsplit=1)[0].lower()}"
    world.call("POST", "", {"kind": "mk8s", "name": name, "spec": _SPEC})
    window = new_window(width=width)
    page = window.page
    window.go(f"/clusters/{name}/edit")
    editor = page.get_by_role("textbox", name="Manifest as YAML")
    editor.press("ControlOrMeta+Home")
    page.keyboard.type("description: mine\n")
    page.get_by_role("button", name="Review the change").click()
    expect(page.locator(".diff-added")).to_have_text(re.compile("description: mine"))
    world.call("PATCH", f"/{name}", {"description": "theirs"})
    page.get_by_role("button", name="Apply", exact=True).click()
    window.shows(f"Someone else changed {name} meanwhile")
    expect(page.locator(".diff-removed")).to_have_text(re.compile("description: theirs"))
    page.get_by_role("button", name=choice).or_(page.get_by_role("link", name=choice)).click()
    if choice == "Start over from theirs":
        expect(editor).to_contain_text("description: theirs")
        assert "theirs" == world.call("GET", f"/{name}")["description"]
        return
    if choice == "Go on editing mine":
        expect(editor).to_contain_text("description: mine")
        page.get_by_role("button", name="Review the change").click()
        page.get_by_role("button", name="Apply", exact=True).click()
    window.shows("The manifest was applied.")
    assert "mine" == world.call("GET", f"/{name}")["description"]


def test_a_failure_is_read_and_its_remedy_followed_until_ready(world: ConsoleWorld, new_window: Open) -> None:
    """Both widths at once: most of it is waiting until the hub has looked again."""
    windows = {f"private-{width}": new_window(width=width) for width in (1600, 360)}
    for name, window in windows.items():
        world.add_cluster(name, private=True, add_ons=both(name), provider="hetzner")
        window.go(f"/clusters/{name}")
    for window in windows.values():
        window.shows("Issuer not usable")
        window.page.get_by_role("button", name="Let the hub publish the issuer").click()
    for name, window in windows.items():
        window.shows("Issuer not switched")
        issue = window.page.locator("section.notice", has_text="IssuerNotSwitched")
        world.restart_api_server(name, issue.inner_text())
    for window in windows.values():
        with window.page.expect_download() as download:
            window.page.get_by_role("link", name=re.compile("^Download")).first.click()
        policy = json.loads(download.value.path().read_text())
        world.run_aws(window.page.locator("#command-provider").inner_text())
        world.run_aws(window.page.locator("#command-trust").inner_text(), policy=policy)
    for window in windows.values():
        window.state("awsECR", "Ready")
        expect(window.page.locator("section.notice")).to_have_count(0)


@pytest.mark.parametrize(("width", "scripts"), [(1600, True), (360, True), (1600, False)])
def test_what_somebody_mended_is_looked_at_when_they_say_so(
    world: ConsoleWorld, new_window: Open, width: int, scripts: bool
) -> None:
    name = f"mended-{width}-{'with' if scripts else 'without'}"
    cluster = world.add_cluster(name, provider="hetzner", add_ons=both(name))
    window = new_window(width=width, scripts=scripts)
    page = window.page
    window.go(f"/clusters/{name}")
    window.state("awsECR", "Ready")
    cluster.take_down()
    page.get_by_role("button", name="Check now", exact=True).click()
    window.shows("Cluster unreachable")
    cluster.bring_up()
    page.get_by_role("button", name="I have done this: check now").first.click()
    window.state("awsECR", "Ready")
    window.shows("Look requested")
    expect(page.locator("section.notice")).to_have_count(0)


def test_a_look_leaves_the_page_where_it_is_and_the_focus_on_its_button(
    world: ConsoleWorld, new_window: Open
) -> None:
    world.add_cluster("mended-in-aws", provider="hetzner", add_ons=both("mended-in-aws"), prepared=False)
    window = new_window(width=360)
    page = window.page
    window.go("/clusters/mended-in-aws")
    window.shows("AWS refuses so far: InvalidIdentityToken")
    button = page.locator("#look-aws")
    button.focus()
    button.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    with page.expect_response("**/look"):
        page.keyboard.press("Enter")
    expect(button).to_be_focused()
    assert before == page.evaluate("scrollY")
    world.run_aws(page.locator("#command-provider").inner_text())
    world.run_aws(
        page.locator("#command-trust").inner_text(),
        policy=world.call("GET", "/mended-in-aws/-addons/awsECR/trustPolicy"),
    )
    window.state("awsECR", "Ready")
    expect(page.locator("#look-aws")).to_have_count(0)


def test_a_live_page_says_when_its_hub_is_away_and_goes_on_when_it_is_back(
    world: ConsoleWorld, new_window: Open
) -> None:
    world.add_cluster("watched", provider="hetzner")
    window = new_window(width=360)
    for path in ("/clusters", "/clusters/watched", "/fleet"):
        window.go(path)
        window.context.set_offline(True)
        expect(window.page.get_by_role("alert")).to_contain_text("The hub does not answer.")
        assert [] == window.complaints_of_axe()
        assert 0 == window.overflow()
        window.context.set_offline(False)
        expect(window.page.get_by_role("alert")).to_be_hidden()
    assert [] == [each for each in window.complaints if "htmx:" not in each and "DISCONNECTED" not in each]
    window.complaints.clear()


def test_a_text_that_nobody_checks_is_not_called_good(new_window: Open) -> None:
    window = new_window()
    window.go("/clusters/-new/yaml")
    window.shows("No mistakes")
    window.context.set_offline(True)
    window.page.get_by_role("textbox", name="Manifest as YAML").press("ControlOrMeta+End")
    window.page.keyboard.type("more: 1\n")
    window.shows("Not checked: the hub gave no answer")
    window.context.set_offline(False)
    window.page.keyboard.type("# and more\n")
    expect(window.page.locator(".cm-lint-marker-error")).not_to_have_count(0)
    assert [] == [each for each in window.complaints if "DISCONNECTED" not in each]
    window.complaints.clear()


def test_the_sessions_are_reached_from_every_page_at_every_width(new_window: Open) -> None:
    window = new_window(width=360)
    window.page.get_by_role("link", name="acme · bootstrap (admin)").click()
    window.shows("this one")


_SPEC = {"version": "1.34.4", "provider": {"generic": {"location": "aws-eu-central-1"}}}


@WIDTHS
def test_the_aws_side_comes_in_tabs_that_keyboards_and_screen_readers_know(
    world: ConsoleWorld, new_window: Open, width: int
) -> None:
    name = f"tabbed-{width}"
    world.add_cluster(name, provider="hetzner", add_ons=both(name))
    window = new_window(width=width)
    page = window.page
    window.go(f"/clusters/{name}")
    window.state("awsECR", "Ready")
    page.get_by_role("tab", name="AWS CLI", selected=True).focus()
    for key in ("End", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    panel = page.get_by_role("tabpanel", name="Terraform")
    expect(panel).to_contain_text("aws_iam_openid_connect_provider")
    expect(page.get_by_role("tab", name="Terraform", selected=True)).to_be_focused()
    assert ["setup-terraform"] == page.locator("[role=tab][tabindex='0']").evaluate_all(
        "all => all.map(tab => tab.id)"
    )


def test_without_scripts_a_tab_is_a_link(world: ConsoleWorld, new_window: Open) -> None:
    world.add_cluster("linked", provider="hetzner", add_ons=both("linked"))
    window = new_window(scripts=False)
    window.go("/clusters/linked")
    window.state("awsECR", "Ready")
    window.page.get_by_role("link", name="CloudFormation").click()
    expect(window.page.get_by_label("For CloudFormation", exact=True)).to_contain_text(
        "AWSTemplateFormatVersion"
    )
