"""Whether the trust policy of a cluster's role still has room in IAM: it grows with every cluster that shares the role.

Told of each cluster of the role, in its status, so that lists and counts find it. Only one cluster changes at a time, so
whoever comes, goes or changes makes the others due where their status says something else. Called by
`controller.cluster`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import structlog

from aws.trust_policy import TrustedWorkload, counted_size, subject, trust_policy
from controller.addons.addon import Context
from controller.addons.ecr_configuration import KEY
from fleet import role_sharing
from fleet.database import Database
from fleet.errors import FleetError
from fleet.records import Cluster, RoleSharer
from schemas import trusted_accounts
from schemas.status import AddOnStatus

_CODE = "TrustPolicyTooLong"
# A statement has 240 characters at least: so many are over any quota (8,192), and the rest need not be read.
_MOST = 40

_log = structlog.get_logger(__name__)

Share = tuple[str | None, RoleSharer]
"""A role (None: still to be made), and what one cluster adds to its policy."""


class RolePolicies:
    """Thread-safe, as long as no two threads run one cluster at once.

    Args:
        database: The fleet.
        quota: Characters that a trust policy may have.
    """

    def __init__(self, database: Database, quota: int) -> None:
        self._database = database
        self._quota = quota
        self._shares: dict[str, Share | None] = {}
        self._moved: dict[str, set[str]] = {}  # by uid, the roles whose other clusters may not know yet

    def told(
        self, context: Context, cluster: Cluster, add_ons: Mapping[str, AddOnStatus]
    ) -> dict[str, AddOnStatus]:
        """`add_ons`, that of ECR with the issue where its role's policy is over the quota."""
        found = dict(add_ons)
        share = _share(context, cluster) if KEY in found else None
        before = self._shares.get(cluster.uid)
        if share != before:
            roles = {each[0] for each in (before, share) if each is not None}
            self._moved.setdefault(cluster.uid, set()).update(role for role in roles if role is not None)
            self._shares[cluster.uid] = share
        if share is not None and (size := self._over(cluster, share)):
            values = {"ROLE_ARN": share[0] or "", "SIZE": size, "QUOTA": str(self._quota)}
            status = found[KEY]
            found[KEY] = replace(status, issues=(*status.issues, context.issue(_CODE, values)))
        return found

    def pass_on(self, cluster: Cluster) -> None:
        """Once the cluster's own status is written: makes due who shares a role that it joined, left or changed."""
        for role in self._moved.pop(cluster.uid, ()):
            try:
                sharers = role_sharing.first(self._database, cluster.key.org, role, most=_MOST)
                role_sharing.wake(
                    self._database,
                    cluster.key.org,
                    role,
                    _CODE,
                    hit=bool(self._said(role, sharers)),
                    besides=cluster.uid,
                    most=_MOST,
                )
            except FleetError as error:
                _log.warning("who shares the role hears of it at the next look", role=role, error=str(error))

    def drop(self, uids: Iterable[str]) -> None:
        """Forgets clusters."""
        for uid in uids:
            self._shares.pop(uid, None)
            self._moved.pop(uid, None)

    def _over(self, cluster: Cluster, share: Share) -> str:
        role, own = share
        if role is None:
            return self._said(None, [own])
        others = role_sharing.first(self._database, cluster.key.org, role, most=_MOST)
        return self._said(role, [own, *(other for other in others if other.uid != cluster.uid)])

    def _said(self, role: str | None, sharers: Iterable[RoleSharer]) -> str:
        """The policy's size where it is over the quota, "" where it is not."""
        workloads = [
            TrustedWorkload(
                sharer.issuer,
                sharer.audience,
                tuple(subject(*account.split("/", 1)) for account in sharer.accounts),
            )
            for sharer in sharers
            if sharer.issuer.startswith("https://") and sharer.accounts
        ]
        size = counted_size(trust_policy(role, workloads)) if workloads else 0
        if size <= self._quota:
            return ""
        return f"more than {size}" if len(workloads) >= _MOST else str(size)


def _share(context: Context, cluster: Cluster) -> Share | None:
    wishes, issuer = context.manifest.aws_ecr, context.identity.provider_url
    accounts = trusted_accounts.of_cluster(cluster.manifest, cluster.settings)
    if wishes is None or issuer is None or not issuer.startswith("https://") or not accounts:
        return None
    own = RoleSharer(cluster.key.name, issuer, context.identity.audience, accounts, cluster.uid)
    return wishes.role_arn, own
