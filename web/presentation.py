"""What templates may call: addresses of assets, words and shapes of states, distances in time, the form's proof.

Templates hold no rules of their own; what a page decides, its module decides.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from flask import Flask, g
from markupsafe import Markup

from schemas.times import format_time, parse_time
from web.routing import context

_SHAPES = {"NotConnected": "unconnected"}
_WORDS = {"NotConnected": "Not connected", "Disabled": "Off"}
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[0-9]+")
_COMMAND = re.compile(r"(?:^|(?<=[:;,] )|(?<=: ))(?:aws|curl|kubectl|pullpass|export|sudo) ")
_ABBREVIATIONS = {word.capitalize(): word for word in ("ARN", "ECR", "OIDC", "STS", "URL")}
_JUST_NOW_SECONDS = 5
_BROWSERS = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = re.compile(r"Windows|Mac OS X|Android|iPhone|Linux")


def install(app: Flask) -> None:
    """Gives every template of `app` these names."""
    app.jinja_env.globals.update(
        state_shape=lambda name: _SHAPES.get(name, name.lower()),
        state_word=lambda name: _WORDS.get(name, name),
        time_text=format_time,
        browser_name=browser_name,
        issue_title=issue_title,
        remedy_parts=remedy_parts,
    )

    @app.context_processor
    def of_request() -> dict[str, Any]:
        found = g.get("session")
        return {
            "me": None if found is None else found.principal,
            "asset": context().assets.url,
            "section": "",
            "nonce": g.get("nonce", ""),
            "form_key": _form_key,
            "distance": lambda moment: distance(parse_time(moment), context().now()),
        }


def distance(moment: datetime, now: datetime) -> str:
    """In words, as `console.js` says it again every few seconds: `now`, `3 minutes ago`, `in 2 hours`."""
    seconds = round((moment - now).total_seconds())
    if abs(seconds) < _JUST_NOW_SECONDS:
        return "now"
    unit, size = next(pair for pair in _UNITS if abs(seconds) >= pair[1])
    number = abs(seconds) // size
    words = f"{number} {unit}{'' if number == 1 else 's'}"
    return f"in {words}" if seconds > 0 else f"{words} ago"


def browser_name(text: str) -> str:
    """`Firefox on Linux` for what a browser calls itself, or the beginning of that."""
    name = next((name for mark, name in _BROWSERS if mark in text), "")
    system = _SYSTEMS.search(text)
    if not name:
        return text[:60] or "unknown"
    return f"{name} on {system[0].replace('Mac OS X', 'macOS')}" if system else name


def issue_title(code: str) -> str:
    """A code as words: `IssuerNotUsable` → `Issuer not usable`, `RoleArnMissing` → `Role ARN missing`."""
    words = [_ABBREVIATIONS.get(word, word) for word in _WORD.findall(code)]
    return " ".join([words[0], *(word if word.isupper() else word.lower() for word in words[1:])])


def remedy_parts(remedy: str) -> dict[str, str]:
    """What to do in words, and the command to copy: remedies read `WORDS: COMMAND`, or are one of the two."""
    match = _COMMAND.search(remedy)
    if match is None:
        return {"words": remedy, "command": ""}
    return {"words": remedy[: match.start()].rstrip().rstrip(":"), "command": remedy[match.start() :].strip()}


def _form_key() -> Markup:
    return Markup('<input type="hidden" name="form_key" value="{}">').format(g.get("form_key", ""))
