"""awsWorkloadIdentity: where a cluster's web identity tokens come from, for which audience, and how pods get them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.addons.schema import AddOnSchema
from schemas.fields import Choice, Flag, Integer, Text
from schemas.structure import strict, wrong_place

DEFAULT_AUDIENCE = "sts.amazonaws.com"
_AUDIENCE = re.compile(r"[\x21-\x7e]{1,255}")  # IAM's limit of a client ID
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+", re.ASCII)


class IssuerKind(StrEnum):
    """Who serves the discovery document that AWS reads."""

    CLUSTER = "cluster"
    PUBLISHED = "published"


@dataclass(frozen=True)
class AwsWorkloadIdentity:
    """`settings.awsWorkloadIdentity`, defaults filled in.

    The rest is about the pod identity webhook, which is `auto` (on, unless the EKS one runs in the cluster already) or
    `off`: how long tokens live that pods ask for nothing else (seconds), whether STS is asked in the pod's region, and
    which region pods are told (None: the provider's, where it has one).
    """

    issuer: IssuerKind = IssuerKind.CLUSTER
    audience: str = DEFAULT_AUDIENCE
    webhook: str = "auto"
    token_expiration: int = 86_400
    regional_sts: bool = False
    region: str | None = None


_SETTINGS = {
    "issuer": Choice(*IssuerKind, later=("fleet",)),
    "audience": Text("an audience: 1 to 255 printable characters without blanks", pattern=_AUDIENCE),
    "webhook": Choice("auto", "off"),
    "tokenExpiration": Integer(600, 86_400),
    "regionalSts": Flag(),
    "region": Text("an AWS region such as eu-central-1", pattern=_REGION),
}


def _view(_spec: Mapping[str, Any], settings: Mapping[str, Any]) -> AwsWorkloadIdentity:
    return AwsWorkloadIdentity(
        issuer=IssuerKind(settings.get("issuer") or IssuerKind.CLUSTER),
        audience=settings.get("audience") or DEFAULT_AUDIENCE,
        webhook=settings.get("webhook") or AwsWorkloadIdentity.webhook,
        token_expiration=settings.get("tokenExpiration") or AwsWorkloadIdentity.token_expiration,
        regional_sts=bool(settings.get("regionalSts")),
        region=settings.get("region"),
    )


SCHEMA = AddOnSchema(
    key="awsWorkloadIdentity",
    spec=strict("AwsWorkloadIdentity", {}, elsewhere=wrong_place(_SETTINGS, "settings.awsWorkloadIdentity")),
    settings=strict("AwsWorkloadIdentitySettings", _SETTINGS),
    requires=(),
    providers=("aws", "hetzner", "generic"),
    view=_view,
)
