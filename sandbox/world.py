"""The sandbox world: Kubernetes APIs, an AWS and a registry on loopback, for a laptop, tests and benchmarks.

One HTTPS server carries any number of clusters by path prefix (`/clusters/NAME`), one HTTP server AWS (`/sts`, `/ecr`,
`/iam`) and one the registry. Imports nothing of ours, so that it proves something. Never in the image.
"""

from __future__ import annotations

import base64
import ssl
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from sandbox.aws.server import SandboxAws
from sandbox.certificates import Certificates, new_certificates
from sandbox.front import Front
from sandbox.issuers import PublicIssuers
from sandbox.keeping import Keeper
from sandbox.kubernetes.api import KubernetesApi
from sandbox.kubernetes.cluster import Cluster, ClusterSettings, new_admin_token
from sandbox.registry.server import SandboxRegistry
from sandbox.serving import LoopbackServer
from sandbox.workloads import Workloads

# Asked for first where the state is kept, so that commands in the documentation fit; others when they are taken.
PORTS = {"kubernetes": 26443, "aws": 26080, "registry": 26500}
_SAVE_SECONDS = 1.0


class SandboxCluster:
    """One cluster of the sandbox. `kubeconfig()` is an admin's.

    `issuer` is what its API server signs with; the first of `--service-account-issuer`. A cluster that is
    `down` accepts no connection: added so, it has a port of its own where nobody listens until `bring_up`.
    """

    def __init__(
        self,
        name: str,
        cluster: Cluster,
        *,
        server_url: Callable[[], str],
        certificate_authority: str,
        gate: LoopbackServer | None,
        new_gate: Callable[[int], LoopbackServer],
    ) -> None:
        self.name = name
        self.cluster = cluster
        self.api = KubernetesApi(cluster, lambda: self.url)
        self.down = gate is not None
        self._server_url = server_url
        self.certificate_authority = certificate_authority
        self._gate = gate
        self._new_gate = new_gate

    @property
    def issuer(self) -> str:
        """What its tokens say in `iss`."""
        return self.cluster.tokens.issuers[0]

    @property
    def admin_token(self) -> str:
        """The bearer token of its kubeconfig."""
        return self.cluster.admin_token

    @property
    def url(self) -> str:
        """Its API server, path included."""
        base = self._gate.url if self._gate is not None else self._server_url()
        return f"{base}/clusters/{self.name}"

    @property
    def gate_port(self) -> int | None:
        """The port it has for itself, if it was added as down."""
        return self._gate.port if self._gate is not None else None

    def kubeconfig(self) -> str:
        """Kubeconfig YAML with server, CA data and an admin's bearer token."""
        authority = base64.b64encode(self.certificate_authority.encode()).decode()
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": self.name, "cluster": {"server": self.url, "certificate-authority-data": authority}}
            ],
            "users": [{"name": "admin", "user": {"token": self.admin_token}}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": "admin"}}],
            "current-context": self.name,
        }
        return yaml.safe_dump(document, sort_keys=False)

    def set_issuer(self, issuer: str) -> None:
        """As changing the API server's `--service-account-issuer` and restarting it; tokens of the old one are refused."""
        self.set_issuers([issuer])

    def set_issuers(self, issuers: list[str]) -> None:
        """The same with several flags: the first signs, all are believed. Watches end, as on any restart."""
        self.cluster.tokens.set_issuers(issuers)
        self.cluster.store.restart()

    def take_down(self) -> None:
        """Nobody answers from now on; watches under way end."""
        if self.down:
            return
        self.down = True
        if self._gate is not None:
            port = self._gate.port
            self._gate.stop()
            self._gate = self._new_gate(port)

    def bring_up(self) -> None:
        """Answers (again)."""
        if self.down and self._gate is not None:
            self._gate.start()
        self.down = False

    def stop(self) -> None:
        """Ends its watches and its own server."""
        self.cluster.store.close()
        if self._gate is not None:
            self._gate.stop()


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
    clusters: dict[str, SandboxCluster] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.public_issuers = PublicIssuers(self.public_hosts)
        self.aws = SandboxAws(resolver=self.public_issuers.resolve)
        self.registry = SandboxRegistry(self.aws)
        self._keeper = Keeper(self.state_directory) if self.state_directory is not None else None
        self._workloads: dict[str, Workloads] = {}
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._ending = threading.Event()
        self._saver: threading.Thread | None = None

    def start(self) -> None:
        """Binds loopback ports and serves from threads; what was kept is there again."""
        self._scratch = tempfile.TemporaryDirectory(prefix="pullpass-sandbox-")
        kept = self._keeper.read("world") if self._keeper is not None else None
        ports: dict[str, int] = dict.fromkeys(PORTS, 0) if self._keeper is None else PORTS
        if kept is not None:
            ports = kept["ports"]
            self._certificates = Certificates(**kept["certificates"])
            self.aws.restore(kept["aws"])
        else:
            self._certificates = new_certificates(datetime.now(UTC))
        self._tls: ssl.SSLContext = self._certificates.tls_context(Path(self._scratch.name))
        self._front = Front(self.clusters)
        self._servers = {
            "kubernetes": LoopbackServer(self._front.wsgi_app, port=ports["kubernetes"], tls=self._tls),
            "aws": LoopbackServer(self.aws.wsgi_app, port=ports["aws"]),
            "registry": LoopbackServer(self.registry.wsgi_app, port=ports["registry"]),
        }
        for server in self._servers.values():
            server.start()
        if self._keeper is not None:
            self._saver = threading.Thread(target=self._save_often, name="sandbox-saver", daemon=True)
            self._saver.start()

    def stop(self) -> None:
        """Ends servers, threads and the processes of its Deployments, and keeps what there is to keep."""
        self._ending.set()
        for workloads in self._workloads.values():
            workloads.begin_stop()
        for workloads in self._workloads.values():
            workloads.stop()
        if self._saver is not None:
            self._saver.join()
            self._save()
        for cluster in self.clusters.values():
            cluster.stop()
        for server in self._servers.values():
            server.stop()
        if self._scratch is not None:
            self._scratch.cleanup()

    def add_cluster(
        self,
        name: str,
        *,
        issuer: str,
        public: bool,
        down: bool = False,
        signing_key: str | None = None,
        maximum_token_seconds: int | None = None,
    ) -> SandboxCluster:
        """A cluster with namespaces default, kube-system, kube-public, and a `default` service account in each new one.

        One of that name that was kept comes back as it was, its issuer included. `signing_key` (PEM) spares making
        one, where a thousand clusters may share it; `maximum_token_seconds` cuts longer TokenRequests.
        """
        kept = self._keeper.read(f"clusters/{name}") if self._keeper is not None else None
        settings = ClusterSettings(
            issuers=tuple(kept["issuers"]) if kept else (issuer,),
            admin_token=kept["adminToken"] if kept else new_admin_token(),
            signing_key=kept["signingKey"] if kept else signing_key,
            maximum_token_seconds=maximum_token_seconds,
        )
        cluster = Cluster(settings, self._certificates.authority)
        if kept:
            cluster.store.restore(kept["revision"], kept["objects"])
        else:
            cluster.bootstrap()
        gate = self._new_gate(kept["gatePort"] or 0 if kept else 0) if down else None
        made = SandboxCluster(
            name,
            cluster,
            server_url=lambda: self._servers["kubernetes"].url,
            certificate_authority=self._certificates.authority,
            gate=gate,
            new_gate=self._new_gate,
        )
        self.clusters[name] = made
        if public:
            self.public_issuers.register(cluster)
        if self.run_workloads:
            self._start_workloads(made)
        return made

    def _new_gate(self, port: int) -> LoopbackServer:
        return LoopbackServer(self._front.wsgi_app, port=port, tls=self._tls)

    def _start_workloads(self, cluster: SandboxCluster) -> None:
        logs = self._keeper.folder(f"clusters/{cluster.name}-logs") if self._keeper is not None else None
        scratch = Path(self._scratch.name if self._scratch is not None else tempfile.gettempdir())
        workloads = Workloads(
            cluster.cluster,
            server_url=f"{self._servers['kubernetes'].url}/clusters/{cluster.name}",
            registry_url=self._servers["registry"].url,
            folder=scratch / cluster.name,
            logs=logs,
        )
        self._workloads[cluster.name] = workloads
        workloads.start()

    @property
    def aws_endpoints(self) -> dict[str, str]:
        """`{sts, ecr, ecrPublic, metadata, iam, registry}` to base URLs."""
        aws = self._servers["aws"].url
        return {name: f"{aws}/{name}" for name in ("sts", "ecr", "metadata", "iam")} | {
            "ecrPublic": f"{aws}/ecr-public",
            "registry": self._servers["registry"].url,
        }

    def create_oidc_provider(self, account: str, url: str, audiences: list[str]) -> None:
        """As IAM CreateOpenIDConnectProvider in `account`."""
        self.aws.create_oidc_provider(account, url, audiences)

    def create_role(self, arn: str, trust_policy: dict[str, Any], *, allow: list[str] | None = None) -> None:
        """As CreateRole; `allow` are actions (default: what a private pull needs)."""
        self.aws.create_role(arn, trust_policy, allow=allow)

    def add_image(self, reference: str) -> None:
        """Puts an image into the registry that its reference names (`HOST/REPOSITORY:TAG`). Not kept over restarts."""
        self.registry.add_image(reference)

    def _save_often(self) -> None:
        while not self._ending.wait(_SAVE_SECONDS):
            self._save()

    def _save(self) -> None:
        if self._keeper is None:
            return
        self._keeper.write(
            "world",
            {
                "ports": {name: server.port for name, server in self._servers.items()},
                "certificates": asdict(self._certificates),
                "aws": self.aws.snapshot(),
            },
        )
        for name, made in list(self.clusters.items()):
            self._keeper.write(f"clusters/{name}", made.cluster.snapshot() | {"gatePort": made.gate_port})
            self._keeper.write_text(f"clusters/{name}.kubeconfig", made.kubeconfig())
