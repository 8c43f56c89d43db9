"""A connection that names an EKS cluster: its part of the `-connection` body, and what the hub keeps of it.

Nothing of it is a secret, but it decides whose roles the hub assumes, so it is sealed and replaced like a credential.
What the body leaves out is taken from the manifest once, when it is stored: a later change of the manifest, which needs
no admin, leads the hub to no other role. Called by `schemas.connection_bodies` and `addon_api`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.addons.schema import ROLE_ARN, ROLE_ARN_EXPECTED
from schemas.errors import Mistake
from schemas.fields import ListOf, Object, Text
from schemas.stored import Members
from schemas.structure import strict

HUB_GROUP = (
    "pullpass-hub"  # the Kubernetes group that the access entry gives the role, and the rights are bound to
)

# AWS allows a chain of any length; each link is a call to STS.
LONGEST_CHAIN = 4

# https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html and
# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
_CLUSTER = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}", re.ASCII)
_REGION = re.compile(r"[a-z]{2,8}(-[a-z]{2,12}){1,3}-[0-9]{1,2}", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_SESSION_NAME_PREFIX = re.compile(r"[\w+=,.@-]{1,32}", re.ASCII)

_LINK_SCHEMA = strict(
    "EksRoleLink",
    {
        "roleArn": Text(ROLE_ARN_EXPECTED, required=True, pattern=ROLE_ARN),
        "externalId": Text("an external id that this role asks for", pattern=_EXTERNAL_ID),
        "sessionNamePrefix": Text("the start of a session name", pattern=_SESSION_NAME_PREFIX),
    },
)
EksSchema = strict(
    "EksCluster",
    {
        "cluster": Text("the name of an EKS cluster", required=True, pattern=_CLUSTER),
        "region": Text("an AWS region such as eu-central-1", pattern=_REGION),
        "roleArn": Text(ROLE_ARN_EXPECTED, pattern=ROLE_ARN),
        "roleChain": ListOf(Object(_LINK_SCHEMA)),
    },
)


@dataclass(frozen=True)
class EksRole:
    """One role that the hub assumes. `external_id` None: the organisation's own is sent."""

    role_arn: str
    external_id: str | None = None
    session_name_prefix: str = ""


@dataclass(frozen=True)
class EksCluster:
    """An EKS cluster and the roles by which it is reached, in the order in which they are assumed: one at least.

    The first is assumed with the hub's own identity and never has an external id of its own: it is always sent the
    organisation's.
    """

    cluster: str
    region: str
    roles: tuple[EksRole, ...]

    @property
    def role_arn(self) -> str:
        """Who the hub is to EKS and to the cluster: the last role."""
        return self.roles[-1].role_arn


@dataclass(frozen=True)
class EksDefaults:
    """What the manifest says of provider aws: for what a body leaves out."""

    region: str
    roles: tuple[EksRole, ...]


def defaults_of(manifest: Mapping[str, Any]) -> EksDefaults | None:
    """Of a stored manifest; None for another provider than aws."""
    aws = (manifest["spec"].get("provider") or {}).get("aws")
    if aws is None:
        return None
    chain = aws.get("deployRoleChain") or ()
    return EksDefaults(aws["region"], (EksRole(aws["deployRoleArn"]), *map(_link, chain)))


def read(body: Mapping[str, Any], defaults: EksDefaults | None, mistakes: list[Mistake]) -> EksCluster | None:
    """The cluster that the checked member `eks` names, None where `mistakes` were found.

    With a `roleArn` the chain is the body's alone; without one both are the manifest's.
    """
    found = list(_mistakes(body, defaults))
    mistakes += found
    if found or defaults is None:
        return None
    roles = defaults.roles
    if body.get("roleArn") is not None:
        roles = (EksRole(body["roleArn"]), *map(_link, body.get("roleChain") or ()))
    if not 1 <= len(roles) <= LONGEST_CHAIN + 1:
        mistakes.append(Mistake("$.eks.roleChain", f"expected at most {LONGEST_CHAIN} roles"))
    return EksCluster(body["cluster"], body.get("region") or defaults.region, roles)


def to_json(cluster: EksCluster) -> dict[str, Any]:
    """The form that is sealed with the connection."""
    return {
        "cluster": cluster.cluster,
        "region": cluster.region,
        "roles": [
            {
                "roleArn": role.role_arn,
                "externalId": role.external_id,
                "sessionNamePrefix": role.session_name_prefix,
            }
            for role in cluster.roles
        ],
    }


def from_json(members: Members) -> EksCluster:
    """The inverse of `to_json`.

    Raises:
        ValueError: a member is missing or of another type.
    """
    roles = [
        EksRole(link.text("roleArn"), link.optional_text("externalId"), link.text("sessionNamePrefix", ""))
        for link in members.list_of_members("roles")
    ]
    return EksCluster(members.text("cluster"), members.text("region"), tuple(roles))


def _mistakes(body: Mapping[str, Any], defaults: EksDefaults | None) -> Iterator[Mistake]:
    if defaults is None:
        yield Mistake(
            "$.eks",
            "works with provider `aws` alone",
            "connect with `pullpass connect NAME --context CONTEXT`, or describe the cluster as `spec.provider.aws`",
        )
    elif body.get("region") is None and _REGION.fullmatch(defaults.region) is None:
        yield Mistake("$.eks.region", "is missing; that of `spec.provider.aws` is no AWS region")
    if body.get("roleChain") is not None and body.get("roleArn") is None:
        yield Mistake(
            "$.eks.roleChain", "stands without `roleArn`", "send both, or neither: the manifest's count then"
        )


def _link(body: Mapping[str, Any]) -> EksRole:
    return EksRole(body["roleArn"], body.get("externalId"), body.get("sessionNamePrefix") or "")
