"""One world and one Chromium for all journeys; each window is watched, and held to it when its test ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.watched import Window, open_window
from tests.browser.world import ADMIN, ConsoleWorld
from tests.support import programs

Open = Callable[..., Window]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = programs.require("chromium", make="programs")
    with sync_playwright() as playwright:
        # Its own sandbox needs rights that a container does not give; it sees nothing but the console.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def world(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleWorld]:
    started = ConsoleWorld(tmp_path_factory.mktemp("console"))
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture
def new_window(chromium: Browser, world: ConsoleWorld) -> Iterator[Open]:
    """Opens windows; when the test ends none of them may have asked elsewhere or complained."""
    opened: list[Window] = []

    def make(*, token: str | None = ADMIN, width: int = 1600, scripts: bool = True) -> Window:
        window = open_window(chromium, world, width=width, scripts=scripts)
        opened.append(window)
        if token is not None:
            window.sign_in(token)
        return window

    yield make
    for window in opened:
        window.context.close()
    assert "" == world.failures()
    assert [] == [url for window in opened for url in window.strangers()]
    assert [] == [each for window in opened for each in window.complaints]
