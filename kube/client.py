"""One cluster's API: known paths, JSON bytes through the pool that the official client configured.

The official client brings configuration, credentials and TLS (`kube.transport`, the only module that imports it);
the hot path is bytes in and bytes out, because its typed calls cost seven times the CPU.
Used by `controller`, `agent` and `cli`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kube.objects import Kind, Object

FIELD_MANAGER = "pullpass"


@dataclass(frozen=True)
class Access:
    """How to reach one API server. Certificates and keys are PEM text, `token` a bearer token.

    `token_file` is read anew when it changes (a pod's projected token). Redirects are never followed;
    a link-local address is never dialled, a loopback one only with `allow_loopback`.
    """

    server: str
    certificate_authority: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = field(default=None, repr=False)
    tls_server_name: str | None = None
    proxy: str | None = None
    timeout_seconds: float = 10.0
    allow_loopback: bool = False


@dataclass(frozen=True)
class ObjectList:
    """A whole list (pages followed) and the resource version to watch from."""

    items: tuple[Object, ...]
    resource_version: str


@dataclass(frozen=True)
class WatchEvent:
    """`type`: ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Object


@dataclass(frozen=True)
class IssuedToken:
    """What a TokenRequest granted, which may live shorter or longer than asked for."""

    token: str = field(repr=False)
    expires_at: datetime


class Client:
    """One cluster. Safe for several threads. Every method raises `kube.errors.KubeError`."""

    def __init__(self, access: Access) -> None:
        raise NotImplementedError

    def get(self, kind: Kind, name: str, *, namespace: str | None = None) -> Object:
        """One object."""
        raise NotImplementedError

    def list(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        metadata_only: bool = False,
    ) -> ObjectList:
        """All objects, by pages of 500; `metadata_only` asks for PartialObjectMetadata."""
        raise NotImplementedError

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
    ) -> Iterator[WatchEvent]:
        """Events behind `resource_version`, bookmarks included, until the server ends it. Raises `Expired`."""
        raise NotImplementedError

    def apply(self, obj: Object, *, force: bool = True, dry_run: bool = False) -> Object:
        """Server-side apply as field manager `pullpass`; returns what the server made of it."""
        raise NotImplementedError

    def create(self, obj: Object) -> Object:
        """POST; raises `Conflict` when it exists."""
        raise NotImplementedError

    def merge_patch(self, kind: Kind, name: str, body: Object, *, namespace: str | None = None) -> Object:
        """RFC 7396; put `metadata.resourceVersion` in it for an optimistic lock."""
        raise NotImplementedError

    def delete(self, kind: Kind, name: str, *, namespace: str | None = None, uid: str | None = None) -> None:
        """Background deletion with `uid` as precondition; an object already gone is fine."""
        raise NotImplementedError

    def request_token(
        self, namespace: str, service_account: str, *, audiences: Sequence[str], expiration_seconds: int
    ) -> IssuedToken:
        """TokenRequest (authentication.k8s.io/v1); empty `audiences`: the API server's own."""
        raise NotImplementedError

    def read_path(self, path: str) -> Mapping[str, Any]:
        """GET of a JSON document that is no object: `/version`, `/.well-known/openid-configuration`, `/openid/v1/jwks`."""
        raise NotImplementedError

    def close(self) -> None:
        """Gives its sockets back."""
        raise NotImplementedError
