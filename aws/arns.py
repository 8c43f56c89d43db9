"""IAM role ARNs of every partition (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RoleArn:
    """`arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`."""

    partition: str
    account: str
    path: str  # "/" or "/a/b/"
    name: str


def parse_role(text: str) -> RoleArn:
    """Raises `ValueError`, saying what is wrong."""
    raise NotImplementedError
