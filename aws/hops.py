"""The hops between a cluster's token and an image, and the failure of one.

Codes are those of the issues reference; the words are AWS's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class HopName(StrEnum):
    """In walking order."""

    TOKEN = "token"  # noqa: S105 - the name of a hop
    STS = "sts"
    ECR = "ecr"
    REGISTRY = "registry"


@dataclass(frozen=True)
class Hop:
    """One hop walked; `code` is "" where it succeeded."""

    name: HopName
    succeeded: bool
    code: str = ""
    message: str = ""


class AwsFailure(Exception):
    """A hop that did not let us through.

    `code` is an issue code, `message` AWS's own words (never a credential). `transient` tells that trying again
    soon may help; `eventual` that IAM's eventual consistency may cause it in the first minute after a change.
    """

    def __init__(
        self, hop: HopName, code: str, message: str, *, transient: bool = False, eventual: bool = False
    ) -> None:
        super().__init__(f"{hop.value}: {code}: {message}")
        self.hop = hop
        self.code = code
        self.message = message
        self.transient = transient
        self.eventual = eventual
