"""`-query`: the clusters that a query of the wire contract asks for.

`POST` takes the query as its body. The link to the next page carries the query with it, because `cpln` follows it
with a bare `GET`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Response, request

from addon_api import answers, bodies, clusters, representation
from addon_api.routing import Route, context
from fleet import queries
from fleet.records import Role
from schemas import documents, query
from schemas.errors import Invalid, Mistake

_PATH = "/org/<org>/mk8s/-query"
_LONGEST = 1000  # as JSON; percent-encoded it still fits a request line


def by_body(org: str) -> Response:
    """The first page of what the body asks for."""
    return _page(org, bodies.read())


def by_link(org: str) -> Response:
    """A further page: `?query=` is the body of the first request."""
    text = request.args.get("query", "{}")
    return _page(org, documents.read_json(text.encode(errors="surrogatepass")))


def _page(org: str, body: Mapping[str, Any]) -> Response:
    here = context()
    limit = answers.limit()
    wanted = query.parse(body)
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    if len(text.encode(errors="surrogatepass")) > _LONGEST:
        raise Invalid.because_of([Mistake("$", f"expected a query of at most {_LONGEST} bytes")])
    after = request.args.get("after")
    page = queries.page(here.database, org, wanted, representation.without_policies, after=after, limit=limit)
    return answers.of_page(
        representation.KIND,
        clusters.shown(here, org, page.items),
        path=f"{answers.collection_path(org)}/-query",
        limit=limit,
        after=page.after,
        asked={"query": text},
    )


_PAGING = {
    "limit": f"items per page, 1 to {answers.MAXIMUM_LIMIT}; {answers.DEFAULT_LIMIT} unless told",
    "after": "where the page starts; take it from `links[rel=next]`",
}

ROUTES = (
    Route(
        "POST",
        _PATH,
        by_body,
        Role.VIEWER,
        "Find clusters by properties, tags and links",
        answers={200: "ClusterList"},
        body="Query",
        query=_PAGING,
    ),
    Route(
        "GET",
        _PATH,
        by_link,
        Role.VIEWER,
        "A further page of a query, by `links[rel=next]`",
        answers={200: "ClusterList"},
        query={"query": "the body of the `POST`, as JSON", **_PAGING},
    ),
)
