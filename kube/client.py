"""One cluster's API: known paths, JSON bytes in and out, no discovery calls and no model classes.

Typed calls of the official client cost seven times the CPU, so an object is the dict that JSON makes of it.
Used by `controller`, `agent` and `cli`.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from kube import errors, hurry
from kube.access import Access
from kube.objects import POD, SERVICE_ACCOUNT, Kind, Object, kind_of
from kube.transport import KEPT_CONNECTIONS, Answer, Transport
from kube.watch import Watch, WatchEvent

__all__ = ["FIELD_MANAGER", "Access", "Client", "IssuedToken", "ObjectList", "Watch", "WatchEvent"]

FIELD_MANAGER = "pullpass"
PAGE_SIZE = 500

_JSON = "application/json"
_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_MERGE = "application/merge-patch+json"
_METADATA = "application/json;as={};g=meta.k8s.io;v=v1,application/json"
# The server ends a watch after its timeoutSeconds, jitter included; silence this much longer means it is gone.
_WATCH_GRACE_SECONDS = 15


@dataclass(frozen=True)
class ObjectList:
    """A whole list (pages followed) and the resource version to watch from."""

    items: tuple[Object, ...]
    resource_version: str


@dataclass(frozen=True)
class IssuedToken:
    """What a TokenRequest granted, which may live shorter or longer than asked for."""

    token: str = field(repr=False)
    expires_at: datetime


class Client:
    """One cluster. Safe for several threads. Every method raises `kube.errors.KubeError`.

    `requests` counts what was sent, for metrics and benchmarks. Each object that is returned names its `apiVersion` and
    `kind`, also out of lists and metadata-only answers, where the server leaves them out or says
    PartialObjectMetadata: so `kube.objects.key_of` takes them all.

    Args:
        access: Where and with what credential.
        field_manager: Who owns the fields that are written.
        kept_connections: How many idle ones stay open; should be as many as ask at the same time.

    Raises:
        kube.errors.Unreachable: an access that cannot work (not https, PEM that is none, a refused address).
    """

    def __init__(
        self,
        access: Access,
        *,
        field_manager: str = FIELD_MANAGER,
        kept_connections: int = KEPT_CONNECTIONS,
    ) -> None:
        self._sent = [0]  # a list: shared with the fenced ones
        self._server = access.server
        self._timeout_seconds = access.timeout_seconds
        self._field_manager = field_manager
        self._counting = threading.Lock()
        self._fence: threading.Event | None = None
        self._left: Callable[[], float] | None = None
        self._transport = Transport(access, kept_connections=kept_connections)

    def __repr__(self) -> str:
        return f"Client({self._server!r})"

    @property
    def requests(self) -> int:
        """How many were sent."""
        return self._sent[0]

    def fenced(self, closed: threading.Event) -> Client:
        """This client, over the same sockets and counted with it, but without writes once `closed` is set.

        For a leader: what it still has under way when it loses its Lease must not be written. Writes then raise
        `kube.errors.Fenced`; one that was sent before goes through.
        """
        fenced = copy.copy(self)
        fenced._fence = closed  # noqa: SLF001 - a copy of ourselves
        return fenced

    def managing_as(self, field_manager: str) -> Client:
        """This client, over the same sockets and counted with it, but writing as another field manager."""
        other = copy.copy(self)
        other._field_manager = field_manager  # noqa: SLF001 - a copy of ourselves
        return other

    def within(self, left: Callable[[], float]) -> Client:
        """This client, over the same sockets and counted with it, but with an end to all its requests together.

        `left()` says how many seconds remain; whatever the server does, no request waits longer (resolving a name
        excepted). What does not end in time raises `kube.errors.OutOfTime`; what was sent may still come to pass.
        Watches go on for as long as they were asked to.
        """
        other = copy.copy(self)
        other._left = left  # noqa: SLF001 - a copy of ourselves
        return other

    def get(self, kind: Kind, name: str, *, namespace: str | None = None) -> Object:
        """One object."""
        return _named(kind, self._json("GET", kind.path(namespace, name)))

    def list(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        metadata_only: bool = False,
    ) -> ObjectList:
        """All objects, by pages of 500; `metadata_only` asks for PartialObjectMetadata.

        A list that the server forgets between two pages (410) is begun once more.
        """
        query = _selectors(label_selector, field_selector)
        accept = _METADATA.format("PartialObjectMetadataList") if metadata_only else _JSON
        try:
            return self._pages(kind, kind.path(namespace), query, accept)
        except errors.Expired:
            return self._pages(kind, kind.path(namespace), query, accept)

    def watch(
        self,
        kind: Kind,
        *,
        resource_version: str,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        metadata_only: bool = False,
        timeout_seconds: int = 300,
    ) -> Watch:
        """Events behind `resource_version`, bookmarks included, until the server ends it.

        The request is sent here, so its errors (`Expired` among them) come from this call or from iteration.
        """
        query = _selectors(label_selector, field_selector) | {
            "watch": "1",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(timeout_seconds),
        }
        accept = _METADATA.format("PartialObjectMetadata") if metadata_only else _JSON
        self._count()
        stream = self._transport.stream(
            _with_query(kind.path(namespace), query),
            headers={"Accept": accept},
            read_timeout_seconds=timeout_seconds + max(_WATCH_GRACE_SECONDS, self._timeout_seconds),
        )
        if stream.status != 200:  # noqa: PLR2004 - a watch that runs is 200 and nothing else
            try:
                body = stream.read()
            finally:
                stream.close()
            raise _refusal(Answer(stream.status, body, stream.retry_after))
        return Watch(stream, kind)

    def apply(self, obj: Object, *, force: bool = True, dry_run: bool = False) -> Object:
        """Server-side apply as this client's field manager; returns what the server made of it.

        Raises:
            kube.errors.Conflict: without `force`, when another manager owns a field; the message names it.
        """
        kind = kind_of(obj)
        metadata = obj["metadata"]
        query = {"fieldManager": self._field_manager, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        path = _with_query(kind.path(metadata.get("namespace"), metadata["name"]), query)
        return _named(kind, self._json("PATCH", path, obj, content_type=_APPLY))

    def apply_status(self, obj: Object) -> Object:
        """Server-side apply to the status subresource, with force: `obj` holds `status` and what identifies it.

        Raises:
            kube.errors.NotFound: there is no such object; a status creates none.
            kube.errors.Conflict: `metadata.uid` is given, and the object of that name has another.
        """
        kind = kind_of(obj)
        metadata = obj["metadata"]
        path = f"{kind.path(metadata.get('namespace'), metadata['name'])}/status"
        query = {"fieldManager": self._field_manager, "force": "true"}
        return _named(kind, self._json("PATCH", _with_query(path, query), obj, content_type=_APPLY))

    def create(self, obj: Object) -> Object:
        """POST; raises `Conflict` when it exists."""
        kind = kind_of(obj)
        path = _with_query(kind.path(obj["metadata"].get("namespace")), {"fieldManager": self._field_manager})
        return _named(kind, self._json("POST", path, obj))

    def merge_patch(self, kind: Kind, name: str, body: Object, *, namespace: str | None = None) -> Object:
        """RFC 7396; put `metadata.resourceVersion` in it for an optimistic lock."""
        path = _with_query(kind.path(namespace, name), {"fieldManager": self._field_manager})
        return _named(kind, self._json("PATCH", path, body, content_type=_MERGE))

    def delete(self, kind: Kind, name: str, *, namespace: str | None = None, uid: str | None = None) -> None:
        """Background deletion with `uid` as precondition; an object already gone is fine.

        Raises:
            kube.errors.Conflict: the object of that name has another uid.
        """
        options: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
        }
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            self._json("DELETE", kind.path(namespace, name), options)
        except errors.NotFound:
            return

    def evict(self, namespace: str, pod: str, *, uid: str, resource_version: str) -> None:
        """Eviction (policy/v1) of exactly this pod in exactly this state.

        Raises:
            kube.errors.Conflict: it is another pod by that name, or it changed.
            kube.errors.TooManyRequests: a PodDisruptionBudget does not allow it now.
        """
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
            "deleteOptions": {"preconditions": preconditions},
        }
        self._json("POST", f"{POD.path(namespace, pod)}/eviction", eviction)

    def request_token(
        self, namespace: str, service_account: str, *, audiences: Sequence[str], expiration_seconds: int
    ) -> IssuedToken:
        """TokenRequest (authentication.k8s.io/v1); empty `audiences`: the API server's own."""
        spec: dict[str, Any] = {"expirationSeconds": expiration_seconds}
        if audiences:
            spec["audiences"] = [*audiences]
        path = f"{SERVICE_ACCOUNT.path(namespace, service_account)}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        status = self._json("POST", path, body).get("status") or {}
        try:
            expires_at = datetime.fromisoformat(status["expirationTimestamp"])
            return IssuedToken(status["token"], expires_at.replace(tzinfo=expires_at.tzinfo or UTC))
        except (KeyError, TypeError, ValueError):
            raise errors.ServerError(500, "", "the TokenRequest was answered without a token") from None

    def read_path(self, path: str) -> Mapping[str, Any]:
        """GET of a JSON document that is no object: `/version`, `/.well-known/openid-configuration`, `/openid/v1/jwks`."""
        return self._json(
            "GET", path, accept="application/json, */*;q=0.5"
        )  # JWKS has a media type of its own

    def close(self) -> None:
        """Gives its sockets back."""
        self._transport.close()

    def _pages(self, kind: Kind, path: str, query: Mapping[str, str], accept: str) -> ObjectList:
        items: list[Object] = []
        token = ""
        while True:
            page_query = {**query, "limit": str(PAGE_SIZE), **({"continue": token} if token else {})}
            page = self._json("GET", _with_query(path, page_query), accept=accept)
            items.extend(_named(kind, item) for item in _listed(page))
            metadata = page.get("metadata") or {}
            token = metadata.get("continue") or ""
            if not token:
                return ObjectList(tuple(items), metadata.get("resourceVersion") or "")

    def _json(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        accept: str = _JSON,
        content_type: str = _JSON,
    ) -> dict[str, Any]:
        if self._fence is not None and method != "GET" and self._fence.is_set():
            raise errors.Fenced("no longer the leader: nothing is written")
        headers = {"Accept": accept}
        content = None
        if body is not None:
            headers["Content-Type"] = content_type
            content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        answer = self._answer(method, path, content, headers)
        if not 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's class of success
            raise _refusal(answer)
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):  # nested without end
            document = None
        if not isinstance(document, dict):
            raise errors.ApiError(
                answer.status, "NotKubernetes", "the answer is no JSON object: is this an API server?"
            )
        return document

    def _answer(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Answer:
        if self._left is None:
            self._count()
            return self._transport.request(method, path, body=content, headers=headers)
        if self._left() <= 0:
            raise errors.OutOfTime("the time for all requests together is over")
        self._count()
        try:
            with hurry.within(self._left):
                return self._transport.request(method, path, body=content, headers=headers)
        except errors.Unreachable:
            if self._left() > 0:
                raise
            raise errors.OutOfTime("the time for all requests together is over") from None

    def _count(self) -> None:
        with self._counting:
            self._sent[0] += 1


def _refusal(answer: Answer) -> errors.ApiError:
    if 300 <= answer.status < 400:  # noqa: PLR2004 - HTTP's class of redirects
        return errors.ApiError(
            answer.status, "Redirected", "redirects are never followed; give the server's own URL"
        )
    return errors.from_answer(answer.status, answer.body, retry_after=answer.retry_after)


def _listed(page: Mapping[str, Any]) -> Sequence[Object]:
    items = page.get("items") or []
    if isinstance(items, list) and all(_is_object(item) for item in items):
        return items
    raise errors.ApiError(200, "NotKubernetes", "the list holds what is no object: is this an API server?")


def _is_object(item: Any) -> bool:
    metadata = item.get("metadata") if isinstance(item, dict) else None
    return isinstance(metadata, dict) and isinstance(metadata.get("name"), str)


def _named(kind: Kind, obj: Object) -> Object:
    obj["apiVersion"] = kind.api_version
    obj["kind"] = kind.kind
    return obj


def _selectors(label_selector: str | None, field_selector: str | None) -> dict[str, str]:
    selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {name: text for name, text in selectors.items() if text}


def _with_query(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
