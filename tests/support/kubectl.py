"""What a person does with kubectl, for tests: any kind, found by discovery; manifests in YAML; tables.

`kube.client` knows only the kinds that Pullpass touches; users and older tools write others.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from kube.client import Client
from kube.errors import NotFound
from kube.objects import Object

_TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
_MERGE = "application/merge-patch+json"


class Kubectl:
    """With the rights of `client`; its errors are `kube.errors`'."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def apply(self, manifest: str | Path | Object) -> list[Object]:
        """Creates each object, or merges it into what stands: what `kubectl apply -f` comes to. Returns what was stored."""
        return [self._apply(obj) for obj in _objects(manifest)]

    def create(self, obj: Object) -> Object:
        """`kubectl create`: `generateName` works, too."""
        metadata = obj["metadata"]
        path = self.path(obj["apiVersion"], obj["kind"], namespace=metadata.get("namespace"))
        return self._client._json("POST", f"{path}?fieldManager=kubectl", obj)

    def get(
        self, api_version: str, kind: str, name: str = "", *, namespace: str | None = None, query: str = ""
    ) -> Object:
        """One object, or without a name the list."""
        return self._client._json("GET", self.path(api_version, kind, name, namespace=namespace) + query)

    def find(self, api_version: str, kind: str, name: str, *, namespace: str | None = None) -> Object | None:
        """One object, None where there is none."""
        try:
            return self.get(api_version, kind, name, namespace=namespace)
        except NotFound:
            return None

    def table(self, api_version: str, kind: str, *, namespace: str | None = None) -> dict[str, list[Any]]:
        """`kubectl get`: columns by name, each with a cell per row."""
        path = self.path(api_version, kind, namespace=namespace)
        answer = self._client._json("GET", path, accept=_TABLE)
        names = [column["name"] for column in answer["columnDefinitions"]]
        rows = [row["cells"] for row in answer["rows"]]
        return {name: [cells[position] for cells in rows] for position, name in enumerate(names)}

    def merge(
        self, api_version: str, kind: str, name: str, body: Object, *, namespace: str | None = None
    ) -> Object:
        """`kubectl patch --type=merge`."""
        path = self.path(api_version, kind, name, namespace=namespace)
        return self._client._json("PATCH", f"{path}?fieldManager=kubectl", body, content_type=_MERGE)

    def patch_status(
        self, api_version: str, kind: str, name: str, status: Object, *, namespace: str | None = None
    ) -> None:
        """As the controllers of this kind write its status."""
        path = self.path(api_version, kind, name, namespace=namespace)
        self._client._json("PATCH", f"{path}/status", {"status": status}, content_type=_MERGE)

    def delete(self, api_version: str, kind: str, name: str, *, namespace: str | None = None) -> None:
        """One that is gone already is fine; does not wait."""
        try:
            self._client._json("DELETE", self.path(api_version, kind, name, namespace=namespace))
        except NotFound:
            return

    def path(self, api_version: str, kind: str, name: str = "", *, namespace: str | None = None) -> str:
        """Where the API server serves a kind."""
        root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        resources = self._client.read_path(root)["resources"]
        found = next(one for one in resources if one["kind"] == kind and "/" not in one["name"])
        middle = f"/namespaces/{quote(namespace, safe='')}" if found["namespaced"] and namespace else ""
        return f"{root}{middle}/{found['name']}" + (f"/{quote(name, safe='')}" if name else "")

    def _apply(self, obj: Object) -> Object:
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "default")
        key = (obj["apiVersion"], obj["kind"], metadata["name"])
        if self.find(*key, namespace=namespace) is None:
            path = self.path(obj["apiVersion"], obj["kind"], namespace=namespace)
            return self._client._json("POST", f"{path}?fieldManager=kubectl", obj)
        return self.merge(*key, obj, namespace=namespace)


def _objects(manifest: str | Path | Object) -> Iterator[Object]:
    if isinstance(manifest, dict):
        yield manifest
        return
    text = manifest.read_text(encoding="utf-8") if isinstance(manifest, Path) else manifest
    for document in yaml.safe_load_all(text):
        if document:
            yield document
