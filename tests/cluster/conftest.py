"""The whole of Pullpass against a real API server: nothing here is a mock.

Real: kube-apiserver with RBAC and admission, the hub and the controller as processes, `pullpass connect`, the agent as a
process with the tokens of its own service account. AWS and the registry are the sandbox's, which believe nothing that
AWS would not. Where nodes are missing, `tests.support.kubelet` runs the pods and `tests.support.services` is the way to
them, so webhooks work as they do in production.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import urllib3

from aws.trust_policy import TrustedWorkload, subject, trust_policy
from kube.client import Client
from kube.errors import KubeError, NotFound
from kube.objects import DEPLOYMENT, SERVICE_ACCOUNT, Kind, Object
from sandbox.world import World
from tests.support import processes
from tests.support.kubectl import Kubectl
from tests.support.kubelet import Kubelet
from tests.support.kubernetes import Etcd, RealCluster
from tests.support.services import Services

ROOT = Path(__file__).parents[2]
TOKEN = "pp_cluster_tests_0123456789abcdefghijklmnop"
ACCOUNT = "123456789012"
REGION = "eu-central-1"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pullpass"
ISSUER_HOST = "oidc.cluster.example.com"
ISSUER = f"https://{ISSUER_HOST}/id/real"
AUDIENCE = "sts.amazonaws.com"
AGENT = subject("pullpass-system", "pullpass-agent")
PATIENCE_SECONDS = 100.0
POLL_SECONDS = 0.2

Answer = TypeVar("Answer")


def eventually(
    look: Callable[[], Answer | None],
    *,
    what: str,
    explain: Callable[[], object] = lambda: "",
    patience: float = PATIENCE_SECONDS,
) -> Answer:
    """What `look` answers as soon as it is truthy; fails with `what` otherwise. A bound, not a measurement."""
    pause = threading.Event()
    for _ in range(int(patience / POLL_SECONDS)):
        answer = look()
        if answer:
            return answer
        pause.wait(POLL_SECONDS)
    raise AssertionError(f"never: {what}\n{explain()}")


@dataclass
class Stage:
    """One real cluster with a hub, an AWS and a registry round it."""

    cluster: RealCluster
    world: World
    client: Client
    directory: Path
    port: int
    kubelet: Kubelet
    services: Services
    controller: subprocess.Popen[bytes] | None = None
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, timeout=10))

    @property
    def kubectl(self) -> Kubectl:
        """With the admin's rights."""
        return Kubectl(self.client)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "PULLPASS_DATA_DIRECTORY": str(self.directory / "hub"),
            "PULLPASS_PORT": str(self.port),
            "PULLPASS_BOOTSTRAP_TOKEN": TOKEN,
            "PULLPASS_ALLOW_LOOPBACK": "true",
            "PULLPASS_LOOK_SECONDS": "2",
            "PULLPASS_PUBLIC_URL": "https://hub.example.com",
            "PULLPASS_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "PULLPASS_ORG": "acme",
            "PULLPASS_TOKEN": TOKEN,
        }

    def pullpass(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the command line as a person would."""
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, command: str) -> subprocess.Popen[bytes]:
        return processes.start(
            [sys.executable, "-m", "cli", command],
            log=self.directory / f"{command}.log",
            environment=self.environment | {"PYTHONPATH": str(ROOT)},
        )

    def call(self, method: str, path: str, body: object = None) -> Any:
        response = self.pool.request(
            method,
            f"http://127.0.0.1:{self.port}/org/acme/mk8s{path}",
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
            body=None if body is None else json.dumps(body).encode(),
        )
        answer = json.loads(response.data) if response.data else None
        assert response.status < 300, answer
        return answer

    def put(self, name: str = "demo", **members: Any) -> None:
        """Writes the manifest of a cluster with awsECR enabled; `members` replace its own."""
        self.call("PUT", "", manifest(name) | members)

    def patch(self, body: dict[str, Any], name: str = "demo") -> None:
        self.call("PATCH", f"/{name}", body)

    def wish(self, name: str = "demo", *, identity: dict[str, Any] | None = None, **settings: Any) -> None:
        """Writes the manifest with these settings of awsECR, pull secrets from one registry unless they say otherwise."""
        mine = {"registries": [REGISTRY], "delivery": "pullSecret"} | settings
        self.put(name, settings={"awsECR": mine, "awsWorkloadIdentity": identity or {}})

    def begin(self, *, identity: dict[str, Any] | None = None, **settings: Any) -> None:
        """From nothing to a cluster that is Ready, its agent running."""
        self.wish(identity=identity, **settings)
        self.connect()
        eventually(
            lambda: self.exists(DEPLOYMENT, "pullpass-agent", "pullpass-system"),
            what="the agent",
            explain=self.logs,
        )
        self.kubelet.run("pullpass-system", "pullpass-agent")
        self.wait_for_state("Ready")

    def show(self, name: str = "demo") -> Any:
        return self.call("GET", f"/{name}")

    def state(self, name: str = "demo") -> str:
        return str(self.show(name)["status"]["addOns"].get("awsECR", {}).get("state", "Disabled"))

    def issues(self, name: str = "demo") -> set[str]:
        status = self.show(name)["status"]
        found = list(status.get("issues", []))
        for add_on in status["addOns"].values():
            found += add_on.get("issues", [])
        return {str(issue["code"]) for issue in found}

    def connect(self, name: str = "demo") -> None:
        """`pullpass connect` with the admin's kubeconfig, AWS endpoints pointing to the sandbox's."""
        settings = self.directory / "connection.json"
        endpoints = self.world.aws_endpoints
        agents = ("sts", "ecr", "ecrPublic", "metadata", "registry")  # the hub's own calls have no setting
        aws = {f"{service}Endpoint": endpoints[service] for service in agents}
        settings.write_text(json.dumps({"timeoutSeconds": 5, "aws": aws}))
        kubeconfig = self.cluster.directory / "kubeconfig"
        result = self.pullpass(
            "connect", name, "--kubeconfig", str(kubeconfig), "--settings", str(settings), "--yes"
        )
        assert 0 == result.returncode, result.stderr

    def exists(self, kind: Kind, name: str, namespace: str | None = None) -> Object | None:
        try:
            return self.client.get(kind, name, namespace=namespace)
        except NotFound:
            return None
        except KubeError:  # it restarts
            return None

    def wait_for_state(self, wanted: str, name: str = "demo") -> None:
        eventually(
            lambda: self.state(name) == wanted,
            what=f"{name} {wanted}",
            explain=lambda: f"{json.dumps(self.show(name)['status'], indent=1)}\n{self.logs()}",
        )

    def wait_for_issue(self, code: str, name: str = "demo", *, patience: float = PATIENCE_SECONDS) -> None:
        eventually(
            lambda: code in self.issues(name),
            what=f"{name} has {code}",
            patience=patience,
            explain=lambda: f"{json.dumps(self.show(name)['status'], indent=1)}\n{self.logs()}",
        )

    def logs(self) -> str:
        files = [self.directory / "controller.log", self.kubelet.log]
        return "\n".join(f"{file.name}: {file.read_text()[-3000:]}" for file in files if file.exists())

    def make_namespace(self, name: str, **labels: str) -> None:
        metadata = {"name": name, "labels": labels}
        self.client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        eventually(lambda: self.exists(SERVICE_ACCOUNT, "default", name), what="its default account")


def manifest(name: str) -> dict[str, Any]:
    return {
        "kind": "mk8s",
        "name": name,
        "spec": {
            "version": "1.34.4",
            "provider": {"generic": {"location": "aws-eu-central-1"}},
            "addOns": {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE}},
        },
        "settings": {"awsECR": {"registries": [REGISTRY]}},
    }


def trusting(world: World, role: str = ROLE, *, allow: list[str] | None = None) -> None:
    """Makes a role that trusts the agent; `allow` are its actions (default: those of a private pull)."""
    world.create_role(role, trust_policy(role, [TrustedWorkload(ISSUER, AUDIENCE, (AGENT,))]), allow=allow)


def publish(client: Client, directory: Path) -> None:
    """Puts the cluster's discovery document and keys where a person would: on a static web site."""
    discovery = dict(client.read_path("/.well-known/openid-configuration")) | {
        "issuer": ISSUER,
        "jwks_uri": f"{ISSUER}/keys.json",
    }
    site = directory / "id" / "real"
    (site / ".well-known").mkdir(parents=True, exist_ok=True)
    (site / ".well-known" / "openid-configuration").write_text(json.dumps(discovery))
    (site / "keys.json").write_text(json.dumps(dict(client.read_path("/openid/v1/jwks"))))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def static_site(directory: Path) -> Iterator[str]:
    """The URL of a web server of static files."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(directory))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def on_stage(name: str, directory: Path, etcd: Etcd, *, flags: Sequence[str] = ()) -> Iterator[Stage]:
    """A cluster, its public issuer, an AWS, a hub and a controller; nothing is registered yet.

    `flags` are the API server's.
    """
    site = directory / "site"
    site.mkdir()
    with ExitStack() as stack:
        url = stack.enter_context(static_site(site))
        world = World(run_workloads=False, public_hosts={ISSUER_HOST: url})
        world.start()
        stack.callback(world.stop)
        services = Services(lambda: kubelet.pods)
        services.start()
        stack.callback(services.stop)
        cluster = RealCluster(
            name,
            directory / "cluster",
            etcd,
            issuer=ISSUER,
            controller_manager=True,
            egress=services.egress(),
            flags=tuple(flags),
        )
        client = Client(cluster.admin())
        stack.callback(client.close)
        stack.callback(cluster.stop)
        kubelet = Kubelet(client, cluster.server, directory / "node")
        stack.callback(kubelet.stop)
        cluster.start()
        services.connect(client)
        publish(client, site)
        world.create_oidc_provider(ACCOUNT, ISSUER, [AUDIENCE])
        trusting(world)
        stage = Stage(cluster, world, client, directory, processes.free_port(), kubelet, services)
        hub = stage.start("serve")
        stack.callback(processes.stop, hub)
        eventually(
            lambda: _serves(stage),
            what="the API serves",
            explain=(directory / "serve.log").read_text,
        )
        stage.controller = stage.start("controller")
        try:
            yield stage
        finally:
            stage.pool.clear()
            processes.stop(stage.controller)


@pytest.fixture(scope="module")
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, etcd: Etcd
) -> Iterator[Stage]:
    """A stage of the module's own."""
    name = request.module.__name__.rpartition(".")[2].replace("_", "-")
    with on_stage(name, tmp_path_factory.mktemp(name), etcd) as stage:
        yield stage


def _serves(stage: Stage) -> bool:
    try:
        return stage.pool.request("GET", f"http://127.0.0.1:{stage.port}/readyz").status == 200
    except urllib3.exceptions.HTTPError:
        return False
