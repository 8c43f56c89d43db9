"""An end to one request as a whole: a server that sends a byte now and then keeps every time-out of a socket.

The thread that asks says how long it may still take; the sockets made here, plain ones to a proxy and those of TLS,
wait for no single byte longer than that. Set by `kube.client`, heeded by the sockets of `kube.dialling` and
`kube.transport`.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_ASKING = threading.local()


@contextmanager
def within(left: Callable[[], float]) -> Iterator[None]:
    """What this thread asks for in here ends when `left()` (seconds) is not above zero any more."""
    _ASKING.left = left
    try:
        yield
    finally:
        _ASKING.left = None


def cut(timeout_seconds: float | None) -> float | None:
    """The time-out, or what is left where that is less (None: for ever). Raises `TimeoutError` when nothing is left."""
    left: Callable[[], float] | None = getattr(_ASKING, "left", None)
    if left is None:
        return timeout_seconds
    seconds = left()
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds if timeout_seconds is None else min(timeout_seconds, seconds)


@contextmanager
def _hurried(waiting: socket.socket) -> Iterator[None]:
    own = waiting.gettimeout()
    if (shorter := cut(own)) == own:
        yield
        return
    waiting.settimeout(shorter)
    try:
        yield
    finally:
        waiting.settimeout(own)


class HurriedSocket(socket.socket):
    """A plain socket; a proxy's answer is read from it."""

    @classmethod
    def of(cls, connected: socket.socket) -> HurriedSocket:
        """The same connection, which `connected` gives up."""
        timeout = connected.gettimeout()
        made = cls(connected.family, connected.type, connected.proto, fileno=connected.detach())
        made.settimeout(timeout)
        return made

    def recv_into(self, *args: Any, **named: Any) -> int:
        with _hurried(self):
            return super().recv_into(*args, **named)


class HurriedTlsSocket(ssl.SSLSocket):
    """What a TLS context makes whose `sslsocket_class` this is."""

    def read(self, *args: Any, **named: Any) -> Any:
        with _hurried(self):
            return super().read(*args, **named)

    def send(self, *args: Any, **named: Any) -> int:
        with _hurried(self):
            return super().send(*args, **named)
