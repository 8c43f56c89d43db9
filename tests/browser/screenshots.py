"""Makes docs/images anew: `make screenshots`. A fleet as it was written, and clusters of the sandbox as they are.

1280 pixels wide, light unless the name says dark; the same names each time, so that a diff shows what changed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from fleet import tokens
from fleet.database import Database
from fleet.sealing import Sealer
from sandbox.serving import LoopbackServer
from tests.browser.world import ADMIN, ConsoleWorld, both, role_arn
from tests.support import fleets, programs
from tests.support.console import Console, make_console
from tests.support.hub import START

IMAGES = programs.REPOSITORY / "docs/images"
SIZE: ViewportSize = {"width": 1280, "height": 800}
FLEET = 2400


def main() -> None:
    """All of them."""
    IMAGES.mkdir(exist_ok=True)
    chromium = programs.find("chromium")
    if chromium is None:
        sys.exit("chromium is not here: `make programs` says how to get it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with tempfile.TemporaryDirectory() as folder:
            _fleet(browser, Path(folder))
        with tempfile.TemporaryDirectory() as folder:
            _clusters(browser, Path(folder))
        browser.close()


def _fleet(browser: Browser, folder: Path) -> None:
    """Pages that show many clusters; time stands still in them."""
    with _written_fleet(folder) as (console, origin):
        for dark, suffix in ((False, ""), (True, "-dark")):
            page = browser.new_page(viewport=SIZE, color_scheme="dark" if dark else "light")
            page.clock.set_fixed_time(START)
            _sign_in(page, origin, console.hub.admin)
            _keep(page, f"clusters{suffix}", height=620)
            page.goto(f"{origin}/fleet")
            _keep(page, f"fleet{suffix}", height=620)
            page.close()


@contextmanager
def _written_fleet(folder: Path) -> Iterator[tuple[Console, str]]:
    database = Database(f"sqlite:///{folder / 'fleet.db'}", sealer=Sealer((bytes(32),)))
    database.migrate()
    console = make_console(database)
    owner = tokens.authenticate(database, console.hub.admin, now=START)
    if owner is None:
        raise RuntimeError("the token that was just issued signs nobody in")
    fleets.fill(database, owner, FLEET, now=START)
    server = LoopbackServer(console.app.wsgi_app)
    server.start()
    try:
        yield console, server.url
    finally:
        server.stop()
        database.close()


def _clusters(browser: Browser, folder: Path) -> None:
    """What the tutorial walks through, in its order."""
    world = ConsoleWorld(folder)
    world.start()
    try:
        page = browser.new_page(viewport=SIZE)
        world.add_cluster("shop-eu", provider="hetzner")
        world.add_cluster("edge", provider="hetzner", private=True, add_ons=both("edge"))
        page.goto(world.link)
        _keep(page, "sign-in", height=420)
        page.get_by_role("button", name="Sign in").click()
        page.goto(f"{world.origin}/clusters/shop-eu")
        page.get_by_label("Role ARN").fill(role_arn("shop-eu"))
        _keep(page, "enable", height=560)
        page.get_by_role("button", name="Enable awsECR").click()
        page.locator(".step-done", has_text="Verify a pull").wait_for(timeout=60_000)
        page.goto(f"{world.origin}/clusters/shop-eu")
        _keep(page, "ready", height=900)
        page.goto(f"{world.origin}/clusters/edge")
        page.get_by_text("Issuer not usable").first.wait_for(timeout=60_000)
        _keep(page, "blocked", height=620)
        page.goto(f"{world.origin}/clusters/shop-eu/edit")
        page.get_by_role("textbox", name="Manifest as YAML").press("ControlOrMeta+Home")
        page.keyboard.type("description: the shop, in Europe\n")
        page.get_by_role("button", name="Review the change").click()
        page.get_by_role("heading", name="Review the change").wait_for()
        _keep(page, "review", height=480)
    finally:
        world.stop()


def _sign_in(page: Page, origin: str, token: str = ADMIN) -> None:
    page.goto(f"{origin}/sign-in")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Clusters").wait_for()


def _keep(page: Page, name: str, *, height: int) -> None:
    page.set_viewport_size({"width": SIZE["width"], "height": height})
    page.evaluate("document.activeElement?.blur()")
    page.screenshot(path=IMAGES / f"{name}.png", animations="disabled", caret="hide")
    page.set_viewport_size(SIZE)


if __name__ == "__main__":
    main()
