"""EKS as far as finding a cluster and getting into it go: DescribeCluster, and access entries.

The clusters themselves are those of `sandbox.kubernetes`; `World.add_eks_cluster` puts both together.
https://docs.aws.amazon.com/eks/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sandbox.aws.iam import Iam
from sandbox.aws.protocol import AwsError

if TYPE_CHECKING:
    from sandbox.aws.callers import Caller

_ASSUMED = re.compile(
    r"arn:(?P<partition>[a-z-]+):sts::(?P<account>[0-9]{12}):assumed-role/(?P<role>[^/]+)/.+"
)
_RESERVED = ("system:", "eks:", "aws:", "amazon:", "iam:")


@dataclass(frozen=True)
class EksCluster:
    """What EKS knows of a cluster. `endpoint` is asked for at each call; `certificate_authority` is PEM."""

    account: str
    region: str
    name: str
    endpoint: Callable[[], str]
    certificate_authority: str
    issuer: Callable[[], str]

    @property
    def key(self) -> tuple[str, str, str]:
        """Unique among all accounts."""
        return self.account, self.region, self.name

    @property
    def arn(self) -> str:
        """In partition aws."""
        return f"arn:aws:eks:{self.region}:{self.account}:cluster/{self.name}"


@dataclass
class AccessEntry:
    """What a principal is in a cluster."""

    principal_arn: str
    groups: list[str] = field(default_factory=list)


class Eks:
    """Clusters and access entries of every account. Not thread-safe: `SandboxAws` holds the lock."""

    def __init__(self, iam: Iam) -> None:
        self._iam = iam
        self._clusters: dict[tuple[str, str, str], EksCluster] = {}
        self._entries: dict[tuple[str, str, str], dict[str, AccessEntry]] = {}

    def add(self, cluster: EksCluster) -> None:
        """Creates or replaces."""
        self._clusters[cluster.key] = cluster

    def put_entry(self, account: str, region: str, name: str, principal_arn: str, groups: list[str]) -> None:
        """Creates or replaces a principal's entry.

        Raises:
            ValueError: there is no such cluster.
        """
        if (account, region, name) not in self._clusters:
            raise ValueError(f"there is no cluster {name!r} in {region} of {account}")
        entry = AccessEntry(principal_arn, list(groups))
        self._entries.setdefault((account, region, name), {})[principal_arn] = entry

    def user(
        self, account: str, region: str, name: str, caller: Caller
    ) -> tuple[str, tuple[str, ...]] | None:
        """User and groups of who called STS, by the access entry of their role or user; None without one."""
        entries = self._entries.get((account, region, name), {})
        entry = entries.get(caller.principal_arn)
        return None if entry is None else (caller.arn, tuple(entry.groups))

    def operation(self, method: str, path: str) -> str:
        """Its name, "" for one that is not served."""
        entries = path.endswith("/access-entries")
        return {("GET", False): "DescribeCluster", ("POST", True): "CreateAccessEntry"}.get(
            (method, entries), ""
        )

    def call(self, operation: str, path: str, body: Mapping[str, Any], caller: Caller) -> Mapping[str, Any]:
        """The answer of one operation; raises `AwsError`."""
        parts = path.split("/")
        if not operation or parts[0] != "clusters" or len(parts) < 2:  # noqa: PLR2004 - clusters/NAME
            raise AwsError("InvalidRequestException", "not served by this sandbox")
        name = unquote(parts[1])
        arn = f"arn:{caller.partition}:eks:{caller.region}:{caller.account}:cluster/{name}"
        if not self._iam.allows(caller.principal_arn, f"eks:{operation}", arn):
            words = f"User: {caller.arn} is not authorized to perform: eks:{operation} on resource: {arn}"
            raise AwsError("AccessDeniedException", words, status=403)
        cluster = self._clusters.get((caller.account, caller.region, name))
        if cluster is None:
            raise AwsError("ResourceNotFoundException", f"No cluster found for name: {name}.", status=404)
        if operation == "DescribeCluster":
            return {"cluster": _described(cluster)}
        return {"accessEntry": self._create_entry(cluster, body)}

    def snapshot(self) -> list[dict[str, Any]]:
        """The access entries, JSON-able; the clusters are added again at every start."""
        return [
            {"cluster": list(key), "principal": entry.principal_arn, "groups": entry.groups}
            for key, entries in self._entries.items()
            for entry in entries.values()
        ]

    def restore(self, document: list[dict[str, Any]]) -> None:
        """The inverse."""
        self._entries = {}
        for kept in document:
            account, region, name = kept["cluster"]
            entry = AccessEntry(kept["principal"], kept["groups"])
            self._entries.setdefault((account, region, name), {})[entry.principal_arn] = entry

    def _create_entry(self, cluster: EksCluster, body: Mapping[str, Any]) -> Mapping[str, Any]:
        principal, groups = str(body.get("principalArn", "")), list(body.get("kubernetesGroups") or [])
        if _ASSUMED.fullmatch(principal) is not None or not principal.startswith("arn:"):
            raise AwsError(
                "InvalidParameterException", "The specified principalArn is invalid: invalid principal."
            )
        if any(group.startswith(_RESERVED) for group in groups):
            raise AwsError("InvalidParameterException", "The kubernetes group name is reserved.")
        if principal in self._entries.get(cluster.key, {}):
            words = "The specified access entry resource is already in use on this cluster."
            raise AwsError("ResourceInUseException", words, status=409)
        self.put_entry(*cluster.key, principal, groups)
        return {
            "clusterName": cluster.name,
            "principalArn": principal,
            "kubernetesGroups": groups,
            "type": "STANDARD",
        }


def _described(cluster: EksCluster) -> Mapping[str, Any]:
    authority = base64.b64encode(cluster.certificate_authority.encode()).decode()
    return {
        "name": cluster.name,
        "arn": cluster.arn,
        "status": "ACTIVE",
        "version": "1.34",
        "endpoint": cluster.endpoint(),
        "certificateAuthority": {"data": authority},
        "identity": {"oidc": {"issuer": cluster.issuer()}},
        "accessConfig": {"authenticationMode": "API"},
    }
