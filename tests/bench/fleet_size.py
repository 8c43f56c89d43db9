"""How soon a toggle reaches a cluster of a large fleet, and what its dead clusters cost the others.

1,000 sandbox clusters in a process of their own, the real controller (`pullpass controller`) in another, a fleet in
SQLite. Twice, awsECR is enabled on one cluster after the other at a steady pace, every tenth time on one of the
hundred that are dead in the second round: half of those refuse connections, half accept them and never answer.
Measured from the commit of the change until the agent's configuration and Deployment are both in the cluster, for
the 900 that live. Loopback only; nothing is left behind.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from controller import rights
from fleet import clusters, connections, shards, work
from fleet.clusters import Wish
from fleet.database import Database
from fleet.records import Cluster, ClusterKey, Principal, Role
from fleet.sealing import Sealer
from kube.objects import MUTATING_WEBHOOK, Object, kind_of
from sandbox.kubernetes import kinds
from sandbox.kubernetes.cluster import Cluster as SandboxState
from sandbox.kubernetes.cluster import controller_request
from sandbox.kubernetes.kinds import CONFIG_MAP, DEPLOYMENT, SERVICE_ACCOUNT, Target, parse_path
from sandbox.kubernetes.store import Store
from sandbox.world import World
from schemas import connection_bodies
from schemas.agent_documents import (
    AGENT_ACCOUNT,
    CONFIGURATION_NAME,
    HUB_ACCOUNT,
    NAMESPACE_NAME,
    REPORT_NAME,
)
from schemas.pod_identity_documents import POD_IDENTITY_NAME
from tests.bench.agent import report_on, trust_of
from tests.support import certificates, processes

CLUSTERS = 1000
TOGGLES_A_SECOND = 5
SECONDS = 60
PATIENCE_SECONDS = 60.0
QUEUE_SECONDS = 10.0
ISSUER = "https://oidc.example.com/id/bench"
ROLE = "arn:aws:iam::123456789012:role/pullpass"
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
ADMIN = Principal("bench", "bench", "acme", Role.ADMIN)
ROOT = Path(__file__).parents[2]
WEBHOOK = Target(
    next(kind for kind in kinds.KINDS if kind.kind == MUTATING_WEBHOOK.kind), "", POD_IDENTITY_NAME
)


def _name(number: int) -> str:
    return f"cluster-{number:04}"


def _is_dead(number: int) -> bool:
    """In the second round."""
    return number % 10 == 9


def run() -> None:
    with tempfile.TemporaryDirectory() as directory, _world() as world, _dead_ports() as dead_ports:
        database = Database(
            f"sqlite:///{directory}/pullpass.db",
            sealer=Sealer.from_file(Path(directory) / "sealing.key"),
        )
        try:
            database.migrate()
            _fill(database, world.connections)
            with _controller(Path(directory)):
                _wait_until_quiet(database)
                rounds = {"all alive": _round(database, world, first=0)}
                for number in filter(_is_dead, range(CLUSTERS)):
                    _put_connection(database, number, _dead_connection(world, number, dead_ports))
                _wait_until_quiet(database)
                second = TOGGLES_A_SECOND * SECONDS
                rounds["10 % dead"] = _round(database, world, first=second)
        finally:
            database.close()
    print(
        f"{'fleet size':24}{'clusters':>10}{'toggles/s':>11}{'measured':>10}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}"
    )
    for name, taken in rounds.items():
        print(
            f"{name:24}{CLUSTERS:>10}{TOGGLES_A_SECOND:>11}{len(taken):>10}"
            f"{_percentile(taken, 50):>10.0f}{_percentile(taken, 99):>10.0f}{taken[-1]:>10.0f}"
        )
    alive, dead = rounds.values()
    ratios = [_percentile(dead, share) / _percentile(alive, share) for share in (50, 99)]
    print(f"{'ratio':55}{ratios[0]:>10.2f}{ratios[1]:>10.2f}")


def _percentile(ordered: Sequence[float], share: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]


@dataclass
class _World:
    """The clusters' process: how to reach each, and when the agent stood in it (monotonic)."""

    connections: Sequence[dict[str, Any]]
    applied: dict[str, float] = field(default_factory=dict)

    def listen(self, lines: Iterator[str]) -> None:
        for line in lines:
            name, when = json.loads(line)
            self.applied[name] = when


def _round(database: Database, world: _World, *, first: int) -> list[float]:
    """Milliseconds from commit to applied for the living, in order of length."""
    committed: dict[str, float] = {}
    pause = threading.Event()
    start = time.monotonic()
    for count in range(TOGGLES_A_SECOND * SECONDS):
        pause.wait(max(0.0, start + count / TOGGLES_A_SECOND - time.monotonic()))
        number = first + count
        key = ClusterKey(ADMIN.org, _name(number))
        clusters.patch(database, ADMIN, key, _enable, now=datetime.now(UTC))
        if not _is_dead(number):
            committed[key.name] = time.monotonic()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while missing := committed.keys() - world.applied.keys():
        if time.monotonic() > deadline:
            raise RuntimeError(f"never applied: {sorted(missing)}")
        pause.wait(0.1)
    return sorted(1000 * (world.applied[name] - when) for name, when in committed.items())


def _manifest(name: str) -> dict[str, Any]:
    spec = {"version": "1.34.4", "provider": {"generic": {"location": "aws-eu-central-1"}}}
    return {"kind": "mk8s", "name": name, "spec": spec}


def _enable(cluster: Cluster) -> Wish:
    manifest = _manifest(cluster.key.name)
    manifest["spec"]["addOns"] = {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE}}
    return Wish(manifest, {"awsECR": {"registries": [REGISTRY]}})


def _fill(database: Database, bodies: Sequence[dict[str, Any]]) -> None:
    for number, body in enumerate(bodies):
        name = _name(number)
        key = ClusterKey(ADMIN.org, name)
        clusters.create(database, ADMIN, key, Wish(_manifest(name)), now=datetime.now(UTC))
        _put_connection(database, number, body)


def _put_connection(database: Database, number: int, body: dict[str, Any]) -> None:
    now = datetime.now(UTC)
    key = ClusterKey(ADMIN.org, _name(number))
    connections.put(
        database, ADMIN, key, connection_bodies.parse(body, now=now, allow_loopback=True), now=now
    )


def _dead_connection(world: _World, number: int, ports: Sequence[int]) -> dict[str, Any]:
    port = ports[number // 10 % len(ports)]
    return world.connections[number] | {"server": f"https://127.0.0.1:{port}"}


def _wait_until_quiet(database: Database) -> None:
    """Until the controller has acted on every change, and its queue has run out."""
    pause = threading.Event()
    for _ in range(600):
        if not work.due(database, range(shards.SHARDS)):
            pause.wait(QUEUE_SECONDS)
            return
        pause.wait(0.2)
    raise RuntimeError("the controller does not come to an end")


@contextmanager
def _controller(directory: Path) -> Iterator[None]:
    environment = {
        **os.environ,
        "PULLPASS_DATA_DIRECTORY": str(directory),
        "PULLPASS_ALLOW_LOOPBACK": "true",
        "PULLPASS_LOG_LEVEL": "error",
    }
    log = directory / "controller.log"
    process = processes.start([sys.executable, "-m", "cli", "controller"], log=log, environment=environment)
    try:
        yield
        if process.poll() is not None:
            raise RuntimeError(log.read_text()[-3000:])
    finally:
        processes.stop(process, grace_seconds=40)


@contextmanager
def _dead_ports() -> Iterator[tuple[int, int]]:
    """A port where nobody listens, and one where connections are accepted and nothing is ever said."""
    with socket.socket() as refusing, _Silent(("127.0.0.1", 0), _Listener) as silent:
        refusing.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=silent.serve_forever)
        thread.start()
        try:
            yield refusing.getsockname()[1], silent.server_address[1]
        finally:
            silent.shutdown()
            thread.join()


class _Silent(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


class _Listener(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while self.request.recv(65536):
            pass


@contextmanager
def _world() -> Iterator[_World]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.fleet_size", "world"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("no pipes")
    world = _World(json.loads(process.stdout.readline()))
    listener = threading.Thread(target=world.listen, args=(iter(process.stdout),))
    listener.start()
    try:
        yield world
    finally:
        process.stdin.close()
        process.wait()
        listener.join()
        process.stdout.close()


def _serve_world() -> None:
    """The other process: prints all connections, then `[name, when]` for each agent that came; ends with its stdin."""
    printing = threading.Lock()

    def applied(name: str, when: float) -> None:
        with printing:
            print(json.dumps([name, when]), flush=True)

    world = World(run_workloads=False)
    world.start()
    try:
        signing_key = certificates.signing_key()
        bodies = []
        for number in range(CLUSTERS):
            name = _name(number)
            made = world.add_cluster(name, issuer=ISSUER, public=False, signing_key=signing_key)
            admin = connection_bodies.parse(
                {"kubeconfig": made.kubeconfig()}, now=datetime.now(UTC), allow_loopback=True
            )
            token = _connect(made.cluster)
            bodies.append(
                {"server": made.url, "certificateAuthority": admin.certificate_authority, "token": token}
            )
            threading.Thread(
                target=_be_agent, args=(name, made.cluster, admin.certificate_authority, applied), daemon=True
            ).start()
        gc.collect()
        gc.freeze()  # a thousand clusters in one heap: a full collection would stop them all for a second
        print(json.dumps(bodies), flush=True)
        sys.stdin.read()
    finally:
        world.stop()


def _connect(state: SandboxState) -> str:
    """What `pullpass connect` does, without HTTP: the rights, and a token of the hub's account."""
    now = datetime.now(UTC)
    for obj in rights.objects():
        metadata = obj["metadata"]
        target = parse_path(kind_of(obj).path(metadata.get("namespace"), metadata["name"]))
        if target is None:
            raise RuntimeError(f"the sandbox does not serve {obj['kind']}")
        state.writer.apply(target, obj, controller_request("admin"), force=True)
    account = Target(SERVICE_ACCOUNT, NAMESPACE_NAME, HUB_ACCOUNT, "token")
    token: str = state.request_token(account, {"spec": {"expirationSeconds": 24 * 3600}}, now)["status"][
        "token"
    ]
    return token


def _be_agent(
    name: str, state: SandboxState, certificate_authority: str, applied: Callable[[str, float], None]
) -> None:
    """Waits until it is installed, and reports once that all is well, its webhook included."""
    store = state.store
    configuration = _once_there(store, Target(CONFIG_MAP, NAMESPACE_NAME, CONFIGURATION_NAME))
    if configuration is None or _once_there(store, Target(DEPLOYMENT, NAMESPACE_NAME, AGENT_ACCOUNT)) is None:
        return
    applied(name, time.monotonic())
    webhook = _once_there(store, WEBHOOK)
    if webhook is None:
        return
    for target, obj in (
        (WEBHOOK, trust_of(webhook, certificate_authority)),
        (Target(CONFIG_MAP, NAMESPACE_NAME, REPORT_NAME), report_on(configuration)),
    ):
        state.writer.apply(target, obj, controller_request(AGENT_ACCOUNT), force=True)


def _once_there(store: Store, target: Target) -> Object | None:
    """An object of the hub's; None where the world ended before it came."""
    while not store.closed:
        revision = store.revision
        found = store.get(target.kind, target.namespace, target.name)
        if found is not None:
            return found.object
        store.wait(target.kind, revision, PATIENCE_SECONDS)
    return None


if __name__ == "__main__":
    if sys.argv[1:] == ["world"]:
        _serve_world()
    else:
        run()
