"""What a pull costs when the kubelet asks for the credential, and what a restart of the kubelet does to pods.

It runs on the bed of `make e2e`, inside its enclosure: pytest calls `measure_node_delivery` there. The hub turns node
delivery on for two nodes under load; a third one, never touched, makes the same pulls with a static pull secret. Each
pull is of an image of its own. The first of a registry is cold (the kubelet asks the plugin, the plugin STS and ECR), the
second is warm. The times are containerd's own.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import statistics
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kube.objects import NAMESPACE, NODE, POD, SECRET, SERVICE_ACCOUNT
from tests.bench.readiness import deploy_probed, print_seen, wait_until_ready, watching
from tests.support import programs
from tests.support.nodes import parts
from tests.support.nodes import run as enclosure
from tests.support.nodes.bed import ACCOUNT, EVENT, REGION, REGISTRY, ROLE, Bed, eventually
from tests.support.nodes.delivery import SUBJECT, Delivery
from tests.support.nodes.hub import CLUSTER, Hub
from tests.support.nodes.images import image_of
from tests.support.nodes.layouts import KUBEADM
from tests.support.nodes.network import HUB_ADDRESS
from tests.support.nodes.workloads import pod

PULLS = 25  # of each sort; the medians count
OURS, SECOND, STATIC = "node-1", "node-2", "node-3"
DELIVERED = (OURS, SECOND)
SPACE = "shop"
SORTS = ("cold", "warm")
MEASURES = {
    "whole": "pod created to container started",
    "image": "sandbox made to container made",
    "lookup": "of it, before containerd is asked",
    "event": "the kubelet's 'Pulled ... in'",
}
AGENT = "system:serviceaccount:pullpass-system:pullpass-agent"
_SETTLE_SECONDS = 15.0
_PATIENCE_SECONDS = 180.0
_LINE = re.compile(r'time="(?P<time>[^"]+)" level=\w+ msg="(?P<words>.*)"\s*$')


def run() -> None:
    """Prints the figures; says why when this machine cannot make them."""
    print("Pulls with node delivery", flush=True)
    missing = sorted(package for name, package in parts.NEEDED.items() if programs.find(name) is None)
    if os.geteuid() != 0 or missing:
        print(f"  not measured: the test bed needs {' '.join(missing) or 'root'}")
        return
    if "PULLPASS_E2E_IMAGE" not in os.environ:
        os.environ["PULLPASS_E2E_IMAGE"] = str(parts.product_archive())
    options = ["-q", "-s", "--no-header", "-o", "python_functions=measure_*", "-o", "timeout=1500"]
    code = enclosure.main([*options, "tests/bench/pulls.py"])
    if code:
        sys.exit(code)


def measure_node_delivery() -> None:
    """Collected by pytest in the enclosure, and by nothing else."""
    with _bed() as bed, _hub(bed) as hub:
        probed = deploy_probed(bed, SPACE, DELIVERED)
        with watching(bed, SPACE) as seen:
            _print_toggle(bed, hub)
            _wait_until_calm(bed, probed)
        print_seen("enabled", seen, probed, DELIVERED)
        _print_pulls(bed)
        with watching(bed, SPACE) as seen:
            hub.patch({"spec": {"addOns": {"awsECR": None}}})
            hub.wait_for_state("Disabled", patience=_PATIENCE_SECONDS)
            _wait_until_calm(bed, probed)
        print_seen("disabled", seen, probed, DELIVERED)


@contextmanager
def _bed() -> Iterator[Bed]:
    parts.require_programs()
    bed = Bed(Path(os.environ[enclosure.MARK]), dict.fromkeys((OURS, SECOND, STATIC), KUBEADM))
    try:
        bed.start()
        bed.import_image(parts.require_product())
        for name in DELIVERED:
            bed.client.merge_patch(NODE, name, {"metadata": {"labels": {"delivery": "node"}}})
        bed.apply(NAMESPACE, {"metadata": {"name": SPACE}})
        eventually(lambda: bed.get(SERVICE_ACCOUNT, "default", SPACE), what="a default service account")
        yield bed
    finally:
        bed.stop()


@contextmanager
def _hub(bed: Bed) -> Iterator[Hub]:
    """With the cluster connected, awsECR off."""
    hub = Hub(bed, bed.directory / "hub")
    try:
        bed.trust(SUBJECT, AGENT, f"system:serviceaccount:{SPACE}:default")
        hub.start()
        spec = {
            "version": "1.34.4",
            "provider": {"generic": {"location": "aws-eu-central-1"}},
            "addOns": {"awsWorkloadIdentity": {}},
        }
        hub.call("PUT", body={"kind": "mk8s", "name": CLUSTER, "spec": spec})
        hub.connect()
        eventually(
            lambda: (
                hub.call("GET", f"/{CLUSTER}")["status"]["addOns"]["awsWorkloadIdentity"]["state"] == "Ready"
            ),
            what="the cluster is connected",
            patience=_PATIENCE_SECONDS,
            explain=hub.logs,
        )
        yield hub
    finally:
        hub.stop()


def _print_toggle(bed: Bed, hub: Hub) -> None:
    """From the PATCH that enables node delivery to the first private pull, on each of the two nodes."""
    registries = [REGISTRY, *(_registry(number) for number in range(PULLS))]
    ecr = {"delivery": "node", "registries": registries, "node": {"selector": {"delivery": "node"}}}
    body = {"spec": {"addOns": {"awsECR": {"roleArn": ROLE}}}, "settings": {"awsECR": ecr}}
    delivery = Delivery(bed)
    started = datetime.now(UTC)
    hub.patch(body)

    def first(name: str) -> tuple[timedelta, timedelta]:
        eventually(
            lambda: delivery.report(name).get("state") == "ready",
            what=f"{name} is ready",
            patience=_PATIENCE_SECONDS,
            explain=lambda: f"{delivery.words(name)}\n{hub.add_on()}",
        )
        ready = datetime.now(UTC) - started
        bed.apply(POD, pod(f"first-{name}", SPACE, name))
        bed.wait_for_phase(f"first-{name}", SPACE, "Running")
        return ready, datetime.now(UTC) - started

    with ThreadPoolExecutor() as pool:
        times = list(pool.map(first, DELIVERED))
    hub.wait_for_state("Ready", patience=_PATIENCE_SECONDS)
    shown = datetime.now(UTC) - started
    for name, (ready, pulled) in zip(DELIVERED, times, strict=True):
        print(
            f"  from the toggle: {name} ready after {ready.total_seconds():.1f} s,"
            f" its first private pod runs after {pulled.total_seconds():.1f} s"
        )
    print(f"  from the toggle: the hub says Ready after {shown.total_seconds():.1f} s", flush=True)


@dataclass(frozen=True)
class _Pull:
    """Milliseconds. `lookup`: sandbox made to containerd asked for the image, `image`: sandbox made to container made,
    `event`: the kubelet's "Pulled … in", `whole`: pod created to container started.
    """

    lookup: float
    image: float
    event: float
    whole: float


def _print_pulls(bed: Bed) -> None:
    secret = _static_secret(bed)
    for number, sort in itertools.product(range(PULLS), SORTS):
        bed.add_image(_reference(number, sort), image_of(bed.pause, label=f"{sort} {number}"))
    for number, node in itertools.product(range(PULLS), (OURS, STATIC)):
        _show_registry(bed, node, _registry(number))
    created: dict[str, datetime] = {}
    for number, sort in itertools.product(range(PULLS), SORTS):
        for node in (OURS, STATIC) if number % 2 else (STATIC, OURS):
            name = f"{sort}-{number}-{node}"
            made = pod(name, SPACE, node, secret=secret if node == STATIC else None)
            made["spec"]["containers"][0]["image"] = _reference(number, sort)
            created[name] = datetime.now(UTC)
            bed.apply(POD, made)
            bed.wait_for_phase(name, SPACE, "Running")
    events = _pulled_events(bed)
    pulls: dict[tuple[str, str], list[_Pull]] = {}
    for node in (OURS, STATIC):
        log = _containerd_log(bed, node)
        for sort, number in itertools.product(SORTS, range(PULLS)):
            name = f"{sort}-{number}-{node}"
            pull = _timed(log, name, _reference(number, sort), created[name], events[name])
            pulls.setdefault((sort, node), []).append(pull)
    for sort, (member, what) in itertools.product(SORTS, MEASURES.items()):
        _print_measure(f"{sort}, {what}", *(_values(pulls[sort, node], member) for node in (OURS, STATIC)))
    sys.stdout.flush()


def _values(pulls: list[_Pull], member: str) -> list[float]:
    return [getattr(pull, member) for pull in pulls]


def _print_measure(what: str, ours: list[float], static: list[float]) -> None:
    one, other = statistics.median(ours), statistics.median(static)
    print(
        f"  {what}: {one:.1f} ms ({min(ours):.0f} to {max(ours):.0f}),"
        f" static secret {other:.1f} ms ({min(static):.0f} to {max(static):.0f}), ratio {one / other:.2f}"
    )


def _timed(
    log: list[tuple[datetime, str]], name: str, reference: str, created: datetime, event: float
) -> _Pull:
    sandbox, said = next(
        (at, words)
        for at, words in log
        if f"Metadata{{Name:{name}," in words and "returns sandbox id" in words
    )
    identity = re.findall(r"[0-9a-f]{64}", said)[-1]
    asked = next(at for at, words in log if words == f'PullImage \\"{reference}\\"')
    made, container = next(
        (at, re.findall(r"[0-9a-f]{64}", words)[-1])
        for at, words in log
        if words.startswith(f'CreateContainer within sandbox \\"{identity}')
        and "returns container id" in words
    )
    started = next(
        at
        for at, words in log
        if words.startswith(f'StartContainer for \\"{container}') and "returns successfully" in words
    )
    milliseconds = [
        (end - start) / timedelta(milliseconds=1)
        for start, end in ((sandbox, asked), (sandbox, made), (created, started))
    ]
    return _Pull(milliseconds[0], milliseconds[1], event, milliseconds[2])


def _containerd_log(bed: Bed, node: str) -> list[tuple[datetime, str]]:
    found = (_LINE.match(line) for line in bed.nodes[node].journal("containerd", lines=20000).splitlines())
    return [(_time(match["time"]), match["words"]) for match in found if match]


def _time(text: str) -> datetime:
    """containerd writes nanoseconds; `datetime` takes six places."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6].ljust(6, '0')}+00:00")


def _pulled_events(bed: Bed) -> dict[str, float]:
    """Milliseconds by pod, as the kubelet tells them."""
    found = {}
    for event in bed.client.list(EVENT, namespace=SPACE, field_selector="reason=Pulled").items:
        match = re.search(r"Successfully pulled image .* in ([0-9.]+)(ms|s) \(", event["message"])
        if match:
            found[event["involvedObject"]["name"]] = float(match[1]) * (1000 if match[2] == "s" else 1)
    return found


def _registry(number: int) -> str:
    return f"{200000000000 + number}.dkr.ecr.{REGION}.amazonaws.com"


def _reference(number: int, sort: str) -> str:
    return f"{_registry(number)}/team/{sort}:{number}"


def _show_registry(bed: Bed, node: str, registry: str) -> None:
    """Another account's registry at the same address; the bed's certificate does not name it."""
    bed.world.registry.allow(ACCOUNT, registry.partition(".")[0])
    hosts = bed.nodes[node].run("cat", "/etc/hosts")
    bed.nodes[node].write("/etc/hosts", f"{hosts}{HUB_ADDRESS} {registry}\n")
    entry = 'capabilities = ["pull", "resolve"]\nskip_verify = true\n'
    text = f'server = "https://{registry}"\n[host."https://{registry}"]\n{entry}'
    bed.nodes[node].write(f"/etc/containerd/certs.d/{registry}/hosts.toml", text)


def _static_secret(bed: Bed) -> str:
    auth = base64.b64encode(f"AWS:{bed.issued_password(SPACE, 'default')}".encode()).decode()
    auths = {_registry(number): {"auth": auth} for number in range(PULLS)}
    data = {".dockerconfigjson": base64.b64encode(json.dumps({"auths": auths}).encode()).decode()}
    metadata = {"name": "static", "namespace": SPACE}
    bed.apply(SECRET, {"metadata": metadata, "type": "kubernetes.io/dockerconfigjson", "data": data})
    return "static"


def _wait_until_calm(bed: Bed, probed: dict[str, list[str]]) -> None:
    """Until what the last restart of a kubelet does to pods is over."""
    threading.Event().wait(_SETTLE_SECONDS)
    for name in itertools.chain.from_iterable(probed.values()):
        wait_until_ready(bed, SPACE, name)
