"""Styles, scripts and pictures: read once, compressed once, named by their content so that a browser keeps them.

Served by the console itself: no page asks another host for anything.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files

from flask import Response, request

from web.routing import Page, context

_COMPRESSED = frozenset({".css", ".js", ".svg", ".txt"})
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """One file; `compressed` is None where that gains nothing."""

    content: bytes
    compressed: bytes | None
    content_type: str
    digest: str


class Assets:
    """All files of `web/static`, in memory."""

    def __init__(self) -> None:
        self._found: dict[str, Asset] = {}
        for entry in files("web").joinpath("static").iterdir():
            content = entry.read_bytes()
            suffix = "." + entry.name.rpartition(".")[2]
            kind = mimetypes.guess_type(entry.name)[0] or "application/octet-stream"
            text = kind.startswith("text/") or suffix in _COMPRESSED
            self._found[entry.name] = Asset(
                content,
                gzip.compress(content, mtime=0) if suffix in _COMPRESSED else None,
                f"{kind}; charset=utf-8" if text else kind,
                hashlib.sha256(content).hexdigest()[:12],
            )

    def url(self, name: str) -> str:
        """Where a page finds the file: a path that changes with its content."""
        return f"/static/{self._found[name].digest}/{name}"

    def find(self, digest: str, name: str) -> Asset | None:
        """The file, if it is still the one that `digest` names."""
        found = self._found.get(name)
        return found if found is not None and found.digest == digest else None


def serve(digest: str, name: str) -> Response:
    """One file."""
    found = context().assets.find(digest, name)
    if found is None:
        return Response("there is no such file\n", HTTPStatus.NOT_FOUND, content_type="text/plain")
    headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
    body = found.content
    if found.compressed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        body = found.compressed
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers, content_type=found.content_type)


PAGES = (Page("GET", "/static/<digest>/<name>", serve, role=None),)
