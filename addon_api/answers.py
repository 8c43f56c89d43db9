"""Successful answers: JSON of one object or of one page. Errors leave through `problems`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from flask import Response, request

from fleet.records import Cluster
from schemas.errors import Invalid, Mistake

DEFAULT_LIMIT = 50
MAXIMUM_LIMIT = 500

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def of_json(document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`document` as JSON, members in the order given."""
    return Response(_encode(document) + "\n", status=status, headers=headers, content_type="application/json")


def limit() -> int:
    """`?limit=`: how many items a page holds.

    Raises:
        Invalid: it is no number from 1 to `MAXIMUM_LIMIT`.
    """
    text = request.args.get("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MAXIMUM_LIMIT):  # noqa: PLR2004 - keeps int() off long texts
        message = f"expected a number from 1 to {MAXIMUM_LIMIT}"
        raise Invalid.because_of([Mistake("?limit", message)])
    return int(text)


def of_page(
    item_kind: str,
    items: Sequence[Any],
    *,
    path: str,
    limit: int,
    after: str | None,
    before: str | None = None,
    asked: Mapping[str, str] | None = None,
) -> Response:
    """One page in the wire contract's list shape; `after` is where the next one starts, None on the last.

    `before` is where the previous one ends, None where there is none. `asked` is what else the query said, which
    the other pages are asked for as well.
    """
    links = [{"rel": "self", "href": path}]
    for rel, name, key in (("next", "after", after), ("prev", "before", before)):
        if key is not None:
            query = urlencode({"limit": limit, name: key, **(asked or {})})
            links.append({"rel": rel, "href": f"{path}?{query}"})
    return of_json({"kind": "list", "itemKind": item_kind, "items": items, "links": links})


def collection_path(org: str) -> str:
    """The path of an organisation's clusters."""
    return f"/org/{_quoted(org)}/mk8s"


def cluster_path(org: str, name: str) -> str:
    """The path (and self link) of one cluster."""
    return f"/org/{_quoted(org)}/mk8s/{_quoted(name)}"


def principal_link(org: str, token: str) -> str:
    """How the wire contract names whoever holds the token called `token`; the link leads nowhere."""
    return f"/org/{_quoted(org)}/serviceaccount/{_quoted(token)}"


@lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    return quote(text, safe="")


def etag_of(cluster: Cluster) -> str:
    """The entity tag of a cluster's manifest: a cluster made anew under an old name never has an old tag."""
    return f'"{cluster.uid}.{cluster.version}"'
