"""Time and trouble: refreshes, restarts, outages, two agents at once. What pulls with, goes on.

AWS gives tokens of forty seconds here, so that the middle third of their life is at hand.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import urllib3

from kube.objects import LEASE, SECRET, Object
from tests.cluster.conftest import ACCOUNT, REGISTRY, Stage, eventually
from tests.cluster.pull_secrets import (
    SYSTEM,
    labelled_secret,
    leader,
    metric,
    opens,
    references,
    settled,
    where,
)
from tests.support.kubelet import RunningPod

ENABLED = {"pullpass.dev/pull-secrets": "enabled"}
MANAGED = {"pullpass.dev/managed": "true"}
HALF_A_DAY = timedelta(hours=12)


@pytest.fixture(scope="module", autouse=True)
def ready(stage: Stage) -> None:
    """The add-on's secret in every namespace and a labelled one beside it."""
    stage.make_namespace("shop", **ENABLED)
    stage.make_namespace("bank")
    stage.world.aws._ecr.lifetime = timedelta(seconds=40)
    stage.begin(pullSecret={"namespaces": ["shop", "bank", "later", "after"], "labelled": {}})
    secret = labelled_secret("shop", "labelled", MANAGED)
    eventually(lambda: created(stage, secret), what="the webhook fills it", explain=stage.logs)


def created(stage: Stage, secret: Object) -> bool:
    secret["data"] = {".dockerconfigjson": "e30="}
    stage.kubectl.apply(secret)
    return bool(opens(stage, "shop", "labelled", REGISTRY))


def calls(stage: Stage) -> int:
    """Everything that AWS was asked."""
    return stage.world.aws.calls.total()


def new_leader(stage: Stage, *, other_than: RunningPod) -> RunningPod:
    def found() -> RunningPod | None:
        now = leader(stage)
        return now if now is not None and now.name != other_than.name else None

    return eventually(found, what="another leader", explain=stage.logs)


def serves(stage: Stage, namespace: str) -> None:
    """A new namespace gets what it should: the agent works."""
    stage.make_namespace(namespace)
    eventually(
        lambda: (
            opens(stage, namespace, "pullpass-ecr", REGISTRY)
            and references(stage, namespace) == ["pullpass-ecr"]
        ),
        what=f"{namespace} is served",
        explain=stage.logs,
    )
    stage.kubectl.delete("v1", "Namespace", namespace)
    eventually(lambda: stage.kubectl.find("v1", "Namespace", namespace) is None, what=f"{namespace} is gone")


def test_secrets_are_refreshed_in_place_before_they_expire(stage: Stage) -> None:
    """By `KubeletEnsureSecretPulledImages` a cached image goes by its secret's uid: it stays."""
    names = {"pullpass-ecr": "shop", "labelled": "shop"}
    before = {name: stage.client.get(SECRET, name, namespace=names[name]) for name in names}
    asked = stage.world.aws.calls["GetAuthorizationToken"]
    for name, namespace in names.items():
        after = eventually(
            lambda name=name, namespace=namespace: next(  # type: ignore[misc]
                (
                    now
                    for now in (stage.exists(SECRET, name, namespace),)
                    if now and now["data"] != before[name]["data"]
                ),
                None,
            ),
            what=f"{name} is refreshed",
            explain=stage.logs,
        )
        assert before[name]["metadata"]["uid"] == after["metadata"]["uid"]
        assert opens(stage, namespace, name, REGISTRY)
    assert stage.world.aws.calls["GetAuthorizationToken"] - asked <= 2


def test_while_aws_is_down_the_last_secret_stays_and_its_end_is_told(stage: Stage) -> None:
    stage.world.aws.set_down("sts")
    stage.world.aws.set_down("ecr")
    try:
        before = stage.client.get(SECRET, "pullpass-ecr", namespace="bank")
        eventually(lambda: named_with_the_end(stage), what="why and until when", explain=stage.logs)
        eventually(lambda: opens(stage, "bank", "pullpass-ecr", REGISTRY) is None, what="it ran out")
        after = stage.client.get(SECRET, "pullpass-ecr", namespace="bank")
        assert before["metadata"]["uid"] == after["metadata"]["uid"]
        assert REGISTRY in str(after) or after["data"] == before["data"]
    finally:
        stage.world.aws._ecr.lifetime = HALF_A_DAY
        stage.world.aws.set_down("sts", down=False)
        stage.world.aws.set_down("ecr", down=False)
    eventually(
        lambda: opens(stage, "bank", "pullpass-ecr", REGISTRY),
        what="AWS is back, and so are pulls",
        patience=120,
        explain=stage.logs,
    )
    eventually(lambda: "StsUnreachable" not in stage.issues(), what="no issue", explain=stage.logs)


def named_with_the_end(stage: Stage) -> bool:
    told = stage.show()["status"]["addOns"]["awsECR"]
    named = "StsUnreachable" in {issue["code"] for issue in told.get("issues", [])}
    return named and bool(told["credentials"]["expiresAt"])


def renewed_at(stage: Stage) -> str:
    return str(stage.client.get(LEASE, "pullpass-agent", namespace=SYSTEM)["spec"]["renewTime"])


def restarts_of_both(stage: Stage) -> int:
    return sum(pod.restarts for pod in stage.kubelet.pods)


def test_agents_that_start_again_and_again_ask_aws_nothing(stage: Stage) -> None:
    eventually(lambda: opens(stage, "shop", "labelled", REGISTRY), what="all is fresh", explain=stage.logs)
    before = calls(stage)
    for _ in range(3):
        renewed, restarts = renewed_at(stage), restarts_of_both(stage)
        for pod in stage.kubelet.pods:
            stage.kubelet.kill(pod.name)
        eventually(lambda seen=restarts: restarts_of_both(stage) == seen + 2, what="both start again")  # type: ignore[misc]
        eventually(
            lambda: all(pod.ready for pod in stage.kubelet.pods), what="both again", explain=stage.logs
        )
    eventually(lambda: renewed_at(stage) > renewed, what="one of them leads", explain=stage.logs)
    assert before == calls(stage)


def test_one_of_two_leads(stage: Stage) -> None:
    def look() -> bool:
        leading = {
            pod.name for pod in stage.kubelet.pods if metric(pod.health("/metrics"), "pullpass_agent_leader")
        }
        return leading == {pod.name for pod in (leader(stage),) if pod is not None} != set()

    eventually(look, what="one of them leads, and holds the Lease", explain=stage.logs)


def test_killed_the_leader_is_followed_by_the_other(stage: Stage) -> None:
    """The Lease runs out after 13 s, and the other one watches it."""
    first = eventually(lambda: leader(stage), what="a leader")
    lease = stage.client.get(LEASE, "pullpass-agent", namespace=SYSTEM)["spec"]
    assert 13 == lease["leaseDurationSeconds"]
    stage.kubelet.held.set()
    stage.kubelet.kill(first.name)
    try:
        second = new_leader(stage, other_than=first)
        serves(stage, "later")
        assert second.ready
    finally:
        stage.kubelet.held.clear()


def test_ended_in_good_order_the_leader_hands_over(stage: Stage) -> None:
    eventually(lambda: all(pod.ready for pod in stage.kubelet.pods), what="both", explain=stage.logs)
    first = eventually(lambda: leader(stage), what="a leader")
    first.process.terminate()
    first.process.wait()
    released = stage.client.get(LEASE, "pullpass-agent", namespace=SYSTEM)["spec"]
    assert first.name != released.get("holderIdentity")


def test_a_leader_that_was_out_of_breath_does_not_lead_on(stage: Stage) -> None:
    """Stopped by the kernel for longer than its Lease, it finds another in its place and writes no more."""
    eventually(lambda: all(pod.ready for pod in stage.kubelet.pods), what="both", explain=stage.logs)
    first = eventually(lambda: leader(stage), what="a leader")
    before = calls(stage)
    first.process.send_signal(signal.SIGSTOP)
    try:
        second = new_leader(stage, other_than=first)
    finally:
        first.process.send_signal(signal.SIGCONT)
    eventually(
        lambda: metric(first.health("/metrics"), "pullpass_agent_leader") == 0,
        what="it leads no more",
        explain=stage.logs,
    )
    serves(stage, "after")
    now = leader(stage)
    assert now is not None
    assert second.name == now.name
    assert before == calls(stage)


@contextmanager
def meddler(stage: Stage, kind: str, name: str) -> Iterator[list[int]]:
    """Somebody who writes an object in `bank` without a pause."""
    stop, written = threading.Event(), [0]

    def work() -> None:
        while not stop.is_set():
            written[0] += 1
            body = {"metadata": {"annotations": {"meddler": str(written[0])}}}
            stage.kubectl.merge("v1", kind, name, body, namespace="bank")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield written
    finally:
        stop.set()
        thread.join()


def test_service_accounts_that_others_write_all_the_time_are_merged(stage: Stage) -> None:
    body = {"imagePullSecrets": [{"name": "others"}, {"name": "pullpass-ecr"}]}
    stage.kubectl.merge("v1", "ServiceAccount", "default", body, namespace="bank")
    with meddler(stage, "ServiceAccount", "default") as written:
        stage.wish(pullSecret={"namespaces": ["shop", "bank", "later"], "serviceAccounts": "none"})
        eventually(
            lambda: references(stage, "bank") == ["others"], what="ours is taken back", explain=stage.logs
        )
        stage.wish(pullSecret={"namespaces": ["shop", "bank", "later"], "labelled": {}})
        eventually(
            lambda: references(stage, "bank") == ["others", "pullpass-ecr"],
            what="ours is there again",
            explain=stage.logs,
        )
        assert written[0] > 10


def test_a_secret_that_others_write_all_the_time_is_refreshed(stage: Stage) -> None:
    host = f"{ACCOUNT}.dkr.ecr.eu-north-1.amazonaws.com"
    wishes = {"namespaces": ["shop", "bank", "later"], "labelled": {}}
    with meddler(stage, "Secret", "pullpass-ecr") as written:
        stage.wish(registries=[REGISTRY, host], pullSecret=wishes)
        eventually(
            lambda: opens(stage, "bank", "pullpass-ecr", host), what="the new content", explain=stage.logs
        )
        eventually(lambda: written[0] > 10, what="others wrote")
    found = stage.client.get(SECRET, "pullpass-ecr", namespace="bank")["metadata"]
    assert found["annotations"]["meddler"]  # theirs stays beside ours
    stage.wish(pullSecret=wishes)


def test_an_api_server_that_restarts_is_waited_for(stage: Stage) -> None:
    settled(stage)
    before = calls(stage)
    stage.cluster.restart()
    serves(stage, "later")
    eventually(lambda: created(stage, labelled_secret("shop", "anew", MANAGED)), what="the webhook answers")
    assert before == calls(stage)


def test_watches_that_the_server_forgot_are_begun_again(stage: Stage) -> None:
    """410: both agents stand still while history goes on and is compacted."""
    pods = stage.kubelet.pods
    for pod in pods:
        pod.process.send_signal(signal.SIGSTOP)
    said = len(stage.kubelet.log.read_text())
    try:
        stage.make_namespace("later")
        for count in range(20):
            data = {"count": str(count)}
            stage.client.apply(
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": "history", "namespace": "bank"},
                    "data": data,
                }
            )
        stage.cluster.restart()
        compact(stage)
    finally:
        for pod in pods:
            pod.process.send_signal(signal.SIGCONT)
    eventually(
        lambda: references(stage, "later") == ["pullpass-ecr"],
        what="what happened meanwhile is done",
        explain=stage.logs,
    )
    eventually(
        lambda: [
            line
            for line in stage.kubelet.log.read_text()[said:].splitlines()
            if "cannot watch" in line and "too old resource version" in line
        ],
        what="an agent was told that its version is too old",
        explain=lambda: stage.kubelet.log.read_text()[said:],
    )


def compact(stage: Stage) -> None:
    """Has etcd forget everything but the present."""
    pool = urllib3.PoolManager(retries=False)
    url = stage.cluster.etcd.url

    def call(path: str, body: Object) -> Object:
        return dict(json.loads(pool.request("POST", f"{url}/v3/{path}", body=json.dumps(body)).data))

    revision = call("kv/range", {"key": "AA=="})["header"]["revision"]
    call("kv/compaction", {"revision": revision, "physical": True})
    pool.clear()


def skewed(stage: Stage, region: str, ahead: timedelta) -> str:
    """With AWS's clock off, a registry is wished for whose credential nobody has yet; its host."""
    host = f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com"
    stage.world.aws.set_skew(ahead)
    stage.wish(
        registries=[REGISTRY, host],
        pullSecret={"namespaces": ["shop", "bank", "later"], "labelled": {}},
    )
    return host


@pytest.mark.parametrize(("region", "minutes"), [("us-east-2", 4), ("us-west-2", -4)])
def test_a_clock_that_is_minutes_off_does_no_harm(stage: Stage, region: str, minutes: int) -> None:
    try:
        host = skewed(stage, region, timedelta(minutes=minutes))
        eventually(lambda: opens(stage, "bank", "pullpass-ecr", host), what="it opens", explain=stage.logs)
        settled(stage)
        assert set() == stage.issues()
    finally:
        stage.world.aws.set_skew(timedelta())


@pytest.mark.parametrize(("region", "minutes"), [("eu-west-1", 10), ("eu-west-2", -10)])
def test_a_clock_that_is_further_off_is_named_and_what_pulls_goes_on(
    stage: Stage, region: str, minutes: int
) -> None:
    try:
        host = skewed(stage, region, timedelta(minutes=minutes))
        stage.wait_for_issue("TokenExpired", patience=90)
        assert opens(stage, "bank", "pullpass-ecr", REGISTRY)
        assert opens(stage, "bank", "pullpass-ecr", host) is None
    finally:
        stage.world.aws.set_skew(timedelta())
    eventually(
        lambda: opens(stage, "bank", "pullpass-ecr", host),
        what="the clock was set",
        patience=120,
        explain=stage.logs,
    )
    eventually(lambda: "TokenExpired" not in stage.issues(), what="no issue", explain=stage.logs)


def test_no_log_holds_a_credential(stage: Stage) -> None:
    kept = stage.kubectl.get("v1", "Secret", "pullpass-credentials", namespace=SYSTEM)["data"]
    assert kept
    log = stage.kubelet.log.read_text()
    secrets = [
        str(stage.client.get(SECRET, "pullpass-ecr", namespace=name)["data"][".dockerconfigjson"])
        for name in where(stage, "pullpass-ecr")
    ]
    assert [] == [True for secret in [*secrets, *kept.values()] if secret in log]
