"""What pull secrets cost in a cluster of 500 namespaces: to fill all, to refresh all, and to let them be.

On a real API server with its controller manager, the hub, and two agents as processes; AWS is the sandbox's. Requests
are counted and timed in the API server's audit log, by who sent them. Two baselines in the same run: the pure applies
(a secret, and the reference in the default service account, one after the other), and a bare loop as the older tools
work (for each namespace one call of ECR and one apply of a secret).
"""

from __future__ import annotations

import base64
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aws import ecr, sessions
from aws.credentials import AwsEndpoints, RegistryCredential
from aws.docker_config import docker_config
from aws.identities import WebIdentity
from kube.objects import SECRET, SERVICE_ACCOUNT, Object
from tests.cluster.conftest import AUDIENCE, REGION, REGISTRY, ROLE, Stage, eventually, on_stage
from tests.cluster.pull_secrets import DOCKER_CONFIG, DOCKER_CONFIG_TYPE, SYSTEM, leader
from tests.support.kubernetes import Etcd

NAMESPACES = 500
NAMES = tuple(f"team-{number:03}" for number in range(NAMESPACES))
MINUTES = 15  # as long as a watch lives before it is asked for again
MEBIBYTE = 2**20
AIM_RATIO, AIM_STEADY, AIM_RESIDENT = 1.5, 5.0, 100 * MEBIBYTE
PATIENCE_SECONDS = 300.0
# Its middle third, when it is refreshed, begins when all is filled; the refreshed one lives as long as AWS's.
_LIFE, _AWS_LIFE = timedelta(seconds=180), timedelta(hours=12)
_AGENT = f"system:serviceaccount:{SYSTEM}:pullpass-agent"
_HUB = f"system:serviceaccount:{SYSTEM}:pullpass-hub"
_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "users": [_AGENT, _HUB]}, {"level": "None"}],
}


@dataclass(frozen=True)
class Sent:
    """One request of the hub or of an agent, answered."""

    user: str
    verb: str
    resource: str
    name: str
    received: datetime
    answered: datetime

    @property
    def writes(self) -> bool:
        """Whether it put a secret or a reference where they belong."""
        return (
            self.user == _AGENT
            and self.verb in {"create", "patch", "update"}
            and (self.resource == "serviceaccounts" or self.name == "pullpass-ecr")
        )


@dataclass(frozen=True)
class Baseline:
    """Seconds: of the secrets alone, of secrets and references, of a call of ECR and a secret each."""

    secrets: float
    both: float
    loop: float


def run() -> None:
    """Prints the figures."""
    print(f"Pull secrets, {NAMESPACES} namespaces, real API server")
    with _stage() as (stage, audit):
        stage.world.aws._ecr.lifetime = _LIFE
        with ThreadPoolExecutor(8) as makers:
            list(makers.map(stage.make_namespace, NAMES))
        stage.begin(pullSecret={"namespaces": ["none-such"]})
        baseline = _baseline(stage)
        print(
            f"  pure applies: {baseline.secrets:.1f} s for secrets, {baseline.both:.1f} s with references;"
            f" bare loop: {baseline.loop:.1f} s, {NAMESPACES} ECR calls"
        )
        _fill(stage, audit, baseline)
        _refresh(stage, audit, baseline)
        _steady(stage, audit)


def _fill(stage: Stage, audit: Path, baseline: Baseline) -> None:
    calls, began = stage.world.aws.calls.copy(), datetime.now(UTC)
    stage.wish()
    eventually(lambda: _filled(stage), what="all are filled", patience=PATIENCE_SECONDS, explain=stage.logs)
    stage.world.aws._ecr.lifetime = _AWS_LIFE
    sent = _sent(audit, began)
    told = next(one.answered for one in sent if one.user == _HUB and one.name == "pullpass-agent")
    seconds = (max(one.answered for one in sent if one.writes) - told).total_seconds()
    print(
        f"  fill all: {seconds:.1f} s, {seconds / baseline.both:.2f} times the pure applies"
        f" (aim {AIM_RATIO}: {_met(seconds / baseline.both, AIM_RATIO)});"
        f" {_requests(sent)}; {_calls(stage, calls)}"
    )


def _refresh(stage: Stage, audit: Path, baseline: Baseline) -> None:
    before = _versions(stage)
    calls, began = stage.world.aws.calls.copy(), datetime.now(UTC)
    eventually(
        lambda: not before.items() & _versions(stage).items(),
        what="all are refreshed",
        patience=PATIENCE_SECONDS,
        explain=stage.logs,
    )
    writes = [one for one in _sent(audit, began) if one.writes]
    first = min(one.received for one in writes)
    seconds = (max(one.answered for one in writes) - first).total_seconds()
    sent = _sent(audit, first)
    print(
        f"  refresh all: {seconds:.1f} s, {seconds / baseline.secrets:.2f} times the pure applies,"
        f" {seconds / baseline.loop:.2f} times the bare loop; {_requests(sent)}; {_calls(stage, calls)}"
    )


def _steady(stage: Stage, audit: Path) -> None:
    threading.Event().wait(15)  # the report and the hub's look after the refresh
    calls, began = stage.world.aws.calls.copy(), datetime.now(UTC)
    threading.Event().wait(60 * MINUTES)
    sent = [one for one in _sent(audit, began) if one.user == _AGENT]
    leases = sum(one.resource == "leases" for one in sent) / MINUTES
    others = len(sent) / MINUTES - leases
    print(
        f"  steady: {others:.1f} requests a minute (aim {AIM_STEADY:.0f}: {_met(others, AIM_STEADY)}), and"
        f" {leases:.1f} for the Lease of two replicas; {_calls(stage, calls)}"
    )
    first = eventually(lambda: leader(stage), what="a leader")
    standing_by = [pod.resident_bytes for pod in stage.kubelet.pods if pod.name != first.name]
    print(
        f"  memory: {first.resident_bytes / MEBIBYTE:.0f} MiB resident where it leads"
        f" (aim {AIM_RESIDENT / MEBIBYTE:.0f}: {_met(first.resident_bytes, AIM_RESIDENT)}),"
        f" {max(standing_by) / MEBIBYTE:.0f} where it stands by"
    )


def _baseline(stage: Stage) -> Baseline:
    token = stage.client.request_token(
        SYSTEM, "pullpass-agent", audiences=[AUDIENCE], expiration_seconds=3600
    ).token
    endpoints = AwsEndpoints(sts=stage.world.aws_endpoints["sts"], ecr=stage.world.aws_endpoints["ecr"])
    session = sessions.session(
        WebIdentity(ROLE, AUDIENCE),
        read_token=lambda: token,
        session_name="bench",
        region=REGION,
        endpoints=endpoints,
    )

    def credential() -> RegistryCredential:
        return ecr.authorization_token(
            credentials=session, region=REGION, endpoints=endpoints, now=datetime.now(UTC)
        )

    one = credential()

    def both(namespace: str) -> None:
        stage.client.apply(_secret("both", namespace, one))
        body = {"imagePullSecrets": [{"name": "both"}]}
        stage.client.merge_patch(SERVICE_ACCOUNT, "default", body, namespace=namespace)

    return Baseline(
        secrets=_timed(lambda name: stage.client.apply(_secret("pure", name, one))),
        both=_timed(both),
        loop=_timed(lambda name: stage.client.apply(_secret("bare", name, credential()))),
    )


def _timed(work: Callable[[str], object]) -> float:
    """Seconds to do it in every namespace, one after the other."""
    began = time.perf_counter()
    for name in NAMES:
        work(name)
    return time.perf_counter() - began


def _secret(name: str, namespace: str, credential: RegistryCredential) -> Object:
    content = docker_config({REGISTRY: credential, f"*.dkr.ecr.{REGION}.amazonaws.com": credential})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": DOCKER_CONFIG_TYPE,
        "data": {DOCKER_CONFIG: base64.b64encode(content).decode()},
    }


def _filled(stage: Stage) -> bool:
    referring = stage.client.list(SERVICE_ACCOUNT, field_selector="metadata.name=default").items
    done = {
        account["metadata"]["namespace"]
        for account in referring
        if {"name": "pullpass-ecr"} in account.get("imagePullSecrets", [])
    }
    return done >= set(NAMES) and len(_versions(stage)) >= NAMESPACES


def _versions(stage: Stage) -> dict[str, str]:
    """The resource version of each namespace's secret."""
    listed = stage.client.list(SECRET, field_selector="metadata.name=pullpass-ecr", metadata_only=True).items
    return {one["metadata"]["namespace"]: one["metadata"]["resourceVersion"] for one in listed}


def _sent(audit: Path, since: datetime) -> list[Sent]:
    """What the audit log holds since then, each request once; watches, too, which it has twice."""
    found: dict[str, Sent] = {}
    for line in audit.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        received = datetime.fromisoformat(event["requestReceivedTimestamp"])
        if received < since:
            continue
        target = event.get("objectRef") or {}
        found[event["auditID"]] = Sent(
            event["user"]["username"],
            event["verb"],
            target.get("resource", ""),
            target.get("name", ""),
            received,
            datetime.fromisoformat(event["stageTimestamp"]),
        )
    return list(found.values())


def _requests(sent: Iterable[Sent]) -> str:
    """The agents' requests, the most frequent kinds by name."""
    kinds = Counter(f"{one.verb} {one.resource}" for one in sent if one.user == _AGENT)
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(3))
    return f"{kinds.total()} requests ({told})"


def _calls(stage: Stage, before: Counter[str]) -> str:
    made = stage.world.aws.calls - before
    return f"AWS calls: {', '.join(f'{count} {name}' for name, count in sorted(made.items())) or 'none'}"


def _met(value: float, aim: float) -> str:
    return "met" if value <= aim else "missed"


@contextmanager
def _stage() -> Iterator[tuple[Stage, Path]]:
    """A stage, and the audit log of its API server."""
    with tempfile.TemporaryDirectory() as name:
        folder, audit = Path(name), Path(name) / "audit.log"
        policy = folder / "audit-policy.json"
        policy.write_text(json.dumps(_POLICY))
        (folder / "stage").mkdir()
        etcd = Etcd(folder)
        etcd.start()
        try:
            flags = (f"--audit-policy-file={policy}", f"--audit-log-path={audit}")
            with on_stage("bench", folder / "stage", etcd, flags=flags) as stage:
                yield stage, audit
        finally:
            etcd.stop()
