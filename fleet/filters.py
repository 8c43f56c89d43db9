"""Which clusters of an organisation are asked for: how they stand, what hits them, what they are called.

Narrows statements over the table of clusters; for `fleet.clusters` and `fleet.overview`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, select

from fleet import tables
from fleet.standing import Standing

_clusters = tables.clusters.c
_issues = tables.cluster_issues.c
_STANDING_SO = _clusters.standing == bindparam("standing")
_HIT_BY = _clusters.uid.in_(
    select(_issues.cluster_uid).where(_issues.org == bindparam("key_org"), _issues.code == bindparam("issue"))
)


@dataclass(frozen=True)
class Filter:
    """Which clusters: those that stand so, are hit by an issue with this code, and hold each word of the text.

    None and "" let everything through. A word is looked for in name, provider, role, tags and description.
    """

    standing: Standing | None = None
    issue: str | None = None
    text: str = ""


def narrowed(
    wanted: Select[*tuple[Any, ...]], values: dict[str, Any], only: Filter
) -> tuple[Select[*tuple[Any, ...]], dict[str, Any]]:
    """`wanted`, whose `values` hold `key_org`, with the conditions of `only`, and all values for it."""
    values = dict(values)
    if only.standing is not None:
        wanted, values["standing"] = wanted.where(_STANDING_SO), str(only.standing)
    if only.issue is not None:
        wanted, values["issue"] = wanted.where(_HIT_BY), only.issue
    for number, word in enumerate(dict.fromkeys(only.text.lower().split())):
        name = f"word_{number}"
        wanted = wanted.where(_clusters.search.like(bindparam(name), escape="\\"))
        values[name] = f"%{_literally(word)}%"
    return wanted, values


def _literally(word: str) -> str:
    """`word` as LIKE finds it and nothing else."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
