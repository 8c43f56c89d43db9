"""A bounded number of connections, each with a time by which it must have got somewhere.

Time-outs of sockets start anew with every byte, so who sends one a second would hold a thread for ever; the time here
is for a whole handshake, a whole request, a whole idle spell. Used by `agent.webhook.server` alone.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from reconcile.clock import Clock


class Connection:
    """One client's. Its socket is replaced by the TLS one once there is one; all under the lock of `Connections`."""

    def __init__(self, plain: socket.socket, deadline: float) -> None:
        self.socket = plain
        self.deadline = deadline
        self.idle_since: float | None = None


class Connections:
    """All that are open.

    Args:
        most: How many; one more takes the place of the one that has been idle for longest, or is refused.
        handshake_seconds: For the TLS handshake.
        request_seconds: For a request, from its first line to the end of its answer.
        idle_seconds: Between two requests. The API server (Go) gives an idle connection up after 90 s itself.
        clock: For all of them.
    """

    def __init__(
        self,
        *,
        most: int,
        handshake_seconds: float,
        request_seconds: float,
        idle_seconds: float,
        clock: Clock,
    ) -> None:
        self._most = most
        self._handshake_seconds = handshake_seconds
        self._request_seconds = request_seconds
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._changed = threading.Condition()
        self._open: set[Connection] = set()
        self._draining = False

    def admit(self, plain: socket.socket) -> Connection | None:
        """The connection of a socket that was just accepted; None where there is no room for it."""
        with self._changed:
            if self._draining:
                return None
            if len(self._open) >= self._most and not self._evict():
                return None
            connection = Connection(plain, self._clock.monotonic() + self._handshake_seconds)
            self._open.add(connection)
            return connection

    def secure(self, connection: Connection, wrapped: socket.socket) -> None:
        """TLS took the socket over."""
        with self._changed:
            connection.socket = wrapped

    def rest(self, connection: Connection) -> bool:
        """A request may come now; False where it is to be closed instead."""
        with self._changed:
            now = self._clock.monotonic()
            connection.idle_since, connection.deadline = now, now + self._idle_seconds
            self._changed.notify_all()
            return not self._draining and connection in self._open

    def work(self, connection: Connection) -> bool:
        """A request has begun; False where no other may follow it."""
        with self._changed:
            connection.idle_since = None
            connection.deadline = self._clock.monotonic() + self._request_seconds
            return not self._draining

    def close(self, connection: Connection) -> None:
        """By the thread that serves it."""
        with self._changed:
            self._open.discard(connection)
            # Under the lock: `reap` must not meet the number of a file that is another's by now.
            connection.socket.close()
            self._changed.notify_all()

    def reap(self) -> None:
        """Ends what has outlived its time: the thread that serves it wakes with an error."""
        with self._changed:
            now = self._clock.monotonic()
            for connection in self._open:
                if connection.deadline <= now:
                    _wake(connection)

    def drain(self, grace_seconds: float) -> bool:
        """Ends the idle ones, and the others when they are done or the grace is over; True when none is left."""
        until = self._clock.monotonic() + grace_seconds
        with self._changed:
            self._draining = True
            while self._open:
                left = until - self._clock.monotonic()
                for connection in self._open:
                    if connection.idle_since is not None or left <= 0:
                        _wake(connection)
                if left <= 0:
                    break
                self._clock.wait(self._changed, left)
            return not self._open

    def __len__(self) -> int:
        with self._changed:
            return len(self._open)

    def _evict(self) -> bool:
        idle = [connection for connection in self._open if connection.idle_since is not None]
        if not idle:
            return False
        oldest = min(idle, key=lambda connection: connection.idle_since or 0.0)
        self._open.discard(oldest)
        _wake(oldest)
        return True


def _wake(connection: Connection) -> None:
    """Whoever reads or writes this socket gets an end or an error now."""
    with contextlib.suppress(OSError):
        # The plain socket's: SSLSocket.shutdown would take the TLS state from under the thread that uses it.
        socket.socket.shutdown(connection.socket, socket.SHUT_RDWR)
