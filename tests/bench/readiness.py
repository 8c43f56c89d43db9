"""What a restart of the kubelet does to running pods: pods with probes on the nodes, watched until they are calm again."""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median

from kube.errors import KubeError
from kube.objects import NODE, POD, Kind, Object
from tests.support.nodes.bed import Bed, eventually
from tests.support.nodes.images import image_of
from tests.support.nodes.workloads import pod

PROBED_IMAGE = "pullpass.dev/probed:1"
COPIES = 3  # of each sort on each node
_WATCH_SECONDS = 900

# A workload that answers a readiness probe, and leaves on SIGTERM.
_PROBED_SOURCE = r"""
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
static void leave(int number) { (void)number; _exit(0); }
int main(void) {
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(8080)};
  char request[4096];
  int listener = socket(AF_INET, SOCK_STREAM, 0), caller;
  signal(SIGTERM, leave);
  signal(SIGPIPE, SIG_IGN);
  if (bind(listener, (struct sockaddr *)&any, sizeof any) || listen(listener, 16)) return 1;
  for (;;) {
    if ((caller = accept(listener, 0, 0)) < 0) continue;
    if (read(caller, request, sizeof request) > 0) (void)!write(caller, answer, sizeof answer - 1);
    close(caller);
  }
}
"""
_GET = {"httpGet": {"path": "/", "port": 8080}, "failureThreshold": 3}
PROBES: dict[str, Object] = {
    "readiness probe every second": {"readinessProbe": _GET | {"periodSeconds": 1}},
    "readiness probe every 10 s": {"readinessProbe": _GET | {"periodSeconds": 10}},
    "the same and a startup probe every 10 s": {
        "readinessProbe": _GET | {"periodSeconds": 10},
        "startupProbe": _GET | {"periodSeconds": 10},
    },
    "no probe": {},
}


@dataclass
class Seen:
    """What watches told since they began: by object, when its readiness became what; by pod, its container restarts."""

    states: dict[str, list[tuple[datetime, bool]]] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)

    def take(self, obj: Object) -> None:
        """An object as the API server has it now."""
        name, ready = obj["metadata"]["name"], _is_ready(obj)
        states = self.states.setdefault(name, [])
        if not states or states[-1][1] != ready:
            states.append((datetime.now(UTC), ready))
        containers = obj.get("status", {}).get("containerStatuses", [])
        self.restarts[name] = sum(entry["restartCount"] for entry in containers)

    def away(self, name: str) -> float:
        """Seconds that it was not ready in all, until it was back."""
        between = itertools.pairwise(self.states[name])
        return sum((end - start).total_seconds() for (start, ready), (end, _) in between if not ready)


def deploy_probed(bed: Bed, namespace: str, nodes: Sequence[str]) -> dict[str, list[str]]:
    """Runs pods of every sort on each node; returns their names by sort once all are ready."""
    program = bed.directory / "probed"
    source = program.with_suffix(".c")
    source.write_text(_PROBED_SOURCE, encoding="ascii")
    subprocess.run(["gcc", "-static", "-Os", "-s", "-o", program, source], check=True, capture_output=True)
    bed.import_image(
        image_of(program, label="probed").write_archive(bed.directory / "probed.tar", PROBED_IMAGE)
    )
    names: dict[str, list[str]] = {}
    for number, (sort, probes) in enumerate(PROBES.items()):
        for node, copy in itertools.product(nodes, range(COPIES)):
            made = pod(f"probed-{number}-{copy}-{node}", namespace, node)
            made["spec"]["containers"][0] |= probes | {"image": PROBED_IMAGE, "imagePullPolicy": "Never"}
            bed.apply(POD, made)
            names.setdefault(sort, []).append(made["metadata"]["name"])
    for name in itertools.chain.from_iterable(names.values()):
        wait_until_ready(bed, namespace, name)
    return names


def wait_until_ready(bed: Bed, namespace: str, name: str) -> None:
    """Until a pod says Ready."""
    eventually(
        lambda: _is_ready(bed.get(POD, name, namespace) or {}),
        what=f"{name} is ready",
        explain=lambda: bed.get(POD, name, namespace),
    )


def print_seen(when: str, seen: Seen, pods: dict[str, list[str]], nodes: Sequence[str]) -> None:
    """One line for each sort of pods, and one for the nodes."""
    restarts = sum(seen.restarts[name] for names in pods.values() for name in names)
    count = sum(map(len, pods.values()))
    print(f"  kubelets restarted when it is {when}: {restarts} container restarts in {count} pods")
    for sort, names in pods.items():
        times = sorted(seen.away(name) for name in names if len(seen.states[name]) > 1)
        spread = f", for {times[0]:.2f} to {times[-1]:.2f} s, median {median(times):.2f}" if times else ""
        print(f"    {sort}: {len(times)} of {len(names)} pods were not ready{spread}")
    flipped = [name for name in nodes if len(seen.states[name]) > 1]
    print(f"    nodes that were not Ready: {len(flipped)} of {len(nodes)}", flush=True)


@contextmanager
def watching(bed: Bed, namespace: str) -> Iterator[Seen]:
    """Pods of a namespace and nodes, as long as it lasts."""
    seen = Seen()
    closers: list[Callable[[], object]] = []
    try:
        for kind, where in ((POD, namespace), (NODE, None)):
            closers += _follow(bed, kind, where, seen)
        yield seen
    finally:
        for close in closers:
            close()


def _follow(bed: Bed, kind: Kind, namespace: str | None, seen: Seen) -> list[Callable[[], object]]:
    """Feeds `seen` with everything that happens to objects of a kind; answers what ends it."""
    listed = bed.client.list(kind, namespace=namespace)
    for obj in listed.items:
        seen.take(obj)
    watch = bed.client.watch(
        kind, resource_version=listed.resource_version, namespace=namespace, timeout_seconds=_WATCH_SECONDS
    )

    def read() -> None:
        try:
            for event in watch:
                if event.type in {"ADDED", "MODIFIED"}:
                    seen.take(event.object)
        except KubeError as error:
            print(f"  a watch broke, what follows is not whole: {error}")

    thread = threading.Thread(target=read)
    thread.start()
    return [watch.close, thread.join]


def _is_ready(obj: Object) -> bool:
    conditions = obj.get("status", {}).get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
