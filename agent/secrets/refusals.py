"""What the cluster refuses, told apart: what somebody there has to change, and what another try may get.

Raised around each write of the agent's into a namespace; called by `agent.secrets.filling` and `agent.labelled.watch`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from kube.errors import Conflict, Forbidden, Invalid, NotFound, ServerError
from reconcile.outcome import Retryable


class NotFilled(Exception):
    """A namespace does not have what it should, and somebody there has to change something.

    `code` is an issue code. `retry`: it may change without an event that we see.
    """

    def __init__(self, code: str, message: str, *, retry: bool) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry = retry


@contextmanager
def refusals_named(what: str) -> Iterator[None]:
    """Turns the cluster's no into one that the user hears of, and a lost race into another try."""
    try:
        yield
    except (Forbidden, Invalid) as error:
        raise NotFilled("NamespaceWriteRefused", f"{what}: {error.message}", retry=True) from error
    except ServerError as error:
        # 500 is what an admission webhook that fails makes of a write; the others pass with the API server's trouble.
        if error.status != HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        raise NotFilled("NamespaceWriteRefused", f"{what}: {error.message}", retry=True) from error
    except (Conflict, NotFound) as error:
        raise Retryable(f"{what}: it changed meanwhile") from error
