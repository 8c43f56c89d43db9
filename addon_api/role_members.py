"""The clusters of a role, read from what the API shows of them into what `aws.setup` works with; pure.

Called by `setup`, and by `cli`, which asks the API for the same clusters: so both write the same plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aws.arns import RoleArn, parse_role
from aws.setup.members import Member, named_registries
from aws.setup.wanted import TrustedCluster
from aws.trust_policy import TrustedWorkload, subject
from schemas import trusted_accounts
from schemas.addons.aws_workload_identity import AwsWorkloadIdentity

Json = Mapping[str, Any]


def members_of(role: RoleArn, cluster: Json, sharing: Iterable[Json]) -> tuple[Member, ...]:
    """`cluster` first, then who of `sharing` uses the role too and is not being removed.

    A cluster whose issuer is not known, or whose nodes use the role of their instances, is none.
    """
    others = [one for one in sharing if one["id"] != cluster["id"] and "removal" not in one["status"]]
    return tuple(member for one in [cluster, *others] if (member := _member(one, role)) is not None)


def sharing_query(role: RoleArn) -> Json:
    """The query for the clusters that use the role."""
    term = {"op": "=", "property": "spec.addOns.awsECR.roleArn", "value": str(role)}
    return {"kind": "mk8s", "spec": {"match": "all", "terms": [term]}}


def add_on_of(cluster: Json) -> Json | None:
    """`spec.addOns.awsECR`, None where it is not enabled."""
    found: Json | None = (cluster["spec"].get("addOns") or {}).get("awsECR")
    return found


def role_of(cluster: Json) -> RoleArn | None:
    """The role that the cluster's awsECR assumes."""
    arn = (add_on_of(cluster) or {}).get("roleArn")
    return parse_role(arn) if arn else None


def identity_of(cluster: Json) -> Json:
    """`status.addOns.awsWorkloadIdentity`."""
    found: Json = (cluster["status"].get("addOns") or {}).get("awsWorkloadIdentity") or {}
    return found


def issuer_of(cluster: Json) -> str | None:
    """The OIDC provider's URL; None as long as no https one is known."""
    url = (identity_of(cluster).get("oidcProviderConfig") or {}).get("providerUrl")
    return url if isinstance(url, str) and url.startswith("https://") else None


def _member(cluster: Json, role: RoleArn) -> Member | None:
    issuer = issuer_of(cluster)
    settings = cluster.get("settings") or {}
    # As it will be once it has the role: what is printed for a cluster without one is for a role to be made.
    spec = dict(cluster["spec"])
    spec["addOns"] = {**spec["addOns"], "awsECR": {**(add_on_of(cluster) or {}), "roleArn": str(role)}}
    accounts = trusted_accounts.of_cluster({"spec": spec}, settings)
    if issuer is None or not accounts:
        return None
    audience = (settings.get("awsWorkloadIdentity") or {}).get("audience") or AwsWorkloadIdentity.audience
    subjects = tuple(subject(*account.split("/", 1)) for account in accounts)
    status = (cluster["status"].get("addOns") or {}).get("awsECR") or {}
    return Member(
        TrustedCluster(cluster["id"], cluster["name"], TrustedWorkload(issuer, audience, subjects)),
        named=named_registries(spec["provider"], settings.get("awsECR") or {}),
        seen=tuple(status.get("registries") or ()),
    )
