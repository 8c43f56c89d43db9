"""Hands on the keyboard: a journey without a mouse, and a page that stays current under somebody who types."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.world import ADMIN, ConsoleWorld, both, role_arn

_MOST_STEPS = 200  # a page that changes meanwhile may send one round again


def _arrived(page: Page, heading: str) -> None:
    """On another page, whose scripts have run: keys that come sooner go nowhere."""
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    page.wait_for_load_state()


def _tab_to(page: Page, name: str) -> None:
    for _ in range(_MOST_STEPS):
        page.keyboard.press("Tab")
        if name == page.evaluate(_NAME):
            return
    raise AssertionError(f"Tab never came to {name}")


_NAME = """(() => {
  const element = document.activeElement;
  return (element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent).trim();
})()"""


def test_awsecr_is_enabled_and_asked_about_by_keyboard_alone(world: ConsoleWorld, new_window: Open) -> None:
    world.add_cluster("typed", provider="hetzner")
    window = new_window(token=None)
    page = window.page
    window.go("/sign-in")
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type(ADMIN)
    page.keyboard.press("Enter")
    _arrived(page, "Clusters")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("typed")
    expect(page).to_have_url(f"{world.origin}/clusters?text=typed")
    _tab_to(page, "typed")
    page.keyboard.press("Enter")
    _arrived(page, "typed")
    _tab_to(page, "Role ARN (optional)")
    page.keyboard.type(role_arn("typed"))
    page.keyboard.press("Enter")
    window.shows("Switched on")
    page.wait_for_load_state()
    _tab_to(page, "awsECR")
    page.keyboard.press("Space")
    _arrived(page, "Switch off awsECR on typed?")
    _tab_to(page, "Keep it on")
    page.keyboard.press("Enter")
    _arrived(page, "typed")


def test_what_is_typed_and_where_one_is_outlives_a_change_of_the_page(
    world: ConsoleWorld, new_window: Open
) -> None:
    world.add_cluster("half-typed", provider="hetzner")
    window = new_window()
    window.go("/clusters/half-typed")
    role = window.page.get_by_label("Role ARN")
    role.press_sequentially("arn:aws:iam::1")
    world.call("PATCH", "/half-typed", {"description": "changed meanwhile"})
    window.shows("changed meanwhile")
    expect(role).to_have_value("arn:aws:iam::1")
    expect(role).to_be_focused()


def test_the_filter_keeps_its_text_and_the_focus_while_the_list_changes(
    world: ConsoleWorld, new_window: Open
) -> None:
    world.add_cluster("to-be-found")
    window = new_window()
    window.go("/clusters")
    finder = window.page.get_by_role("searchbox")
    finder.press_sequentially("to-be-f")
    expect(window.page.locator("tbody tr")).to_have_count(1)
    world.call("PATCH", "/to-be-found", {"description": "seen at once"})
    window.shows("seen at once")
    expect(finder).to_have_value("to-be-f")
    expect(finder).to_be_focused()


@pytest.mark.parametrize("key", ["", "Space"])
def test_what_is_pressed_while_the_page_would_change_is_not_lost(
    world: ConsoleWorld, new_window: Open, key: str
) -> None:
    name = f"pressed-{key.lower() or 'mouse'}"
    world.add_cluster(name, add_ons=both(name))
    window = new_window()
    page = window.page
    window.go(f"/clusters/{name}")
    window.state("awsECR", "Ready")
    switch = page.get_by_role("switch", name="awsECR")
    switch.hover()
    switch.focus()
    if key:
        page.keyboard.down(key)
    else:
        page.mouse.down()
    with page.expect_response(lambda answer: "/live?" in answer.url and answer.status == 200) as change:
        world.call("PATCH", f"/{name}", {"description": "changed meanwhile"})
    change.value.finished()
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    if key:
        page.keyboard.up(key)
    else:
        page.mouse.up()
    _arrived(page, f"Switch off awsECR on {name}?")


def test_the_first_stop_leads_past_the_navigation(new_window: Open) -> None:
    window = new_window()
    page = window.page
    window.go("/fleet")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_nothing_moves_for_who_asked_for_that(world: ConsoleWorld, new_window: Open) -> None:
    window = new_window()
    window.page.emulate_media(reduced_motion="reduce")
    window.go("/clusters")
    moving = (
        "document.getAnimations().length + [...document.querySelectorAll('*')].filter("
        "each => parseFloat(getComputedStyle(each).transitionDuration) > 0).length"
    )
    assert 0 == window.page.evaluate(moving)
