"""Failures of one cluster's API, told apart by what can be done about them.

::

    KubeError
    ├── Unreachable          no answer: DNS, refused, TLS, time-out, proxy
    └── ApiError             an answer: `status` (HTTP), `reason` (metav1.Status), `message` (short)
        ├── Unauthorized     401
        ├── Forbidden        403
        ├── NotFound         404
        ├── Conflict         409 (also AlreadyExists)
        ├── Expired          410: the watch or list must start anew
        ├── Invalid          422
        ├── TooManyRequests  429 (`retry_after`)
        └── ServerError      5xx (`retry_after` where it says so)

No message ever holds a credential.
"""

from __future__ import annotations


class KubeError(Exception):
    """The base."""


class Unreachable(KubeError):
    """No answer."""


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
