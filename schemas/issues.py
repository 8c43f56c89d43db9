"""Codes, messages and remedies of issues: one table, documented in docs/reference/issues.md.

The controller and the agent's chain speak in codes; this table turns a code and the values of one cluster
into the `Issue` that a person reads. A test holds that each code has a section in the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.status import Issue


@dataclass(frozen=True)
class IssueKind:
    """`message` and `remedy` are `str.format_map` templates over the values of one cluster.

    `terminal` tells that only the user can change the outcome, so retrying soon is of no use.
    """

    code: str
    message: str
    remedy: str
    terminal: bool = True


KINDS: Mapping[str, IssueKind] = {}


def issue(code: str, values: Mapping[str, str], *, resources: tuple[str, ...] = ()) -> Issue:
    """The issue `code` with `values` filled in; a value that is missing stays as `${NAME}` for the user."""
    raise NotImplementedError
