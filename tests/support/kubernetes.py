"""Real Kubernetes API servers for tests, on one etcd: RBAC on, no nodes.

`tests/contract/kubernetes`, `tests/cluster` and `tests/bench` use it through the fixtures `etcd` and `real_cluster`
of `tests/conftest.py`. A server takes about six seconds to start; a controller manager is started beside it where
a test needs the objects that it makes (the `default` ServiceAccount of a new namespace, pods of a Deployment).
"""

from __future__ import annotations

import base64
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import yaml

from kube.client import Access, Client
from kube.errors import ApiError, Unreachable
from tests.support import certificates, processes, programs

KUBERNETES_SERVICE_ADDRESS = "10.96.0.1"
START_SECONDS = 90.0
_POLL_SECONDS = 0.1
_STOP_SECONDS = 2.0  # whoever watches would keep it for ten; what it was told is in etcd


@dataclass
class Etcd:
    """One etcd on loopback, without fsync: it serves any number of API servers, each under its own prefix."""

    directory: Path
    port: int = field(default_factory=processes.free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        program = programs.require("etcd", make="programs")
        peer = f"http://127.0.0.1:{processes.free_port()}"
        self._process = processes.start(
            [
                program,
                "--unsafe-no-fsync",
                f"--data-dir={self.directory / 'data'}",
                f"--listen-client-urls={self.url}",
                f"--advertise-client-urls={self.url}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--logger=zap",
            ],
            log=self.directory / "etcd.log",
        )

    def stop(self) -> None:
        if self._process is not None:
            processes.stop(self._process)
            self._process = None


@dataclass
class RealCluster:
    """One kube-apiserver (and, asked for, a kube-controller-manager) on loopback.

    Args:
        name: Tells this one's objects in etcd and its files from the others'.
        directory: An empty folder for keys, certificates and logs.
        etcd: A running etcd.
        issuer: What `--service-account-issuer` says; changed by `restart(issuer=…)`.
        controller_manager: Starts it, too: new namespaces get their `default` ServiceAccount.
        address: Where the API server listens; one that is not loopback is a node's `kubernetes` Service, too.
        egress: An EgressSelectorConfiguration: how the API server reaches Services (`tests.support.services`).
        flags: More flags of the API server.
    """

    name: str
    directory: Path
    etcd: Etcd
    issuer: str = "https://oidc.example.com/id/1"
    controller_manager: bool = False
    address: str = "127.0.0.1"
    egress: str = ""
    flags: tuple[str, ...] = ()
    port: int = field(default_factory=processes.free_port)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.authority = authority = certificates.Authority(f"{self.name} authority")
        self.certificate_authority = authority.certificate
        self.client_certificate, self.client_key = authority.client("admin", group="system:masters")
        certificate, key = authority.server(
            self.address, "localhost", "kubernetes.default.svc", KUBERNETES_SERVICE_ADDRESS
        )
        self.directory.mkdir(parents=True, exist_ok=True)
        for file, text in {
            "ca.crt": authority.certificate,
            "server.crt": certificate,
            "server.key": key,
            "admin.crt": self.client_certificate,
            "admin.key": self.client_key,
            "service-account.key": certificates.signing_key(),
            "egress.json": self.egress,
        }.items():
            certificates.write_private(self.directory / file, text)
        (self.directory / "kubeconfig").write_text(self.kubeconfig(), encoding="ascii")

    @property
    def server(self) -> str:
        return f"https://{self.address}:{self.port}"

    def admin(self) -> Access:
        """The access of a cluster admin, by client certificate."""
        return self.certified(self.client_certificate, self.client_key)

    def certified(self, certificate: str, key: str) -> Access:
        """The access of whoever holds a client certificate of `authority`."""
        return Access(
            self.server,
            certificate_authority=self.certificate_authority,
            client_certificate=certificate,
            client_key=key,
            allow_loopback=True,
        )

    def access(self, token: str) -> Access:
        """The access of whoever holds a bearer token."""
        return Access(
            self.server, certificate_authority=self.certificate_authority, token=token, allow_loopback=True
        )

    def kubeconfig(self) -> str:
        """The admin's kubeconfig, certificates inside."""
        return kubeconfig(self.name, self.admin())

    def start(self) -> None:
        """Starts it and waits until it is ready. Raises `RuntimeError` with its last words otherwise."""
        server = self._start("kube-apiserver", self._api_server_arguments())
        self._wait_until_ready(server)
        if self.controller_manager:
            self._start("kube-controller-manager", self._controller_manager_arguments())

    def stop(self) -> None:
        """Ends its processes; its objects stay in etcd."""
        while self._processes:
            processes.stop(self._processes.pop(), grace_seconds=_STOP_SECONDS)

    def restart(self, *, issuer: str | None = None) -> None:
        """Stops and starts it on the same port, with another issuer if one is given: objects and keys stay."""
        self.stop()
        self.issuer = issuer or self.issuer
        self.start()

    def log(self, program: str = "kube-apiserver") -> Path:
        return self.directory / f"{program}.log"

    def _start(self, program: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        path = programs.require(program, make="kubernetes")
        process = processes.start([path, *arguments], log=self.log(program))
        self._processes.append(process)
        return process

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        client = Client(self.admin())
        pause = threading.Event()
        try:
            for _ in range(int(START_SECONDS / _POLL_SECONDS)):
                if process.poll() is not None:
                    break
                try:
                    client.read_path("/readyz")
                except ApiError as error:
                    if error.status == HTTPStatus.OK:  # it says "ok", which is no JSON
                        return
                except Unreachable:
                    pass
                pause.wait(_POLL_SECONDS)
        finally:
            client.close()
        tail = self.log().read_text(encoding="utf-8", errors="replace")[-3000:]
        raise RuntimeError(f"{self.name}: the API server is not ready:\n{tail}")

    def _api_server_arguments(self) -> list[str]:
        directory = self.directory
        return [
            f"--etcd-servers={self.etcd.url}",
            f"--etcd-prefix=/{self.name}",
            f"--bind-address={self.address}",
            f"--advertise-address={self.address}",
            f"--secure-port={self.port}",
            f"--tls-cert-file={directory / 'server.crt'}",
            f"--tls-private-key-file={directory / 'server.key'}",
            f"--client-ca-file={directory / 'ca.crt'}",
            "--authorization-mode=Node,RBAC",
            f"--service-account-issuer={self.issuer}",
            f"--api-audiences={self.issuer}",
            f"--service-account-key-file={directory / 'service-account.key'}",
            f"--service-account-signing-key-file={directory / 'service-account.key'}",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--endpoint-reconciler-type={'none' if self.address == '127.0.0.1' else 'master-count'}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-client-certificate={directory / 'admin.crt'}",
            f"--kubelet-client-key={directory / 'admin.key'}",
            "--allow-privileged=true",
            "--enable-admission-plugins=NodeRestriction",
            "--shutdown-send-retry-after=false",
            *self.flags,
            *([f"--egress-selector-config-file={directory / 'egress.json'}"] if self.egress else []),
        ]

    def _controller_manager_arguments(self) -> list[str]:
        directory = self.directory
        return [
            f"--kubeconfig={directory / 'kubeconfig'}",
            "--bind-address=127.0.0.1",
            f"--secure-port={processes.free_port()}",
            f"--cert-dir={directory}",
            "--leader-elect=false",
            "--use-service-account-credentials=false",
            f"--service-account-private-key-file={directory / 'service-account.key'}",
            f"--root-ca-file={directory / 'ca.crt'}",
        ]


@dataclass(frozen=True)
class ClusterUnderTest:
    """An API server of either flavour, `sandbox` or `real`, its admin and its issuer.

    `restart` ends every watch and forgets the changes that a watch might resume behind; objects and keys stay.
    """

    flavour: str
    admin: Access
    issuer: str
    restart: Callable[[], None]

    def access(self, token: str) -> Access:
        """The same server for whoever holds `token`."""
        return Access(
            self.admin.server,
            certificate_authority=self.admin.certificate_authority,
            token=token,
            allow_loopback=True,
        )


def kubeconfig(name: str, access: Access) -> str:
    """An access as kubeconfig YAML with one context, certificates inside."""

    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    cluster = {"server": access.server}
    if access.certificate_authority:
        cluster["certificate-authority-data"] = encoded(access.certificate_authority)
    user = {"token": access.token} if access.token else {}
    if access.client_certificate and access.client_key:
        user["client-certificate-data"] = encoded(access.client_certificate)
        user["client-key-data"] = encoded(access.client_key)
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": "admin", "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": "admin"}}],
            "current-context": name,
        }
    )
