"""The IAM trust policy to paste: computed whenever it is read, from the clusters that share the role now.

Pasting a policy replaces the role's document, so it covers every cluster of the organisation with this `roleArn`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Response, request

from addon_api import answers
from addon_api.routing import Route, context
from aws.trust_policy import MAXIMUM_QUOTA, TrustedWorkload, counted_size, subject, trust_policy
from fleet import clusters
from fleet.database import Database
from fleet.records import Cluster, ClusterKey, Role, RoleSharer
from schemas import trusted_accounts
from schemas.addons.aws_workload_identity import AwsWorkloadIdentity
from schemas.errors import NotFound, Unprocessable

Policy = dict[str, Any]

WORKLOAD_SUBJECT = subject("${NAMESPACE}", "${SERVICE_ACCOUNT}")


@dataclass
class Policies:
    """The policies of the clusters of one answer: one read of the state for all of them, one document per role."""

    sharers: Mapping[str, tuple[RoleSharer, ...]]
    _made: dict[str, Policy] = field(default_factory=dict)

    @classmethod
    def of(cls, database: Database, org: str, shown: Collection[Cluster]) -> Policies:
        """Reads who shares the roles of the clusters `shown`."""
        roles = {
            role
            for cluster in shown
            if issuer_of(cluster) is not None and (role := role_arn_of(cluster)) is not None
        }
        return cls(clusters.role_sharers(database, org, roles) if roles else {})

    def of_registry_role(self, cluster: Cluster) -> Policy | None:
        """For awsECR's role: all clusters that share it. None as long as this cluster's issuer is not known.

        Without a `roleArn` it is the template for the role to be created, with `${AWS_ACCOUNT_ID}` in the place
        of its account; None where nodes use the role of their own instances.
        """
        issuer = issuer_of(cluster)
        if enabled_add_on(cluster, "awsECR") is None or issuer is None:
            return None
        role = role_arn_of(cluster)
        if role is None:
            return self.statement(cluster)
        sharers = [sharer for sharer in self.sharers.get(role, ()) if sharer.issuer.startswith("https://")]
        if all(sharer.cluster != cluster.key.name for sharer in sharers):
            # Either it is being removed, and this is the policy that the others need; or its status is behind.
            if cluster.removal is None:
                own = trusted_accounts.of_cluster(cluster.manifest, cluster.settings)
                sharers.append(RoleSharer(cluster.key.name, issuer, audience_of(cluster), own, cluster.uid))
            return _policy(role, sharers) if sharers else None
        if role not in self._made:
            self._made[role] = _policy(role, sharers)
        return self._made[role]

    def statement(self, cluster: Cluster) -> Policy | None:
        """The policy of this cluster alone, for a role whose document the user writes by hand; None as above."""
        issuer = issuer_of(cluster)
        if issuer is None or enabled_add_on(cluster, "awsECR") is None:
            return None
        accounts = trusted_accounts.of_cluster(cluster.manifest, cluster.settings)
        if not accounts:
            return None
        sharer = RoleSharer(cluster.key.name, issuer, audience_of(cluster), accounts, cluster.uid)
        return _policy(role_arn_of(cluster), [sharer])


def _policy(role: str | None, sharers: Sequence[RoleSharer]) -> Policy:
    return trust_policy(
        role,
        [
            TrustedWorkload(
                sharer.issuer,
                sharer.audience,
                tuple(subject(*account.split("/", 1)) for account in sharer.accounts),
            )
            for sharer in sharers
        ],
    )


def of_workloads(cluster: Cluster) -> Policy | None:
    """For awsWorkloadIdentity: the template for a role of the user's own, one service account of this cluster."""
    issuer = issuer_of(cluster)
    if issuer is None or enabled_add_on(cluster, "awsWorkloadIdentity") is None:
        return None
    return trust_policy(None, [TrustedWorkload(issuer, audience_of(cluster), (WORKLOAD_SUBJECT,))])


def enabled_add_on(cluster: Cluster, key: str) -> Mapping[str, Any] | None:
    """The add-on's block of `spec.addOns`, None when it is not enabled."""
    found: Mapping[str, Any] | None = (cluster.manifest["spec"].get("addOns") or {}).get(key)
    return found


def role_arn_of(cluster: Cluster) -> str | None:
    """The role that the cluster's awsECR assumes."""
    add_on = enabled_add_on(cluster, "awsECR")
    return None if add_on is None else add_on.get("roleArn")


def issuer_of(cluster: Cluster) -> str | None:
    """The OIDC provider's URL, None as long as no https one is known: no policy can name another."""
    url = cluster.status.oidc_provider_url
    return url if url is not None and url.startswith("https://") else None


def audience_of(cluster: Cluster) -> str:
    """The audience of the cluster's web identity tokens."""
    block = cluster.settings.get("awsWorkloadIdentity") or {}
    audience: str = block.get("audience") or AwsWorkloadIdentity.audience
    return audience


def show(org: str, name: str) -> Response:
    """The bare policy document, ready for `aws iam update-assume-role-policy --policy-document`."""
    here = context()
    cluster = clusters.read(here.database, ClusterKey(org, name))
    if enabled_add_on(cluster, "awsECR") is None:
        raise NotFound(f"awsECR is not enabled on {name}")
    policies = Policies.of(here.database, org, [cluster])
    alone = request.args.get("cluster") == "only"
    policy = policies.statement(cluster) if alone else policies.of_registry_role(cluster)
    if policy is None:
        if issuer_of(cluster) is not None:
            raise NotFound(
                f"{name} has no roleArn: its nodes use the role of their instances, which trusts EC2"
            )
        raise NotFound(f"the OIDC provider URL of {name} is not known yet, so there is no trust policy")
    refuse_too_long(policy, quota=here.settings.trust_policy_quota, sharers=len(policy["Statement"]))
    return answers.of_json(policy)


def refuse_too_long(policy: Policy, *, quota: int, sharers: int) -> None:
    """Refuses what IAM would refuse, with the ways out.

    Raises:
        schemas.errors.Unprocessable: the policy is over the quota (`TrustPolicyTooLong`).
    """
    size = counted_size(policy)
    if size > quota:
        raise Unprocessable(
            f"the trust policy of {sharers} clusters is {size} characters, over IAM's quota of {quota}: raise "
            f"the quota (up to {MAXIMUM_QUOTA}; then set PULLPASS_TRUST_POLICY_QUOTA), or give some of these "
            "clusters another roleArn",
            code="TrustPolicyTooLong",
        )


ROUTES = (
    Route(
        "GET",
        "/org/<org>/mk8s/<name>/-addons/awsECR/trustPolicy",
        show,
        Role.VIEWER,
        "The trust policy of the cluster's role, ready for IAM: all clusters that share the role",
        answers={200: "TrustPolicy"},
        query={"cluster": "`only`: the statement of this cluster alone"},
    ),
)
