"""The sandbox world: Kubernetes APIs, an AWS and a registry on loopback, for a laptop, tests and benchmarks.

One HTTPS server carries any number of clusters by path prefix (`/clusters/NAME`), one HTTP server AWS (`/sts`, `/ecr`,
`/iam`) and one the registry. Imports nothing of ours, so that it proves something. Never in the image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class SandboxCluster:
    """One cluster of the sandbox. `kubeconfig()` is an admin's.

    `issuer` is what its API server signs with; the first of `--service-account-issuer`. A cluster that is
    `down` accepts no connection (its kubeconfig points to a port where nobody listens).
    """

    name: str
    issuer: str
    down: bool = False

    def kubeconfig(self) -> str:
        """Kubeconfig YAML with server, CA data and an admin's bearer token."""
        raise NotImplementedError

    def set_issuer(self, issuer: str) -> None:
        """As changing the API server's `--service-account-issuer` and restarting it."""
        raise NotImplementedError


@dataclass
class World:
    """`state_directory` keeps keys and objects over restarts (None: in memory only).

    `public_hosts` maps host names of issuers that are public to where they are really served on loopback, as DNS
    would: the sandbox's STS fetches discovery and JWKS through it, and only through it. A cluster's issuer is
    registered by `add_cluster(public=True)`.
    """

    state_directory: Path | None = None
    run_workloads: bool = True
    public_hosts: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Binds loopback ports and serves from threads."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends servers, threads and the processes of its Deployments."""
        raise NotImplementedError

    def add_cluster(self, name: str, *, issuer: str, public: bool, down: bool = False) -> SandboxCluster:
        """A cluster with namespaces default, kube-system, kube-public, and a `default` service account in each new one."""
        raise NotImplementedError

    @property
    def aws_endpoints(self) -> dict[str, str]:
        """`{sts, ecr, iam, registry}` to base URLs."""
        raise NotImplementedError

    def create_oidc_provider(self, account: str, url: str, audiences: list[str]) -> None:
        """As IAM CreateOpenIDConnectProvider in `account`."""
        raise NotImplementedError

    def create_role(self, arn: str, trust_policy: dict[str, Any], *, allow: list[str] | None = None) -> None:
        """As CreateRole; `allow` are actions (default: what a private pull needs)."""
        raise NotImplementedError
