"""An admission review and its answer, as handlers see them.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kube.objects import Object


@dataclass(frozen=True)
class Review:
    """What is about to be stored. `object` is None for a deletion, `old_object` for a creation."""

    uid: str
    operation: str  # CREATE, UPDATE, DELETE or CONNECT
    namespace: str
    name: str  # "" where the server is to generate it
    username: str
    dry_run: bool
    object: Object | None
    old_object: Object | None = None


@dataclass(frozen=True)
class Answer:
    """`patch` are JSON patch operations (RFC 6902); `message` says why where it is not `allowed`."""

    allowed: bool = True
    patch: tuple[Object, ...] = ()
    warnings: tuple[str, ...] = ()
    message: str = ""


Handler = Callable[[Review], Answer]
