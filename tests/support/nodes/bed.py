"""The test bed: a real cluster of real nodes, with a loopback AWS and a registry under an ECR name.

etcd, kube-apiserver, controller manager and scheduler run beside the test, in the enclosure's network; each node has a
network of its own. AWS and the registry are the sandbox's, which take and believe nothing that AWS would not; nodes reach
the registry under its ECR name, by /etc/hosts and a certificate authority of the bed.
"""

from __future__ import annotations

import functools
import http.server
import json
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from aws.credentials import AwsEndpoints
from aws.ecr import authorization_token
from aws.sts import assume_role_with_web_identity
from aws.trust_policy import TrustedWorkload, trust_policy
from kube.client import Client
from kube.errors import KubeError, NotFound
from kube.objects import NODE, POD, Kind, Object
from sandbox.serving import LoopbackServer
from sandbox.world import World
from tests.support import certificates, processes
from tests.support.kubernetes import Etcd, RealCluster, kubeconfig
from tests.support.nodes import network, parts
from tests.support.nodes.images import Image, compile_pause, image_of
from tests.support.nodes.layouts import PAUSE_IMAGE, Layout, NodeFacts
from tests.support.nodes.node import Node

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ACCOUNT = "123456789012"
REGION = "eu-central-1"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pullpass"
ISSUER_HOST = "oidc.cluster.example.com"
ISSUER = f"https://{ISSUER_HOST}/id/e2e"
AUDIENCE = "sts.amazonaws.com"
PUBLIC_REGISTRY = "public.ecr.aws"
PRIVATE_IMAGE = f"{REGISTRY}/team/app:1.0"
PUBLIC_IMAGE = f"{PUBLIC_REGISTRY}/team/app:1.0"
DAEMON_SET = Kind("apps/v1", "DaemonSet", "daemonsets", namespaced=True)
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases", namespaced=True)
EVENT = Kind("v1", "Event", "events", namespaced=True)
_HTTPS = 443
_POLL_SECONDS = 0.2

Answer = TypeVar("Answer")


class NodeCluster(RealCluster):
    """An API server that nodes reach, with a scheduler. kube-proxy runs on the nodes."""

    def start(self) -> None:
        super().start()
        self._start("kube-scheduler", self._scheduler_arguments())

    def _scheduler_arguments(self) -> list[str]:
        return [
            f"--kubeconfig={self.directory / 'kubeconfig'}",
            "--bind-address=127.0.0.1",
            f"--secure-port={processes.free_port()}",
            f"--cert-dir={self.directory}",
            "--leader-elect=false",
        ]


class Bed:
    """`nodes` says which layout each node has. Everything is under `directory`, in the enclosure; `stop` ends it."""

    def __init__(self, directory: Path, nodes: dict[str, Layout]) -> None:
        self.directory = directory
        self._layouts = nodes
        self._closers: list[Callable[[], object]] = []
        self.nodes: dict[str, Node] = {}

    def start(self) -> None:
        """Returns when every node is Ready and has the images that come from no registry."""
        network.make_bridge()
        self._start_world()
        self._start_cluster()
        program = compile_pause(self.directory / "pause")
        self.pause = program
        pause = image_of(program, label="pause").write_archive(self.directory / "pause.tar", PAUSE_IMAGE)
        for number, (name, layout) in enumerate(self._layouts.items(), start=1):
            self.nodes[name] = self._new_node(name, number, layout)
            self._closers.append(self.nodes[name].stop)

        for node in (
            self.nodes.values()
        ):  # from this thread: the kernel ends a process with the thread that started it
            node.start()
        network.route_services(1)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: node.import_image(pause), self.nodes.values()))
        for image in (PRIVATE_IMAGE, PUBLIC_IMAGE):
            self.add_image(image, image_of(program, label="team/app"))
        for name in self.nodes:
            self.wait_for_node(name)

    def stop(self) -> None:
        """Ends everything, last first; each part has its turn even when another one fails."""
        errors: list[Exception] = []
        while self._closers:
            try:
                self._closers.pop()()
            except Exception as error:  # noqa: BLE001 - the rest must be stopped, then it is raised
                errors.append(error)
        if errors:
            raise ExceptionGroup("the test bed did not stop cleanly", errors)

    def add_image(self, reference: str, image: Image) -> None:
        """Puts an image into the private registry."""
        self.world.registry.add_manifest(reference, image.manifest, image.blobs)

    def import_image(self, archive: Path) -> None:
        """Puts an archive's images on every node."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: node.import_image(archive), self.nodes.values()))

    @property
    def aws_settings(self) -> dict[str, str]:
        """What a connection's `aws` settings say here."""
        return {
            "stsEndpoint": f"{self.aws_url}/sts",
            "ecrEndpoint": f"{self.aws_url}/ecr",
            "ecrPublicEndpoint": f"{self.aws_url}/ecr-public",
            "registryEndpoint": f"https://{network.HUB_ADDRESS}",
            "caBundle": self.aws_authority,
        }

    def trust(self, *subjects: str, allow: list[str] | None = None) -> None:
        """Replaces the role: these subjects of this cluster trusted, nobody else, `allow` (a private pull) allowed."""
        document = trust_policy(ROLE, [TrustedWorkload(ISSUER, AUDIENCE, subjects)])
        self.world.create_role(ROLE, document, allow=allow)

    def issued_password(self, namespace: str, service_account: str) -> str:
        """A password that AWS gives for a token of this service account, which the role must trust."""
        token = self.client.request_token(
            namespace, service_account, audiences=[AUDIENCE], expiration_seconds=3600
        )
        endpoints = self.world.aws_endpoints
        aws = AwsEndpoints(sts=endpoints["sts"], ecr=endpoints["ecr"], registry=endpoints["registry"])
        session = assume_role_with_web_identity(
            role_arn=ROLE, session_name="static", token=token.token, region=REGION, endpoints=aws
        )
        now = datetime.now(UTC)
        return authorization_token(credentials=session, region=REGION, endpoints=aws, now=now).password

    def apply(self, kind: Kind, obj: Object) -> Object:
        """Server-side apply as the tests."""
        metadata = obj["metadata"]
        path = f"{kind.path(metadata.get('namespace'), metadata['name'])}?fieldManager=tests&force=true"
        body = obj | {"apiVersion": kind.api_version, "kind": kind.kind}
        return self.client._json("PATCH", path, body, content_type="application/apply-patch+yaml")

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Object | None:
        """None while it is not there, or the API server is not."""
        try:
            return self.client.get(kind, name, namespace=namespace)
        except NotFound:
            return None
        except KubeError:
            return None

    def pods(self, namespace: str, label: str = "") -> list[Object]:
        """Its pods that are not on their way out."""
        found = self.client.list(POD, namespace=namespace, label_selector=label or None).items
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def is_ready(self, name: str) -> bool:
        """Whether the Node says Ready."""
        node = self.get(NODE, name)
        conditions = (node or {}).get("status", {}).get("conditions", [])
        return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)

    def wait_for_phase(self, name: str, namespace: str, phase: str, *, patience: float = 120.0) -> None:
        """Until a pod is `Running`, `Failed`, …"""
        eventually(
            lambda: (self.get(POD, name, namespace) or {}).get("status", {}).get("phase") == phase,
            what=f"{namespace}/{name} is {phase}",
            patience=patience,
            explain=lambda: f"{self.pull_failures(name, namespace)}\n{self.get(POD, name, namespace)}",
        )

    def pull_failures(self, name: str, namespace: str) -> str:
        """What the kubelet says about the pulls of a pod that failed."""
        selector = f"involvedObject.name={name},reason=Failed"
        events = self.client.list(EVENT, namespace=namespace, field_selector=selector).items
        return "\n".join(event["message"] for event in events)

    def wait_for_node(self, name: str, *, fresh: bool = False, patience: float = 150.0) -> None:
        """Until it says Ready; `fresh`: in a heartbeat that is newer than this call."""
        before = self._heartbeat(name) if fresh else None
        eventually(
            lambda: self.is_ready(name) and (not fresh or self._heartbeat(name) != before),
            what=f"{name} is Ready",
            patience=patience,
            explain=lambda: f"{self.nodes[name].journal()}\n{self.nodes[name].journal('containerd')}",
        )

    def _heartbeat(self, name: str) -> str | None:
        lease = self.get(LEASE, name, "kube-node-lease")
        return str(lease["spec"]["renewTime"]) if lease is not None else None

    def _start_world(self) -> None:
        site = self.directory / "site"
        site.mkdir()
        self._site = site
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(_Quiet, directory=str(site))
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self._closers += [server.server_close, thread.join, server.shutdown]
        address = f"http://127.0.0.1:{server.server_address[1]}"
        self.world = World(run_workloads=False, public_hosts={ISSUER_HOST: address})
        self.world.start()
        self._closers.append(self.world.stop)
        authority = certificates.Authority("AWS authority")
        self.aws_authority = authority.certificate
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = authority.server(REGISTRY, PUBLIC_REGISTRY, network.HUB_ADDRESS)
        context.load_cert_chain(certificates.write_private(self.directory / "aws.pem", certificate + key))
        registry = self._serve(self.world.registry.wsgi_app, context)
        network.expose(registry, as_port=_HTTPS)
        aws = self._serve(self.world.aws.wsgi_app, context)
        network.expose(aws)
        self.aws_url = f"https://{network.HUB_ADDRESS}:{aws}"

    def _serve(self, app: WSGIApplication, context: ssl.SSLContext) -> int:
        """The loopback port on which `app` is served over TLS."""
        server = LoopbackServer(app, tls=context)
        server.start()
        self._closers.append(server.stop)
        return server.port

    def _start_cluster(self) -> None:
        etcd_directory = self.directory / "etcd"
        etcd_directory.mkdir()
        etcd = Etcd(etcd_directory)
        self._closers.append(etcd.stop)
        etcd.start()
        self.cluster = NodeCluster(
            "e2e",
            self.directory / "cluster",
            etcd,
            issuer=ISSUER,
            controller_manager=True,
            address=network.HUB_ADDRESS,
        )
        self._closers.append(self.cluster.stop)
        self.cluster.start()
        self.client = Client(self.cluster.admin(), field_manager="tests")
        self._closers.append(self.client.close)
        self._publish()
        self.world.create_oidc_provider(ACCOUNT, ISSUER, [AUDIENCE])

    def _publish(self) -> None:
        """Puts discovery and keys where a person would: on a static web site."""
        discovery = dict(self.client.read_path("/.well-known/openid-configuration"))
        discovery |= {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys.json"}
        folder = self._site / "id" / "e2e"
        (folder / ".well-known").mkdir(parents=True)
        (folder / ".well-known" / "openid-configuration").write_text(json.dumps(discovery))
        (folder / "keys.json").write_text(json.dumps(dict(self.client.read_path("/openid/v1/jwks"))))

    def _new_node(self, name: str, number: int, layout: Layout) -> Node:
        place = network.make_node_network(name, number)
        authority = self.cluster.authority
        kubelet = self.cluster.certified(*authority.client(f"system:node:{name}", group="system:nodes"))
        proxy = self.cluster.certified(*authority.client("system:kube-proxy"))
        facts = NodeFacts(
            name=name,
            address=place.address,
            pods=place.pods,
            kubeconfig=kubeconfig("e2e", kubelet),
            proxy_kubeconfig=kubeconfig("e2e", proxy),
            certificate_authority=self.cluster.certificate_authority,
            registry_hosts=(REGISTRY, PUBLIC_REGISTRY),
            registry_address=network.HUB_ADDRESS,
            registry_authority=self.aws_authority,
        )
        cgroup = f"{self.directory.name}-{name}"  # the run's name: what `run` sweeps
        node = Node(name, self.directory / name, parts.node_root(), place, layout, facts, cgroup)
        node.prepare()
        return node


def eventually(
    look: Callable[[], Answer | None],
    *,
    what: str,
    explain: Callable[[], object] = lambda: "",
    patience: float = 120.0,
) -> Answer:
    """What `look` answers as soon as it is truthy; fails with `what` otherwise. A bound, not a measurement."""
    pause = threading.Event()
    for _ in range(int(patience / _POLL_SECONDS)):
        answer = look()
        if answer:
            return answer
        pause.wait(_POLL_SECONDS)
    raise AssertionError(f"never: {what}\n{explain()}")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
