"""The little of the Kubernetes API that the driver needs: its Node, the pods on it, and Leases.

The standard library only. Installing needs no API server; what needs it is taking turns (`slots`), the selector and
the report. The token is read anew for every request: it is projected and changes.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

NAMESPACE = "pullpass-system"
FIELD_MANAGER = "pullpass-node"
_LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
_TIMEOUT_SECONDS = 10.0
_PAGE = 500

Object = dict[str, Any]


class KubernetesError(Exception):
    """The API server could not be reached or refused; `status` is 0 when there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Kubernetes(Protocol):
    """The API server, for this driver."""

    def node(self, name: str) -> Object | None: ...

    def nodes(self) -> list[Object]: ...

    def pods_on(self, node: str) -> list[Object]: ...

    def leases(self) -> list[Object]: ...

    def lease(self, name: str) -> Object | None: ...

    def create_lease(self, lease: Object) -> Object | None:
        """None when there is one already."""

    def replace_lease(self, lease: Object) -> Object | None:
        """None when it was changed since it was read (its resourceVersion is the lock)."""

    def apply_lease(self, lease: Object) -> None:
        """Server-side apply, with force: the lease is this driver's own."""


class ApiServer:
    """The real one, over https."""

    def __init__(self, server: str, token_file: Path, ca_file: Path) -> None:
        self._server = server.rstrip("/")
        self._token_file = token_file
        self._ca_file = ca_file

    def node(self, name: str) -> Object | None:
        return self._or_none("GET", f"/api/v1/nodes/{name}")

    def nodes(self) -> list[Object]:
        return list(self._list("/api/v1/nodes", {}))

    def pods_on(self, node: str) -> list[Object]:
        return list(self._list("/api/v1/pods", {"fieldSelector": f"spec.nodeName={node}"}))

    def leases(self) -> list[Object]:
        return list(self._list(_LEASES, {}))

    def lease(self, name: str) -> Object | None:
        return self._or_none("GET", f"{_LEASES}/{name}")

    def create_lease(self, lease: Object) -> Object | None:
        return self._or_none("POST", _LEASES, lease)

    def replace_lease(self, lease: Object) -> Object | None:
        return self._or_none("PUT", f"{_LEASES}/{lease['metadata']['name']}", lease)

    def apply_lease(self, lease: Object) -> None:
        query = urllib.parse.urlencode({"fieldManager": FIELD_MANAGER, "force": "true"})
        path = f"{_LEASES}/{lease['metadata']['name']}?{query}"
        self._request("PATCH", path, lease, content_type="application/apply-patch+yaml")

    def _list(self, path: str, query: Mapping[str, str]) -> Iterator[Object]:
        following = ""
        while True:
            page = {**query, "limit": str(_PAGE), **({"continue": following} if following else {})}
            answer = self._request("GET", f"{path}?{urllib.parse.urlencode(page)}")
            yield from answer.get("items") or []
            following = answer.get("metadata", {}).get("continue", "")
            if not following:
                return

    def _or_none(self, method: str, path: str, body: Object | None = None) -> Object | None:
        try:
            return self._request(method, path, body)
        except KubernetesError as error:
            if error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                return None
            raise

    def _request(
        self, method: str, path: str, body: Object | None = None, *, content_type: str = "application/json"
    ) -> Object:
        try:
            token = self._token_file.read_text(encoding="ascii").strip()
            context = ssl.create_default_context(cafile=str(self._ca_file))
        except (OSError, UnicodeError, ssl.SSLError) as error:
            raise KubernetesError(f"the driver's own token or authority cannot be read: {error}") from None
        request = urllib.request.Request(  # noqa: S310 - `settings` takes https only
            self._server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/json",
                "Content-Type": content_type,
            },
        )
        directly = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with directly.open(request, timeout=_TIMEOUT_SECONDS) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(2000).decode(errors="replace")
            raise KubernetesError(f"{method} {path}: {error.code}: {_message(said)}", error.code) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise KubernetesError(f"{method} {path}: {error}") from None
        if not isinstance(answer, dict):
            raise KubernetesError(f"{method} {path}: the answer is no object")
        return answer


def is_ready(node: Object) -> bool:
    """Whether the Node says so."""
    conditions = node.get("status", {}).get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def labels(node: Object) -> dict[str, str]:
    """The Node's labels."""
    return dict(node.get("metadata", {}).get("labels") or {})


def _message(said: str) -> str:
    try:
        return str(json.loads(said)["message"])
    except (ValueError, KeyError, TypeError):
        return said[:200]
