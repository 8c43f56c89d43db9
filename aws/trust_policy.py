"""The IAM trust policy of a role that clusters assume with their web identity tokens.

Always pins `:aud` and `:sub`: AWS does not force it for issuers it does not list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ACCOUNT_PLACEHOLDER = "${AWS_ACCOUNT_ID}"
DEFAULT_QUOTA = 2048  # characters, whitespace not counted; up to 8,192 on request
MAXIMUM_QUOTA = 8192


@dataclass(frozen=True)
class TrustedWorkload:
    """Who may assume the role: `subjects` of one issuer, with tokens for `audience`."""

    issuer: str
    audience: str
    subjects: tuple[str, ...]


def trust_policy(role_arn: str | None, workloads: Sequence[TrustedWorkload]) -> dict[str, Any]:
    """The whole policy document; without `role_arn` the template with `${AWS_ACCOUNT_ID}` and partition aws."""
    raise NotImplementedError


def counted_size(policy: dict[str, Any]) -> int:
    """Characters as the quota counts them."""
    raise NotImplementedError


def subject(namespace: str, service_account: str) -> str:
    """`system:serviceaccount:NAMESPACE:NAME`."""
    raise NotImplementedError
