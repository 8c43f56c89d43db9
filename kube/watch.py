"""A watch: one open answer whose lines are events, read by one thread and closed from any.

`kube.client.Client.watch` opens it; `agent` and `controller` loop over it, list anew on `Expired`, and close it from
the thread that ends them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from kube import errors
from kube.objects import Kind, Object
from kube.transport import ANSWER_LIMIT_BYTES, Stream

_EVENTS = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK"})


@dataclass(frozen=True)
class WatchEvent:
    """`type`: ADDED, MODIFIED, DELETED or BOOKMARK (whose object has only a resource version)."""

    type: str
    object: Object


class Watch(Iterator[WatchEvent]):
    """Events until the server ends it or `close` is called; close it in any case, best with `with`.

    Raises from iteration:
        kube.errors.Expired: the resource version is too old; list anew.
        kube.errors.Unreachable: the stream broke or fell silent; watch on from the last version seen.
        kube.errors.ApiError: the server sent an ERROR event.
    """

    def __init__(self, stream: Stream, kind: Kind) -> None:
        self._stream = stream
        self._kind = kind
        self._events = self._read()
        self._lock = threading.Lock()
        self._closed = False
        self._reading = False

    def __next__(self) -> WatchEvent:
        with self._lock:
            if self._closed:
                raise StopIteration
            self._reading = True
        over = True
        try:
            event = next(self._events)
            over = False
            return event
        finally:
            # Ended, broken, interrupted or closed meanwhile: nothing more comes, and the connection can go.
            with self._lock:
                self._reading = False
                self._closed = self._closed or over
                if self._closed:
                    self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """From any thread: a blocked reader wakes and iteration ends; the connection goes."""
        with self._lock:
            self._closed = True
            if self._reading:
                self._stream.wake()
            else:
                self._stream.close()

    def _read(self) -> Iterator[WatchEvent]:
        for line in self._lines():
            event = self._parse(line)
            if self._closed:
                return
            yield event

    def _lines(self) -> Iterator[bytes]:
        """Whole lines; an event may come in many pieces, and a piece may hold many events."""
        pieces: list[bytes] = []
        size = 0
        while True:
            try:
                piece = self._stream.read()
            except errors.Unreachable:
                if self._closed:
                    return
                raise
            if not piece or self._closed:
                break
            *whole, rest = piece.split(b"\n")
            for line in whole:
                if full := b"".join([*pieces, line]).strip():
                    yield full
                pieces, size = [], 0
            pieces.append(rest)
            size += len(rest)
            if size > ANSWER_LIMIT_BYTES:
                raise errors.Unreachable(f"a watch event of more than {ANSWER_LIMIT_BYTES} bytes")
        if b"".join(pieces).strip() and not self._closed:
            raise errors.Unreachable("the watch broke off in the middle of an event")

    def _parse(self, line: bytes) -> WatchEvent:
        try:
            document = json.loads(line)
            kind, obj = document["type"], document["object"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise errors.Unreachable("the watch sent a line that is no event") from None
        if kind == "ERROR":
            raise errors.from_status({**obj, "status": obj.get("code")})
        if kind not in _EVENTS:
            raise errors.Unreachable("the watch sent an event of no known type")
        return WatchEvent(kind, {**obj, "apiVersion": self._kind.api_version, "kind": self._kind.kind})
