"""Refusals: what the user asked for cannot be done, and the user can mend it.

The tree (each class carries its HTTP status and its code on the wire)::

    Refusal
    ├── Invalid             400 INVALID              the body says something wrong: see `mistakes`
    ├── Unauthenticated     401 UNAUTHENTICATED
    ├── Forbidden           403 FORBIDDEN            the role is too small
    ├── NotFound            404 NOT_FOUND            also: it belongs to another organisation
    ├── Conflict            409 CONFLICT             it exists already, or changed meanwhile
    ├── PreconditionFailed  412 PRECONDITION_FAILED  If-Match does not match
    └── Unprocessable       422 (a code of its own)  well formed, and cannot be done as things stand

Raised by `schemas` and `fleet`; they leave through one exit, `addon_api.problems`. Failures of the
world (a cluster that is down, an AWS error) are no refusals: each leaf package has its own tree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong in a body.

    `path` is a JSON path such as `$.spec.provider.generic.location`; `message` says what is wrong and
    what was expected on one short line; `hint` says what to do ("did you mean `awsECR`?"), or is empty.
    """

    path: str
    message: str
    hint: str = ""


_MISTAKES = 200
_PLAIN_STEP = re.compile(r"[A-Za-z_$-][A-Za-z0-9_$-]*", re.ASCII)


def json_path(path: str, *steps: str | int) -> str:
    """`path` and then `steps`: `$.tags["cpln/x"]`, `$.spec.firewall[0]`; long keys are cut."""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif _PLAIN_STEP.fullmatch(step):
            path += f".{step[:80]}"
        else:
            path += f"[{step[:80]!r}]"
    return path


class Refusal(Exception):
    """The base of the tree; `message` is one short line that names the field or the thing."""

    status: HTTPStatus = HTTPStatus.BAD_REQUEST
    code: str = "BAD_REQUEST"

    def __init__(self, message: str, *, mistakes: Sequence[Mistake] = (), code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.mistakes = tuple(mistakes)
        if code is not None:
            self.code = code


class Invalid(Refusal):
    """The body says something wrong; `mistakes` holds every one of them at once."""

    code = "INVALID"

    @classmethod
    def because_of(cls, mistakes: Sequence[Mistake]) -> Invalid:
        """The refusal of a body with `mistakes` (at least one), whose message says the first and counts the others.

        Of a thousand mistakes the first 200 are kept: an answer is for a person.
        """
        first = mistakes[0]
        message = f"{first.path}: {first.message}"
        if first.hint:
            message += f" ({first.hint})"
        if len(mistakes) > 1:
            message += f"; and {len(mistakes) - 1} more"
        return cls(message, mistakes=mistakes[:_MISTAKES])


class Unauthenticated(Refusal):
    """No token, or one that is not known, revoked or expired."""

    status = HTTPStatus.UNAUTHORIZED
    code = "UNAUTHENTICATED"


class Forbidden(Refusal):
    """The token's role may not do this."""

    status = HTTPStatus.FORBIDDEN
    code = "FORBIDDEN"


class NotFound(Refusal):
    """There is no such thing in this organisation."""

    status = HTTPStatus.NOT_FOUND
    code = "NOT_FOUND"


class Conflict(Refusal):
    """It exists already, or somebody changed it meanwhile; nothing was written."""

    status = HTTPStatus.CONFLICT
    code = "CONFLICT"


class PreconditionFailed(Refusal):
    """`If-Match` names another version than the stored one; nothing was written."""

    status = HTTPStatus.PRECONDITION_FAILED
    code = "PRECONDITION_FAILED"


class Unprocessable(Refusal):
    """Well formed, but it cannot be done as things stand (for example `TrustPolicyTooLong`)."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "UNPROCESSABLE"
