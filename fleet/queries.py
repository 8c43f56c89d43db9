"""Queries over the clusters of one organisation: what columns can answer narrows the read, the rest is looked at.

At worst that is one pass over the organisation's clusters, in batches. Called by `addon_api`, which says how a
cluster looks to whoever asks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection as Session
from sqlalchemy import bindparam, func
from sqlalchemy.sql.elements import ColumnElement

from fleet import standing, tables
from fleet.cluster_rows import READ, from_row
from fleet.database import Database
from fleet.records import Cluster, Page
from schemas import query as language
from schemas.errors import Invalid
from schemas.query import Match, Of, Query, Term, in_words

Show = Callable[[Cluster], Mapping[str, Any]]
"""A cluster as the API shows it."""

_BATCH = 500
_VERSIONS = 1
_KINDS: Mapping[int, type | tuple[type, ...]] = {
    -1: int,
    0: (int, float),
    _VERSIONS: tuple,
    2: str,
    3: int,
}  # of `schemas.query.sort_key`, by rank
_clusters = tables.clusters.c
_IN_ORG = READ.where(_clusters.org == bindparam("key_org"))
_BY_NAME = (
    _IN_ORG.where(_clusters.name > bindparam("after")).order_by(_clusters.name).limit(bindparam("rows"))
)
_NAMED = _IN_ORG.where(_clusters.name.in_(bindparam("names", expanding=True)))
# A property that a column of its own holds; all but the name's have an index beside `org`.
_COLUMNS: Mapping[str, ColumnElement[str]] = {
    "id": _clusters.uid,
    "name": _clusters.name,
    "status.standing": _clusters.standing,
    "spec.addOns.awsECR.roleArn": _clusters.role_arn,
}

_UNSEARCHED = _clusters.search.is_(None)  # a release before stored the row
_CUT_OFF = func.length(_clusters.search) >= standing.MOST_SEARCHED  # a tag may stand behind the end


def page(
    database: Database, org: str, query: Query, show: Show, *, after: str | None = None, limit: int = 50
) -> Page[Cluster]:
    """The clusters of `org` that `query` asks for, in its order.

    Raises:
        schemas.errors.Invalid: `after` is none that an earlier page gave.
    """
    with database.read() as session:
        if query.sort_by == "name" and not query.descending:
            return _by_name(session, org, query, show, after=after or "", limit=limit)
        return _sorted(session, org, query, show, after=after, limit=limit)


def _by_name(
    session: Session, org: str, query: Query, show: Show, *, after: str, limit: int
) -> Page[Cluster]:
    found: list[Cluster] = []
    for cluster, document in _scan(session, org, query, show, after=after):
        if _matches(cluster, document, query):
            found.append(cluster)
        if len(found) > limit:
            return Page(tuple(found[:limit]), found[limit - 1].key.name)
    return Page(tuple(found), None)


def _sorted(
    session: Session, org: str, query: Query, show: Show, *, after: str | None, limit: int
) -> Page[Cluster]:
    """Remembers key and name of every cluster that matches, and reads those of the page again."""
    places = [
        (language.sort_key(document, query), cluster.key.name)
        for cluster, document in _scan(session, org, query, show, after="")
        if _matches(cluster, document, query)
    ]
    places.sort(key=lambda place: place[0], reverse=query.descending)  # stable: names stay in order
    if after is not None:
        key, name = _place(after)
        places = [place for place in places if _is_behind(place, key, name, descending=query.descending)]
    names = [name for _, name in places[:limit]]
    rows = session.execute(_NAMED, {"key_org": org, "names": names}).all()
    clusters = {row.name: from_row(row) for row in rows}
    items = tuple(clusters[name] for name in names if name in clusters)
    return Page(items, json.dumps(places[limit - 1]) if len(places) > limit else None)


def _matches(cluster: Cluster, document: Mapping[str, Any], query: Query) -> bool:
    anywhere = any(term.key == language.ANYTHING for term in query.terms)
    return language.matches(document, standing.search_text(cluster) if anywhere else "", query)


def _is_behind(place: tuple[Any, str], key: Any, name: str, *, descending: bool) -> bool:
    if place[0] == key:
        return place[1] > name
    return bool(place[0] < key if descending else place[0] > key)


def _place(after: str) -> tuple[Any, str]:
    """Key and name that an earlier page ended with; the key's types are those of its rank, so that they compare."""
    try:
        (rank, value), name = json.loads(after)
    except (ValueError, TypeError, RecursionError):
        rank, value, name = None, None, None
    if rank == _VERSIONS and isinstance(value, list) and all(type(number) is int for number in value):
        value = tuple(value)
    kind = _KINDS.get(rank) if type(rank) is int else None
    if kind is None or not isinstance(value, kind) or not isinstance(name, str):
        raise Invalid("`after` is none that an earlier page gave")
    return (rank, value), name


def _scan(
    session: Session, org: str, query: Query, show: Show, *, after: str
) -> Iterator[tuple[Cluster, Mapping[str, Any]]]:
    """The clusters that may match, by name, each with what it looks like."""
    wanted = _BY_NAME.where(*_narrowing(query))
    while True:
        rows = session.execute(wanted, {"key_org": org, "after": after, "rows": _BATCH}).all()
        for row in rows:
            cluster = from_row(row)
            yield cluster, show(cluster)
        if len(rows) < _BATCH:
            return
        after = rows[-1].name


def _narrowing(query: Query) -> Iterator[ColumnElement[bool]]:
    """Conditions that every cluster that matches fulfils."""
    if query.match is Match.ALL or (query.match is Match.ANY and len(query.terms) == 1):
        for term in query.terms:
            condition = _condition(term)
            if condition is not None:
                yield condition


def _condition(term: Term) -> ColumnElement[bool] | None:
    value = in_words(term.value)
    if term.of is Of.PROPERTY and term.key == language.ANYTHING:
        return _UNSEARCHED | _contains(_clusters.search, value.lower())
    if term.of is Of.PROPERTY and term.key in _COLUMNS and term.op == "=":
        return _COLUMNS[term.key] == value
    if term.of is Of.PROPERTY and term.key == "name" and term.op == "~":
        return _contains(_clusters.name, value.lower())
    if term.of is Of.TAG and term.key != language.ANYTHING and term.op in {"=", "exists"}:
        # A number has several spellings; that the tag is there at all narrows enough.
        exact = value if term.op == "=" and isinstance(term.value, str) else ""
        return _UNSEARCHED | _CUT_OFF | _contains(_clusters.search, f"{term.key}={exact}".lower())
    return None


def _contains(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    text = text.replace("\x00", "")  # which `search` leaves out
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return column.like(f"%{escaped}%", escape="\\")
