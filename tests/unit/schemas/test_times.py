from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from schemas.times import format_time, parse_time


def test_a_time_is_written_in_utc_without_fractions() -> None:
    moment = datetime(2026, 11, 22, 7, 40, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(moment) == "2026-11-22T05:40:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T05:40:00Z",
        "2026-11-22t05:40:00z",
        "2026-11-22T07:40:00+02:00",
        "2026-11-22T05:40:00.123456789Z",
    ],
)
def test_every_spelling_of_rfc_3339_is_read(text: str) -> None:
    assert parse_time(text) == datetime(2026, 11, 22, 5, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "2026-11-22", "2026-11-22T05:40:00", "2026-11-22 05:40:00Z", "2026-13-22T05:40:00Z", "yesterday"],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|month"):
        parse_time(text)


def test_a_time_before_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="range"):
        parse_time("0001-01-01T00:00:00+23:59")
