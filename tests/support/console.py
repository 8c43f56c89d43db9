"""The console over a real API and database, without a server: a browser for each role, and a clock the test moves."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from addon_api.app import ApiSettings
from fleet.database import Database
from tests.support.hub import Hub, make_hub
from web.app import create_console

_FORM_KEY = re.compile(r'name="form_key" value="([^"]+)"')


@dataclass
class Browser:
    """Somebody's browser: it keeps its cookie, and sends forms with the value that the console gave them."""

    client: FlaskClient
    form_key: str = ""

    def sign_in(self, token: str) -> None:
        answer = self.client.post("/sign-in", data={"token": token})
        assert answer.status_code == 303, answer.text
        found = _FORM_KEY.search(self.get("/sessions").text)
        assert found is not None
        self.form_key = found[1]

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, **options)

    def live(self, path: str) -> TestResponse:
        """As htmx asks for a part of a page."""
        return self.client.get(path, headers={"HX-Request": "true"})

    def send(self, path: str, /, **fields: Any) -> TestResponse:
        """A form; a field may be a file: `(BytesIO, name)`."""
        return self.client.post(path, data={"form_key": self.form_key, **fields})

    def text(self, path: str) -> str:
        """What a page says, without its markup."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return words(answer.text)


@dataclass
class Console:
    """`hub` is the API behind it: its tokens, its clock, what a controller writes."""

    app: Flask
    hub: Hub

    def browser(self, role: str | None = "admin") -> Browser:
        """A browser that is signed in with the token of that name, or with none."""
        browser = Browser(self.app.test_client())
        if role is not None:
            browser.sign_in(getattr(self.hub, role))
        return browser


def words(markup: str) -> str:
    """The text of `markup`, with single spaces."""
    shown = re.sub(r"<(script|style)\b.*?</\1>", " ", markup, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", shown))).strip()


def make_console(database: Database, settings: ApiSettings | None = None) -> Console:
    """A console over `database`, which the caller closes."""
    hub = make_hub(database, settings)
    return Console(create_console(database, hub.app, now=hub.clock.now), hub)
