"""Failures of one cluster's API, told apart by what can be done about them.

::

    KubeError
    ├── KubeconfigError      the user's own kubeconfig gives no access that can be used
    ├── Fenced               a write of one that is no longer the leader; it was not sent
    ├── Unreachable          no answer: DNS, refused, TLS, time-out, proxy, a broken stream, a refused address
    │   └── OutOfTime        the time for everything together was over (`kube.client.Client.within`)
    └── ApiError             an answer: `status` (HTTP), `reason` (metav1.Status), `message` (short)
        ├── Unauthorized     401
        ├── Forbidden        403
        ├── NotFound         404
        ├── Conflict         409 (also AlreadyExists)
        ├── Expired          410: the watch or list must start anew
        ├── Invalid          422
        ├── TooManyRequests  429 (`retry_after`)
        └── ServerError      5xx (`retry_after` where it says so)

No message ever holds a credential: what a server says is cut short, and anything that looks like a token is struck.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


class KubeError(Exception):
    """The base."""


class KubeconfigError(KubeError):
    """No such context, no credential, an exec plugin that failed, TLS verification turned off."""


class Fenced(KubeError):
    """Not sent: leadership was lost (`kube.client.Client.fenced`)."""


class Unreachable(KubeError):
    """No answer."""


class OutOfTime(Unreachable):
    """The server may answer, but not in the time that its caller had for all requests together."""


class ApiError(KubeError):
    """An answer that says no."""

    def __init__(self, status: int, reason: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{reason or status}: {message}" if message else str(reason or status))
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class Unauthorized(ApiError):
    """401: the credential is not taken (expired, revoked, of another cluster)."""


class Forbidden(ApiError):
    """403: RBAC or an admission rule says no."""


class NotFound(ApiError):
    """404."""


class Conflict(ApiError):
    """409: somebody changed it meanwhile, or it exists already."""


class Expired(ApiError):
    """410: the resource version is too old."""


class Invalid(ApiError):
    """422."""


class TooManyRequests(ApiError):
    """429."""


class ServerError(ApiError):
    """5xx."""


MESSAGE_LIMIT = 600
LONGEST_RETRY_SECONDS = 3600.0

_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
}
# A JSON web token, or whatever follows the word that announces a credential.
_CREDENTIAL = re.compile(r"eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?|(?i:(?<=bearer )|(?<=basic ))[\w.~+/=-]{8,}")


def from_answer(status: int, body: bytes, *, retry_after: str | None = None) -> ApiError:
    """The error for an HTTP answer that is no success.

    Args:
        status: The HTTP status.
        body: A metav1.Status in JSON, or the text of whatever stands before the API server.
        retry_after: The header of that name; only seconds are understood, as Kubernetes sends them.
    """
    document = _json_object(body)
    if document is None:
        text = "" if body.lstrip().startswith(b"<") else body[: 2 * MESSAGE_LIMIT].decode("utf-8", "replace")
        document = {"message": text}
    return from_status({"code": status, **document, "status": status}, retry_after=retry_after)


def from_status(document: Mapping[str, Any], *, retry_after: str | None = None) -> ApiError:
    """The error for a metav1.Status, as it also comes as the ERROR event of a watch."""
    code = document.get("status")
    status = code if isinstance(code, int) else _integer(document.get("code")) or 500
    details = document.get("details")
    hint = details.get("retryAfterSeconds") if isinstance(details, Mapping) else None
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)  # noqa: PLR2004 - the class 5xx
    return kind(
        status,
        str(document.get("reason") or ""),
        short(str(document.get("message") or "")),
        retry_after=_seconds(retry_after) if retry_after else _seconds(hint),
    )


def short(message: str) -> str:
    """The message on one line, cut, with whatever looks like a credential struck out."""
    line = " ".join(_CREDENTIAL.sub("[removed]", message).split())
    return line if len(line) <= MESSAGE_LIMIT else f"{line[: MESSAGE_LIMIT - 1]}…"


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _seconds(value: object) -> float | None:
    """What a server asks for, an hour at most; None for what is no number of seconds."""
    try:
        seconds = float(str(value))
    except ValueError:
        return None
    return min(seconds, LONGEST_RETRY_SECONDS) if seconds >= 0 else None
