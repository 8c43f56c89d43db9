"""Get, list and watch, of whole objects or of their metadata alone."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.kubernetes.kinds import Kind, Target
from sandbox.kubernetes.selectors import Matcher, field_matcher, label_matcher
from sandbox.kubernetes.statuses import bad_request, expired, not_found
from sandbox.kubernetes.store import Change, Object, Store, Stored, WindowPassed, dumped

META_VERSION = "meta.k8s.io/v1"
_DEFAULT_WATCH_SECONDS = 1800
_BOOKMARK_SECONDS = 30.0
_LOOK_SECONDS = 5.0  # how often a watch that has nothing to tell looks whether anybody still listens


@dataclass(frozen=True)
class Query:
    """A list or watch as asked for."""

    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    timeout_seconds: int = _DEFAULT_WATCH_SECONDS
    bookmarks: bool = False
    metadata_only: bool = False


def metadata_of(obj: Object) -> Object:
    """PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": META_VERSION, "metadata": obj["metadata"]}


class Reader:
    """The read half of one cluster's API."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, target: Target, *, metadata_only: bool) -> bytes:
        """One object."""
        stored = self._store.get(target.kind, target.namespace, target.name)
        if stored is None:
            raise not_found(target.kind, target.name)
        return dumped(metadata_of(stored.object)) if metadata_only else stored.encoded

    def list(self, target: Target, query: Query) -> bytes:
        """A page of a kind's objects. Raises `StatusError` 400 for selectors and tokens, 410 for an old token."""
        kind = target.kind
        found, revision = self._store.all(kind, target.namespace)
        matches = _matcher(kind, query)
        if matches is not None:
            found = [stored for stored in found if matches(stored.object)]
        if query.continue_token:
            since, behind = _read_token(query.continue_token)
            if not self._store.knows(kind, since):
                raise expired(
                    "The provided continue parameter is too old to display a consistent list result. You can start a "
                    "new list without the continue parameter, or use the continue token in this response to retrieve "
                    "the remainder of the results."
                )
            revision = since
            found = [stored for stored in found if stored.key > behind]
        metadata: Object = {"resourceVersion": str(revision)}
        if query.limit and len(found) > query.limit:
            metadata["continue"] = _token(revision, found[query.limit - 1].key)
            if matches is None:
                metadata["remainingItemCount"] = len(found) - query.limit
            found = found[: query.limit]
        if query.metadata_only:
            head = {"kind": "PartialObjectMetadataList", "apiVersion": META_VERSION, "metadata": metadata}
            items = [dumped(metadata_of(stored.object)) for stored in found]
        else:
            head = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata}
            items = [stored.encoded for stored in found]
        return dumped(head)[:-1] + b',"items":[' + b",".join(items) + b"]}"

    def watch(self, target: Target, query: Query, *, deserted: Callable[[], bool]) -> Iterator[bytes]:
        """Events, one JSON document a line, until the time is over, the store ends or nobody listens."""
        kind = target.kind
        matches = _matcher(kind, query)
        try:
            revision = int(query.resource_version or 0)
        except ValueError as error:
            raise bad_request(f"invalid resource version: {query.resource_version}") from error
        told = _Selection(kind, target.namespace, matches, metadata_only=query.metadata_only)
        return self._events(told, revision, query, deserted)

    def _events(
        self, told: _Selection, revision: int, query: Query, deserted: Callable[[], bool]
    ) -> Iterator[bytes]:
        starts = self._store.starts
        if revision == 0:
            found, revision = self._store.all(told.kind, told.namespace)
            yield b"".join(told.added(stored) for stored in found)
        end = time.monotonic() + query.timeout_seconds
        bookmark_at = time.monotonic() + min(_BOOKMARK_SECONDS, max(query.timeout_seconds - 2.0, 0.5))
        while not self._store.closed and self._store.starts == starts:
            try:
                changes, reached = self._store.changes_since(told.kind, revision)
            except WindowPassed as passed:
                error = expired(f"too old resource version: {revision} ({passed.oldest})")
                yield _event("ERROR", dumped(error.status()))
                return
            revision = reached
            yield b"".join(map(told.change, changes))
            now = time.monotonic()
            if query.bookmarks and now >= bookmark_at:
                bookmark_at = now + _BOOKMARK_SECONDS
                yield told.bookmark(revision)
            if now >= end or deserted():
                return
            until = min(end, bookmark_at) if query.bookmarks else end
            self._store.wait(told.kind, revision, min(until - now, _LOOK_SECONDS))


@dataclass(frozen=True)
class _Selection:
    """What one watcher is told of, and in which shape."""

    kind: Kind
    namespace: str
    matches: Matcher | None
    metadata_only: bool

    def added(self, stored: Stored) -> bytes:
        """An object that was there before the watch began."""
        return _event("ADDED", self._encoded(stored)) if self._selects(stored) else b""

    def change(self, change: Change) -> bytes:
        """The event of a change, b"" for none: what leaves the selection was deleted, what enters it added."""
        before, after = self._selects(change.before), self._selects(change.after)
        if not before and not after:
            return b""
        type_ = "DELETED" if not after else "MODIFIED" if before else "ADDED"
        return _event(type_, self._encoded(change.last))

    def bookmark(self, revision: int) -> bytes:
        """How far this watch has come."""
        named: Any = {"kind": self.kind.kind, "apiVersion": self.kind.api_version}
        if self.metadata_only:
            named = {"kind": "PartialObjectMetadata", "apiVersion": META_VERSION}
        metadata = {"resourceVersion": str(revision), "creationTimestamp": None}
        return _event("BOOKMARK", dumped(named | {"metadata": metadata}))

    def _selects(self, stored: Stored | None) -> bool:
        if stored is None or (self.namespace and stored.key[0] != self.namespace):
            return False
        return self.matches is None or self.matches(stored.object)

    def _encoded(self, stored: Stored) -> bytes:
        return dumped(metadata_of(stored.object)) if self.metadata_only else stored.encoded


def _matcher(kind: Kind, query: Query) -> Matcher | None:
    by_label = label_matcher(query.label_selector)
    by_field = field_matcher(query.field_selector, kind)
    if by_label is None or by_field is None:
        return by_label or by_field
    return lambda obj: by_label(obj) and by_field(obj)


def _event(type_: str, encoded: bytes) -> bytes:
    return b'{"type":"' + type_.encode() + b'","object":' + encoded + b"}\n"


def _token(revision: int, key: tuple[str, str]) -> str:
    return (
        base64.urlsafe_b64encode(dumped({"v": META_VERSION, "rv": revision, "start": key}))
        .decode()
        .rstrip("=")
    )


def _read_token(token: str) -> tuple[int, tuple[str, str]]:
    try:
        read = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, name = read["start"]
        return int(read["rv"]), (str(namespace), str(name))
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
