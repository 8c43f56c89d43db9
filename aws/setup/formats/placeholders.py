"""The account and the region of whoever runs what was printed: each format fills them in by its own means.

A placeholder stands in a document where the hub does not know them yet: the role is still to be made, or nothing says
which registry is meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from aws.permissions_policy import REGION_PLACEHOLDER
from aws.trust_policy import ACCOUNT_PLACEHOLDER

_EITHER = re.compile(f"({re.escape(ACCOUNT_PLACEHOLDER)}|{re.escape(REGION_PLACEHOLDER)})")


def fill(text: str, *, account: str, region: str, plain: Callable[[str], str]) -> str:
    """`text` with `account` and `region` for the placeholders, and `plain` of all between them."""
    words = {ACCOUNT_PLACEHOLDER: account, REGION_PLACEHOLDER: region}
    return "".join(words.get(part) or plain(part) for part in _EITHER.split(text) if part)


def found(text: str) -> bool:
    """Whether there is one."""
    return _EITHER.search(text) is not None


def on_one_line(text: str) -> str:
    """For a comment: what is no printable character, a line's end above all, would get out of it."""
    return "".join(character if character.isprintable() else "?" for character in text)
