from __future__ import annotations

import json

import pytest

from kube import errors


def status(code: int, reason: str, message: str = "", **details: object) -> bytes:
    return json.dumps(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": code,
            "reason": reason,
            "message": message,
            "details": details,
        }
    ).encode()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (400, errors.ApiError),
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (410, errors.Expired),
        (422, errors.Invalid),
        (429, errors.TooManyRequests),
        (500, errors.ServerError),
        (503, errors.ServerError),
    ],
)
def test_each_status_is_an_error_of_its_own(code: int, expected: type[errors.ApiError]) -> None:
    error = errors.from_answer(code, status(code, "Because", "of this"))

    assert expected is type(error)
    assert (code, "Because", "of this") == (error.status, error.reason, error.message)
    assert "Because: of this" == str(error)


def test_the_http_status_counts_even_where_the_body_says_another() -> None:
    assert errors.Forbidden is type(errors.from_answer(403, status(500, "InternalError")))


def test_the_header_tells_when_to_come_back() -> None:
    error = errors.from_answer(429, status(429, "TooManyRequests", retryAfterSeconds=9), retry_after="3")

    assert 3.0 == error.retry_after


def test_the_status_tells_when_to_come_back_without_a_header() -> None:
    error = errors.from_answer(503, status(503, "ServiceUnavailable", retryAfterSeconds=9))

    assert 9.0 == error.retry_after


def test_a_date_to_come_back_at_is_not_understood() -> None:
    error = errors.from_answer(429, b"", retry_after="Sun, 22 Nov 2026 06:00:00 GMT")

    assert error.retry_after is None


def test_the_text_of_a_gateway_is_the_message() -> None:
    error = errors.from_answer(502, b"upstream\n  connect error")

    assert "upstream connect error" == error.message


def test_a_page_of_html_is_no_message() -> None:
    error = errors.from_answer(502, b" <html><body>Bad gateway</body></html>")

    assert "502" == str(error)


def test_a_long_message_is_cut() -> None:
    error = errors.from_answer(500, status(500, "InternalError", "x" * 5000))

    assert errors.MESSAGE_LIMIT == len(error.message)


@pytest.mark.parametrize(
    "credential",
    [
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl",
        "Bearer abcdef0123456789",
        "basic dXNlcjpwYXNzd29yZA==",
    ],
)
def test_what_looks_like_a_credential_is_struck_out(credential: str) -> None:
    error = errors.from_answer(401, status(401, "Unauthorized", f"rejected {credential} of yours"))

    assert credential.rpartition(" ")[2] not in error.message
    assert error.message.startswith("rejected ")
    assert error.message.endswith("[removed] of yours")


@pytest.mark.parametrize(
    ("asked", "expected"), [("1e300", 3600.0), ("inf", 3600.0), ("nan", None), ("-5", None)]
)
def test_a_server_asks_for_an_hour_at_most(asked: str, expected: float | None) -> None:
    assert expected == errors.from_answer(429, b"", retry_after=asked).retry_after
    assert expected == errors.from_answer(429, status(429, "Slow", retryAfterSeconds=asked)).retry_after
