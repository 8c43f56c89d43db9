"""A browser window that is watched: nothing leaves the origin, nothing is refused by the page's own policy, no error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from tests.browser.world import ConsoleWorld

PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)  # five seconds otherwise, which a busy machine may need for a page
# Chromium says so of any answer with such a status; that the page shows is what counts.
_EXPECTED = "Failed to load resource: the server responded with a status of"
# What Chromium would like a form for one password to have, for its password manager.
_ADVICE = "Password forms should have"


@dataclass
class Window:
    """A page of its own browser context, with a width and perhaps without scripts."""

    world: ConsoleWorld
    context: BrowserContext
    page: Page
    scripts: bool
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """To a path of the console, or an address."""
        self.page.goto(path if path.startswith("http") else self.world.origin + path)

    def sign_in(self, token: str) -> None:
        """With a token, by the form."""
        self.go("/sign-in")
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()
        self.page.wait_for_load_state()

    def shows(self, words: str, *, within: str = "main") -> None:
        """Waits until the page shows `words`; without scripts a person reloads it, and so does this."""
        place = self.page.locator(within).first
        if self.scripts:
            expect(place).to_contain_text(words)
            return

        def seen() -> bool:
            self.page.reload()
            return words in place.inner_text()

        if words not in place.inner_text():
            self.world.wait(seen, f"shown: {words}")

    def state(self, add_on: str, word: str) -> None:
        """Waits until the add-on's card says the state in a word."""
        self.shows(word, within=f"section[aria-labelledby=add-on-{add_on}] > header")

    def copied(self, label: str) -> str:
        """What the clipboard holds after a click on the copy button of that name."""
        self.page.get_by_role("button", name=f"Copy {label}", exact=True).click()
        expect(self.page.locator("#said")).to_have_text(f"Copy {label}: copied")
        return str(self.page.evaluate("navigator.clipboard.readText()"))

    def write_manifest(self, text: str) -> None:
        """Puts `text` in the place of what the editor holds, from the clipboard as a person would."""
        self.page.evaluate("text => navigator.clipboard.writeText(text)", text)
        editor = self.page.get_by_role("textbox", name="Manifest as YAML")
        editor.press("ControlOrMeta+a")
        editor.press("ControlOrMeta+v")

    def complaints_of_axe(self, *, rules: tuple[str, ...] = ()) -> list[str]:
        """What axe finds wrong with the page as it is; empty: nothing. `rules` narrows it to these."""
        self.page.evaluate(AXE_SCRIPT)
        only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
        found: Any = self.page.evaluate(
            "options => axe.run(document, options)", {"resultTypes": ["violations"], **only}
        )
        return [
            f"{self.page.url}: {violation['id']}: {node['target']} {node.get('failureSummary', '')}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        return int(
            self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        )

    def strangers(self) -> list[str]:
        """Addresses that were asked for elsewhere than at the console's origin."""
        return [
            url
            for url in self.asked
            if f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" != self.world.origin
        ]


def open_window(
    browser: Browser, world: ConsoleWorld, *, width: int = 1600, scripts: bool = True, **options: Any
) -> Window:
    """A window of a new browser context: no cookie of another."""
    context = browser.new_context(
        viewport={"width": width, "height": 900 if width > 500 else 740},
        java_script_enabled=scripts,
        **options,
    )
    if scripts:
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=world.origin)
    context.set_default_timeout(PATIENCE_MS)
    window = Window(world, context, context.new_page(), scripts)

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith((_EXPECTED, _ADVICE)):
            window.complaints.append(f"{window.page.url}: {message.text}")

    def asked(request: Request) -> None:
        window.asked.append(request.url)

    context.on("console", heard)
    context.on("weberror", lambda error: window.complaints.append(f"{window.page.url}: {error.error}"))
    context.on("request", asked)
    return window
