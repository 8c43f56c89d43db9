"""Every page in every state it can be in: nothing for axe to find, nothing wider than the window, no secret in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
import urllib3
from playwright.sync_api import Browser, expect

from fleet.records import Role
from tests.browser.conftest import Open
from tests.browser.watched import Window, open_window
from tests.browser.world import ACCOUNT, ADMIN, ConsoleWorld, both

Scene = Callable[[Window], None]
_SPEC = {"version": "1.34.4", "provider": {"generic": {"location": "aws-eu-central-1"}}}
_TEXT = f"kind: mk8s\nname: shown\nspec: {json.dumps(_SPEC)}\n"


def _page(path: str, words: str) -> Scene:
    def reach(window: Window) -> None:
        window.go(path)
        window.shows(words)

    return reach


def _sign_in_with_a_mistake(window: Window) -> None:
    window.context.clear_cookies()
    window.go("/sign-in")
    window.page.get_by_label("Token").fill("pp_wrong")
    window.page.get_by_role("button", name="Sign in").click()
    window.shows("No token of this hub reads like that")


def _sign_in_by_a_link(window: Window) -> None:
    window.context.clear_cookies()
    window.go(window.world.new_link())
    window.shows("This link signs you in")


def _create_with_a_mistake(window: Window) -> None:
    window.go("/clusters/-new")
    window.page.get_by_label("Name").first.fill("Not A Name")
    window.page.get_by_role("button", name="Create").first.click()
    window.shows("Nothing was")


def _edit_with_a_mistake(window: Window) -> None:
    window.go("/clusters/-new/yaml")
    window.write_manifest("kind: mk8s\nname: shown\nspec: {versin: 1}\n")
    window.page.get_by_role("button", name="Create the cluster").click()
    window.shows("Nothing was changed")
    expect(window.page.locator(".cm-lint-marker-error")).not_to_have_count(0)


def _completing(window: Window) -> None:
    window.go("/clusters/-new/yaml")
    window.write_manifest("kind: mk8s\nname: shown\nspec:\n  ")
    window.page.keyboard.press("Control+Space")
    expect(window.page.get_by_role("listbox")).to_be_visible()


def _review(window: Window) -> None:
    window.go("/clusters/shown/edit")
    window.write_manifest(_TEXT + "description: reviewed\n")
    window.page.get_by_role("button", name="Review the change").click()
    window.shows("What changes")


def _conflict(window: Window) -> None:
    _review(window)
    window.world.call("PATCH", "/shown", {"description": "somebody else's"})
    window.page.get_by_role("button", name="Apply", exact=True).click()
    window.shows("Someone else changed shown meanwhile")
    window.world.call("PATCH", "/shown", {"description": "shown"})


def _connect_refused(window: Window) -> None:
    window.go("/clusters/shown/connect")
    window.page.get_by_label("Or its text").fill("kind: Config\nusers: [{name: a, user: {exec: {}}}]\n")
    window.page.get_by_role("button", name="Check and connect").click()
    window.shows("refused")


def _remove_with_a_mistake(window: Window) -> None:
    window.go("/clusters/shown/remove")
    window.page.get_by_role("button", name="Remove shown").click()
    window.shows("This is not its name")


def _role_with_a_mistake(window: Window) -> None:
    window.go("/clusters/unarmed")
    window.page.get_by_label("Role ARN").fill("no ARN")
    window.page.get_by_role("button", name="Enable awsECR").click()
    window.shows("Nothing was changed")


SCENES: dict[str, Scene] = {
    "list": _page("/clusters", "pulling"),
    "list narrowed": _page("/clusters?standing=Ready", "pulling"),
    "list narrowed to nothing": _page("/clusters?text=nobody", "No cluster is like that"),
    "fleet": _page("/fleet", "One square is one cluster"),
    "sessions": _page("/sessions", "this one"),
    "create": _page("/clusters/-new", "awsECR"),
    "create with a mistake": _create_with_a_mistake,
    "create from YAML": _page("/clusters/-new/yaml", "Create a cluster from YAML"),
    "create from YAML with a mistake": _edit_with_a_mistake,
    "completing": _completing,
    "cluster ready": _page("/clusters/pulling", "Ready"),
    "cluster switched on": _page("/clusters/pulling?told=on", "Switched on"),
    "cluster off": _page("/clusters/unarmed", "Enable awsECR"),
    "cluster off with a mistake": _role_with_a_mistake,
    "cluster blocked": _page("/clusters/blocked", "Issuer not usable"),
    "cluster unreachable": _page("/clusters/absent", "Cluster unreachable"),
    "cluster unconnected": _page("/clusters/shown", "cannot reach this cluster yet"),
    "cluster that AWS does not know": _page("/clusters/unknown", "What AWS needs"),
    "events": _page("/clusters/pulling/events", "Created"),
    "audit": _page("/clusters/pulling/audit", "bootstrap"),
    "switching off": _page("/clusters/pulling/add-ons/awsECR/off", "Pods that run go on running"),
    "switching off what is needed": _page(
        "/clusters/pulling/add-ons/awsWorkloadIdentity/off", "awsECR needs awsWorkloadIdentity"
    ),
    "edit": _page("/clusters/pulling/edit", "What you change is shown"),
    "review": _review,
    "conflict": _conflict,
    "connect": _page("/clusters/shown/connect", "Connect shown"),
    "connect refused": _connect_refused,
    "remove": _page("/clusters/pulling/remove", "Remove pulling?"),
    "remove with a mistake": _remove_with_a_mistake,
    "nothing here": _page("/clusters/nobody", "Nothing is here"),
    "sign in with a mistake": _sign_in_with_a_mistake,
    "sign in by a link": _sign_in_by_a_link,
}


@pytest.fixture(scope="module")
def states(world: ConsoleWorld) -> ConsoleWorld:
    """Clusters in each state that lasts."""
    world.add_cluster("pulling", add_ons=both("pulling"), provider="aws")
    world.add_cluster("unarmed", provider="hetzner")
    world.add_cluster("blocked", private=True, add_ons=both("blocked"))
    world.add_cluster("absent", down=True, add_ons=both("absent"))
    world.add_cluster("unknown", add_ons=both("unknown"), prepared=False)
    world.call("POST", "", {"kind": "mk8s", "name": "shown", "spec": _SPEC})
    world.wait(
        lambda: world.call("GET", "/pulling")["status"]["addOns"]["awsECR"].get("state") == "Ready", "Ready"
    )
    return world


@pytest.fixture(scope="module")
def tour(chromium: Browser, states: ConsoleWorld) -> Iterator[Window]:
    window = open_window(chromium, states, reduced_motion="reduce")  # axe would see colours on their way
    yield window
    window.context.close()
    assert "" == states.failures()
    assert [] == window.strangers()
    assert [] == window.complaints


@pytest.mark.parametrize("name", SCENES)
def test_axe_finds_nothing(tour: Window, name: str) -> None:
    tour.page.set_viewport_size({"width": 1600, "height": 900})
    if not tour.context.cookies():
        tour.sign_in(ADMIN)
    SCENES[name](tour)
    found = tour.complaints_of_axe()
    tour.page.emulate_media(color_scheme="dark")
    found += tour.complaints_of_axe(rules=("color-contrast",))
    tour.page.set_viewport_size({"width": 360, "height": 740})
    found += tour.complaints_of_axe()
    tour.page.emulate_media(color_scheme="light")
    assert [] == found
    assert 0 == tour.overflow()
    assert [] == [secret for secret in _secrets(tour.world) if secret in tour.page.content()]


def test_the_longest_names_fit_into_the_narrowest_window(states: ConsoleWorld, new_window: Open) -> None:
    name = "n" * 60
    role = f"arn:aws:iam::{ACCOUNT}:role/{'path/' * 10}{'r' * 60}"
    add_ons = {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": role}}
    manifest = {"name": name, "description": "d" * 200, "tags": {"t" * 60: "v" * 100}}
    states.call("POST", "", {"kind": "mk8s", **manifest, "spec": {**_SPEC, "addOns": add_ons}})
    window = new_window(width=320)
    pages = ["", "/connect", "/remove", "/audit", "/events", "/edit", "/add-ons/awsECR/off"]
    overflowing = {}
    for path in ("/clusters", "/fleet", "/clusters/-new", *(f"/clusters/{name}{page}" for page in pages)):
        window.go(path)
        overflowing[path] = window.overflow()
    states.call("DELETE", f"/{name}")
    assert dict.fromkeys(overflowing, 0) == overflowing


def test_an_organisation_without_clusters_is_told_what_to_do_first(
    states: ConsoleWorld, new_window: Open
) -> None:
    window = new_window(token=states.token(Role.ADMIN, org="fresh"))
    window.shows("No cluster yet")
    found = window.complaints_of_axe()
    window.go("/fleet")
    window.shows("No cluster yet")
    assert [] == found + window.complaints_of_axe()


def test_a_viewer_is_shown_no_button_that_it_may_not_press(states: ConsoleWorld, new_window: Open) -> None:
    window = new_window(token=states.token(Role.VIEWER))
    for path in (
        "/clusters",
        "/clusters/pulling",
        "/clusters/unarmed",
        "/clusters/blocked",
        "/clusters/shown",
    ):
        window.go(path)
        forms = window.page.locator("form[method=post]").evaluate_all("all => all.map(form => form.action)")
        assert [f"{states.origin}/sign-out"] == forms
        assert 0 == window.page.get_by_role("switch").count()
        links = window.page.locator("main a:not([download])").evaluate_all(
            "all => all.map(link => link.pathname)"
        )
        for link in set(links):
            answer = window.page.goto(states.origin + link)
            assert answer is not None
            assert 200 == answer.status, link


def test_no_answer_of_any_page_holds_a_secret(states: ConsoleWorld) -> None:
    pool = urllib3.PoolManager(retries=False)
    signed_in = pool.request(
        "POST", f"{states.origin}/sign-in", fields={"token": ADMIN}, encode_multipart=False, redirect=False
    )
    cookie = signed_in.headers["Set-Cookie"].split(";", maxsplit=1)[0]
    to_see = ["/clusters"]
    seen: set[str] = set()
    while to_see:
        path = to_see.pop()
        answer = pool.request("GET", states.origin + path, headers={"Cookie": cookie}, redirect=False)
        text = answer.data.decode(errors="replace")
        assert [] == [secret for secret in _secrets(states) if secret in text], path
        assert cookie.partition("=")[2] not in text, path
        found = set(re.findall(r'(?:href|hx-get|action)="(/[^"#]*)', text)) - seen
        seen |= found
        to_see += sorted(found)
    pool.clear()
    assert len(seen) > 40


def _secrets(world: ConsoleWorld) -> list[str]:
    return [ADMIN, *(cluster.admin_token for cluster in world.sandbox.clusters.values())]
