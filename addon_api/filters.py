"""`?standing=`, `?issue=` and `?text=`: which clusters a list or a count is asked for."""

from __future__ import annotations

from flask import request

from fleet.filters import Filter
from fleet.standing import Standing
from schemas.errors import Invalid, Mistake

_LONGEST = 200

ISSUE_AND_TEXT = {
    "issue": "only clusters with an issue of this code",
    "text": "only clusters that hold each of these words in name, provider, role, tags or description",
}
ALL = {"standing": f"only clusters that stand so: {', '.join(Standing)}", **ISSUE_AND_TEXT}


def asked() -> Filter:
    """What the query says.

    Raises:
        Invalid: `?standing=` is no standing.
    """
    named, issue = request.args.get("standing"), request.args.get("issue")
    if named is not None and named not in set(Standing):
        known = ", ".join(Standing)
        raise Invalid.because_of([Mistake("?standing", f"`{named[:40]}` is none of {known}")])
    standing = None if named is None else Standing(named)
    return Filter(standing, issue, request.args.get("text", "")[:_LONGEST])
