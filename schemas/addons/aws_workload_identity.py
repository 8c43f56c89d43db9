"""awsWorkloadIdentity: where a cluster's web identity tokens come from, and for which audience."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class IssuerKind(StrEnum):
    """Who serves the discovery document that AWS reads."""

    CLUSTER = "cluster"
    PUBLISHED = "published"


@dataclass(frozen=True)
class AwsWorkloadIdentity:
    """`settings.awsWorkloadIdentity`, defaults filled in."""

    issuer: IssuerKind = IssuerKind.CLUSTER
    audience: str = "sts.amazonaws.com"
