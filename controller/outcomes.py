"""The one exit of failures: what went wrong in the world becomes an issue and a word to the queue.

::

    no answer, 429, 5xx, a proxy's or another server's answer   ClusterUnreachable    retried, backing off
    401                                                         CredentialRefused     waits for `pullpass reconnect`
    403 by RBAC, our namespace gone                             RightsMissing         waits for `pullpass connect`
    403 by admission, 400, 422                                  ApplyRefused          waits for the cluster's admin
    AWS refuses the hub's own identity or its roles             its own codes         waits, or retried where it may pass
    409, 410, the database                                      -                     retried
    the shard went to another process                           -                     not ours any more

What waits for a person is looked at again with every periodic look. Called by `controller.cluster` alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from aws.hub_failures import HubAwsFailure
from fleet.errors import DatabaseUnavailable, SealBroken
from kube import errors
from reconcile.outcome import ReconcileError, Retryable, Terminal

# How the API server words a refusal by RBAC; every other 403 is an admission rule's.
_BY_RBAC = re.compile(
    r"cannot \S+ (?:resource|path) |attempting to grant RBAC permissions|unknown to the server"
)
# The hub did not get as far as the API server, or was not let in.
UNREACHED = frozenset({"", "ConnectionMissing", "ClusterUnreachable", "CredentialRefused"}) | {
    "HubIdentityMissing",
    "HubAwsUnreachable",
    "DeployRoleRefused",
    "DeployRoleOpen",
    "StsRegionDisabled",
    "EksAccessDenied",
    "EksClusterNotFound",
    "EksNoAccessEntry",
}
_ENDING = "because it is being terminated"
_BAD_REQUEST = 400
_WAITING: tuple[tuple[type[errors.KubeError], str], ...] = (
    (errors.Unauthorized, "CredentialRefused"),
    (errors.NotFound, "RightsMissing"),
    (errors.Invalid, "ApplyRefused"),
)


class Obstacle(Exception):
    """Something that a reconcile found in its way; `code` and `values` are those of the issue."""

    def __init__(self, code: str, message: str, **values: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.values = values


@dataclass(frozen=True)
class Failure:
    """`code` is the issue's ("" where a person need not know), `message` the world's own words."""

    code: str
    message: str
    error: ReconcileError
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def waits_for_a_person(self) -> bool:
        """Whether trying again is of no use."""
        return isinstance(self.error, Terminal)

    @property
    def reached(self) -> bool:
        """Whether the cluster is known to have answered, and to let us in."""
        return self.code not in UNREACHED


def judge(error: Exception) -> Failure | None:
    """The failure that `error` is; None: a bug of ours, which must stay visible."""
    match error:
        case Obstacle():
            return replace(_terminal(error.code, error.message), values=error.values)
        case SealBroken():
            return _terminal("ConnectionMissing", "the stored connection does not open with the hub's key")
        case HubAwsFailure():
            made = _retryable if error.transient else _terminal
            return replace(made(error.code, error.message), values=error.values)
        case DatabaseUnavailable():
            return Failure("", str(error), Retryable(str(error)))
        case errors.KubeError():
            return _of_cluster(error)
    return None


def _of_cluster(error: errors.KubeError) -> Failure:
    message = error.message if isinstance(error, errors.ApiError) else str(error)
    if isinstance(error, errors.Forbidden):
        return _refused(message)
    if isinstance(error, errors.Conflict | errors.Expired):
        return _retryable("", message)
    for kind, code in _WAITING:
        if isinstance(error, kind):
            return _terminal(code, message)
    if isinstance(error, errors.ApiError) and error.status == _BAD_REQUEST:
        return _terminal("ApplyRefused", message)
    retry_after = error.retry_after if isinstance(error, errors.ApiError) else None
    return _retryable("ClusterUnreachable", str(error), retry_after)


def _refused(message: str) -> Failure:
    if _ENDING in message:
        return _retryable("", message)
    return _terminal("RightsMissing" if _BY_RBAC.search(message) else "ApplyRefused", message)


def _terminal(code: str, message: str) -> Failure:
    return Failure(code, message, Terminal(f"{code}: {message}"))


def _retryable(code: str, message: str, retry_after: float | None = None) -> Failure:
    words = f"{code}: {message}" if code else message
    return Failure(code, message, Retryable(words, retry_after=retry_after))
