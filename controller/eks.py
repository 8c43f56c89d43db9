"""The way into an EKS cluster without a kubeconfig: the hub's own identity, a chain of roles, and a token of 15 minutes.

Every role is sent the external id of the cluster's organisation (a later link its own, where the chain names one), so no
organisation reaches a cluster through a role that is another's. Called by `controller.entrance` and
`controller.doors` before they dial.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aws import arns, eks_token
from aws.credentials import SessionCredentials
from aws.eks_token import EksToken
from aws.hub_failures import HubAwsFailure
from aws.identities import HubRole
from controller.outcomes import Failure
from fleet import external_ids
from fleet.database import Database
from fleet.records import ClusterKey
from schemas.connection import Connection
from schemas.eks import EksCluster

if TYPE_CHECKING:
    from aws.eks import EksDescription
    from aws.hub_identity import HubIdentity

# A run that dials now has this long before its token dies; sessions are renewed a little earlier than the tokens on them.
_TOKEN_LEFT = timedelta(minutes=5)
_SESSION_LEFT = timedelta(minutes=10)
# How long a role that asked for the external id is believed to go on doing so.
_GUARDED = timedelta(hours=24)
# What a refusal means where the hub comes with a role's token instead of one of its own.
_CODES = {"CredentialRefused": "EksNoAccessEntry", "RightsMissing": "EksRightsMissing"}


@dataclass(frozen=True)
class EksAccess:
    """What is known of an EKS cluster that the hub has a token for. `wanted` is the connection's part it was made for."""

    wanted: EksCluster
    description: EksDescription
    token: EksToken

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self.description.endpoint.rstrip("/")

    def dialled(self, connection: Connection) -> Connection:
        """`connection` with what EKS says of the server, and the token."""
        return replace(
            connection,
            server=self.server,
            certificate_authority=self.description.certificate_authority,
            token=self.token.text,
        )


@dataclass
class EksAccesses:
    """Opens the way to the EKS clusters of a fleet; sessions are shared by clusters with the same roles. Thread-safe.

    `principal`: the hub's own principal in IAM as the operator names it, for remedies.
    """

    database: Database
    principal: str | None = None
    _guarded: dict[HubRole, datetime] = field(default_factory=dict, init=False)
    _sessions: dict[tuple[object, ...], SessionCredentials] = field(default_factory=dict, init=False)
    _identity: HubIdentity | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def open(
        self, key: ClusterKey, wanted: EksCluster, known: EksAccess | None, *, now: datetime
    ) -> EksAccess:
        """`known` while its token has minutes to live, else one with a new token; AWS is asked only for what is missing.

        Raises:
            aws.hub_failures.HubAwsFailure: no identity, a role that does not let us in, no such cluster, no answer.
        """
        if known is not None and known.wanted != wanted:
            known = None
        if known is not None and now < known.token.expires_at - _TOKEN_LEFT:
            return known
        credentials = self._session(key.org, wanted, now)
        if known is None:
            from aws import eks  # noqa: PLC0415 - boto3 is slow to import

            try:
                description = eks.describe_cluster(
                    wanted.cluster, region=wanted.region, credentials=credentials
                )
            except HubAwsFailure:
                self._forget(key.org, wanted)
                raise
        else:
            description = known.description
        token = eks_token.presigned(credentials, cluster=wanted.cluster, region=wanted.region, now=now)
        return EksAccess(wanted, description, token)

    def explained(self, key: ClusterKey, wanted: EksCluster, failure: Failure) -> Failure:
        """`failure` of an EKS cluster: what is different about it, and what its remedy has to name."""
        values = {
            "EKS_CLUSTER": wanted.cluster,
            "REGION": wanted.region,
            "DEPLOY_ROLE": wanted.role_arn,
            "HUB_PRINCIPAL": self.principal or "",
            **failure.values,
        }
        if failure.code == "DeployRoleRefused":
            values.setdefault("EXTERNAL_ID", external_ids.of_organisation(self.database, key.org))
        values["DEPLOY_ROLE_NAME"] = arns.parse_role(values["DEPLOY_ROLE"]).name
        return replace(failure, code=_CODES.get(failure.code, failure.code), values=values)

    def _session(self, org: str, wanted: EksCluster, now: datetime) -> SessionCredentials:
        roles, region = self._roles(org, wanted), wanted.region
        with self._lock:
            found = self._sessions.get((roles, region))
        if found is not None and _lasts(found, now):
            return found
        name = f"pullpass-{org}"
        found = self._hub().assume(roles, region=region, name=name)
        self._refuse_open(roles[0], region, name, now)
        with self._lock:
            self._sessions = {each: kept for each, kept in self._sessions.items() if _lasts(kept, now)}
            self._sessions[roles, region] = found
        return found

    def _refuse_open(self, role: HubRole, region: str, name: str, now: datetime) -> None:
        """A role that does not look at the external id is every organisation's: it is not used."""
        with self._lock:
            asked = self._guarded.get(role)
        if asked is not None and now - asked < _GUARDED:
            return
        if self._hub().lets_anybody_in(role, region=region, name=name):
            words = "the role does not ask for the external id"
            values = {"DEPLOY_ROLE": role.role_arn, "EXTERNAL_ID": role.external_id}
            raise HubAwsFailure("DeployRoleOpen", words, values=values)
        with self._lock:
            self._guarded = {each: at for each, at in self._guarded.items() if now - at < _GUARDED}
            self._guarded[role] = now

    def _forget(self, org: str, wanted: EksCluster) -> None:
        """What a session may is asked again with a new one: its role may have been made anew meanwhile."""
        with self._lock:
            self._sessions.pop((self._roles(org, wanted), wanted.region), None)

    def _roles(self, org: str, wanted: EksCluster) -> tuple[HubRole, ...]:
        own = external_ids.of_organisation(self.database, org)
        first, *others = wanted.roles
        return (
            HubRole(first.role_arn, own, first.session_name_prefix),
            *(HubRole(role.role_arn, role.external_id or own, role.session_name_prefix) for role in others),
        )

    def _hub(self) -> HubIdentity:
        from aws.hub_identity import HubIdentity  # noqa: PLC0415 - boto3 is slow to import

        with self._lock:
            if self._identity is None:
                self._identity = HubIdentity()
            return self._identity


def _lasts(credentials: SessionCredentials, now: datetime) -> bool:
    return credentials.expires_at is None or now < credentials.expires_at - _SESSION_LEFT
