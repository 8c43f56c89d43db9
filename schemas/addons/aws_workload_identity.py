"""awsWorkloadIdentity: where a cluster's web identity tokens come from, and for which audience."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.addons.schema import AddOnSchema
from schemas.fields import Choice, Text
from schemas.structure import strict, wrong_place

DEFAULT_AUDIENCE = "sts.amazonaws.com"
_AUDIENCE = re.compile(r"[\x21-\x7e]{1,255}")  # IAM's limit of a client ID


class IssuerKind(StrEnum):
    """Who serves the discovery document that AWS reads."""

    CLUSTER = "cluster"
    PUBLISHED = "published"


@dataclass(frozen=True)
class AwsWorkloadIdentity:
    """`settings.awsWorkloadIdentity`, defaults filled in."""

    issuer: IssuerKind = IssuerKind.CLUSTER
    audience: str = DEFAULT_AUDIENCE


_SETTINGS = {
    "issuer": Choice(*IssuerKind, later=("fleet",)),
    "audience": Text("an audience: 1 to 255 printable characters without blanks", pattern=_AUDIENCE),
}


def _view(_spec: Mapping[str, Any], settings: Mapping[str, Any]) -> AwsWorkloadIdentity:
    return AwsWorkloadIdentity(
        issuer=IssuerKind(settings.get("issuer") or IssuerKind.CLUSTER),
        audience=settings.get("audience") or DEFAULT_AUDIENCE,
    )


SCHEMA = AddOnSchema(
    key="awsWorkloadIdentity",
    spec=strict("AwsWorkloadIdentity", {}, elsewhere=wrong_place(_SETTINGS, "settings.awsWorkloadIdentity")),
    settings=strict("AwsWorkloadIdentitySettings", _SETTINGS),
    requires=(),
    providers=("aws", "hetzner", "generic"),
    view=_view,
)
