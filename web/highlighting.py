"""JSON for people: indented, its keys and texts marked for the style sheet. Used for trust policies."""

from __future__ import annotations

import json
import re
from typing import Any

from markupsafe import Markup, escape

_TEXT = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?')


def pretty(document: Any) -> str:
    """The text that is shown, copied and downloaded."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def highlighted(document: Any) -> Markup:
    """The same text as markup: every key in `.json-key`, every other text in `.json-text`."""
    parts: list[str] = []
    text, end = pretty(document), 0
    for match in _TEXT.finditer(text):
        parts.append(escape(text[end : match.start()]))
        kind = "json-key" if match[2] else "json-text"
        parts.append(Markup('<span class="{}">{}</span>{}').format(kind, match[1], match[2] or ""))
        end = match.end()
    parts.append(escape(text[end:]))
    return Markup("").join(parts)
