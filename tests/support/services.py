"""Plays kube-proxy for the API server: connections to a Service reach a ready pod of `tests.support.kubelet`.

The API server is told to dial everything in the cluster, webhooks foremost, by an HTTP CONNECT proxy on a Unix socket
(https://kubernetes.io/docs/tasks/extend-kubernetes/setup-konnectivity/, EgressSelectorConfiguration). So a webhook
works as the hub installed it: by Service name, port 443 and `caBundle`, with no privilege on this machine.
"""

from __future__ import annotations

import contextlib
import json
import select
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from kube.client import Client
from kube.errors import KubeError
from kube.objects import Object
from tests.support.kubectl import Kubectl
from tests.support.kubelet import RunningPod

_CHUNK = 65536


class Services:
    """Serves from threads between `start` and `stop`.

    `pods` are those that run now. `connect` gives it the API server's admin, once there is one. `accepted` counts
    connections. While `broken` is set nobody gets through.
    """

    def __init__(self, pods: Callable[[], Iterable[RunningPod]]) -> None:
        self.accepted = 0
        self.broken = threading.Event()
        self._pods = pods
        self._client: Client | None = None
        self._services: dict[str, Object] = {}
        self._folder = Path(
            tempfile.mkdtemp(prefix="pp-")
        )  # short: a Unix socket's path may have 107 characters
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / "egress.sock"))
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._turn = 0

    def egress(self) -> str:
        """The API server's EgressSelectorConfiguration."""
        connection = {
            "proxyProtocol": "HTTPConnect",
            "transport": {"uds": {"udsName": str(self._folder / "egress.sock")}},
        }
        return json.dumps(
            {
                "apiVersion": "apiserver.k8s.io/v1beta1",
                "kind": "EgressSelectorConfiguration",
                "egressSelections": [{"name": "cluster", "connection": connection}],
            }
        )

    def start(self) -> None:
        self._listener.listen(128)
        self._spawn(self._accept)

    def connect(self, client: Client) -> None:
        """Services are looked up with this client."""
        self._client = client

    def stop(self) -> None:
        """Ends every connection and thread."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)
        shutil.rmtree(self._folder)

    def cut(self) -> None:
        """Ends the connections that are open now."""
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _spawn(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="services", daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                part = connection.recv(_CHUNK)
                if not part:
                    return
                request += part
            address, _, port = request.split(b" ")[1].decode().rpartition(":")
            backend = self._backend(address, int(port))
            if backend is None:
                connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
                return
            with backend:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self._relay(connection, backend)

    def _backend(self, address: str, port: int) -> socket.socket | None:
        """A connection to a ready pod of the Service at this address, in turn; None where there is none."""
        service = self._service(address)
        if service is None or self.broken.is_set():
            return None
        target = next((str(one["targetPort"]) for one in service["spec"]["ports"] if one["port"] == port), "")
        namespace, selector = service["metadata"]["namespace"], service["spec"]["selector"].items()
        ready = [
            pod.ports[target]
            for pod in self._pods()
            if pod.ready
            and pod.namespace == namespace
            and selector <= pod.labels.items()
            and target in pod.ports
        ]
        self._turn += 1
        for position in range(len(ready)):
            try:
                return socket.create_connection(
                    ("127.0.0.1", ready[(self._turn + position) % len(ready)]), timeout=5
                )
            except OSError:
                continue
        return None

    def _service(self, address: str) -> Object | None:
        if address not in self._services and self._client is not None:
            try:
                listed = Kubectl(self._client).get("v1", "Service")["items"]
            except KubeError:
                return None
            self._services = {one["spec"]["clusterIP"]: one for one in listed}
        return self._services.get(address)

    def _relay(self, first: socket.socket, second: socket.socket) -> None:
        other = {first: second, second: first}
        self._open |= {first, second}
        try:
            while not self.broken.is_set():  # it may have been set, and `cut`, just before this was open
                readable, _, _ = select.select([first, second], [], [], 60)
                for one in readable:
                    data = one.recv(_CHUNK)
                    if not data:
                        return
                    other[one].sendall(data)
        except OSError:
            return
        finally:
            self._open -= {first, second}
