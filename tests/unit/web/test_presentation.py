"""Words for times, browsers, issue codes and remedies."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.issues import KINDS
from tests.support.hub import START
from web import presentation


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "now"),
        (4, "now"),
        (-5, "5 seconds ago"),
        (-60, "1 minute ago"),
        (7200, "in 2 hours"),
        (-86399, "23 hours ago"),
        (86400, "in 1 day"),
    ],
)
def test_a_time_is_a_distance(seconds: int, words: str) -> None:
    assert words == presentation.distance(START + timedelta(seconds=seconds), START)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.0 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/129.0 Safari/537.36 Edg/129.0", "Edge on Windows"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "unknown"),
    ],
)
def test_a_browser_has_a_name(text: str, name: str) -> None:
    assert name == presentation.browser_name(text)


def test_every_issue_has_a_title_in_words() -> None:
    titles = [presentation.issue_title(code) for code in KINDS]
    assert [] == [title for title in titles if not title[0].isupper() or "  " in title]


def test_a_remedys_command_stands_apart_from_its_words() -> None:
    parts = presentation.remedy_parts("Create it: aws iam create-role --role-name a")
    assert {"words": "Create it", "command": "aws iam create-role --role-name a"} == parts


def test_a_remedy_in_words_has_no_command() -> None:
    assert {"words": "Wait for it.", "command": ""} == presentation.remedy_parts("Wait for it.")
