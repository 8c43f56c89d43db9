"""The projected token, copied to where the plugin finds it.

The token in the pod's folder dies with the pod; the copy on the host goes on for its lifetime (12 to 24 h), so that
pulls do not depend on a running driver. Replaced atomically, readable by root alone. `loop` calls this on every look.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.node.host import Host
from agent.node.provider import TOKEN_FILE

_MODE = 0o600


class TokenError(Exception):
    """The projected token is not there or is no token; the message holds nothing of it."""


@dataclass(frozen=True)
class Token:
    """What a token says of itself. Nobody here checks its signature: STS does."""

    expires_at: datetime


def copy(host: Host, source: Path) -> Token:
    """Puts the projected token on the host if it is not there yet.

    Raises:
        TokenError: it cannot be read; what is on the host stays.
        HostError: it cannot be written.
    """
    try:
        content = source.read_bytes()
    except OSError as error:
        raise TokenError(f"{source}: {error.strerror}") from None
    token = _read(content, str(source))
    if host.read(TOKEN_FILE) != content:
        host.write(TOKEN_FILE, content, _MODE)
    return token


def _read(content: bytes, name: str) -> Token:
    try:
        _, payload, _ = content.strip().split(b".")
        claims = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
        return Token(datetime.fromtimestamp(int(claims["exp"]), UTC))
    except (ValueError, KeyError, TypeError, OverflowError):
        raise TokenError(f"{name}: is no service account token with an expiry") from None
