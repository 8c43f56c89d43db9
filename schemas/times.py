"""Times on the wire and in stored documents: RFC 3339, UTC, whole seconds (`2026-11-22T05:40:00Z`).

Called by every module that writes or reads a time in JSON; inside the program a time is always an aware
`datetime` in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

# RFC 3339, section 5.6 `date-time`; stricter than `datetime.fromisoformat`, which also takes bare dates.
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def format_time(moment: datetime) -> str:
    """`moment` (aware) as RFC 3339 in UTC; fractions of a second are cut off, as `metav1.Time` does."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="seconds")[:19] + "Z"


def parse_time(text: str) -> datetime:
    """The aware UTC time that `text` names, to the second.

    Raises:
        ValueError: `text` is no RFC 3339 time.
    """
    if _DATE_TIME.fullmatch(text) is None:
        raise ValueError(f"expected an RFC 3339 time such as 2026-11-22T05:40:00Z, got {text[:40]!r}")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC).replace(microsecond=0)
    except OverflowError as error:
        raise ValueError("the time is out of range") from error
