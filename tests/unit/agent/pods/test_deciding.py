import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.pods.deciding import ReadySecret, Verdict, decide, ready_secret
from agent.pods.waiting import StuckPod
from kube.objects import Object

HOST = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"
GLOB = "*.dkr.ecr.eu-central-1.amazonaws.com"
NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
SECRET = ReadySecret("pullpass-ecr", NOW - timedelta(minutes=10), frozenset({HOST, GLOB}))
POD = StuckPod("u-1", "7", NOW - timedelta(minutes=5), "default", (), None, frozenset({HOST}))


def verdict(
    pod: StuckPod = POD,
    *,
    hosts: frozenset[str] = POD.refused,
    secrets: tuple[ReadySecret, ...] = (SECRET,),
    inherited: tuple[str, ...] = (),
    append: bool = False,
) -> Verdict:
    return decide(pod, hosts, secrets, inherited=inherited, append=append)


def stored(**changes: Any) -> Object:
    config = {"auths": {HOST: {"auth": "c2VjcmV0"}, GLOB: {"auth": "c2VjcmV0"}}}
    return {
        "metadata": {
            "name": "pullpass-ecr",
            "namespace": "shop",
            "creationTimestamp": "2026-11-22T05:50:00Z",
            "labels": {"app.kubernetes.io/managed-by": "pullpass", "pullpass.dev/cluster": "c-1"},
            "annotations": {"pullpass.dev/expires-at": "2026-11-22T12:00:00Z"},
        },
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(json.dumps(config).encode()).decode()},
    } | changes


def test_a_pod_without_the_secret_is_retried_once_its_account_refers_to_it() -> None:
    assert verdict(inherited=("pullpass-ecr",)) is Verdict.RETRY


def test_it_waits_while_the_account_does_not() -> None:
    assert verdict() is Verdict.WAIT


def test_it_waits_while_no_secret_opens_the_registry() -> None:
    other = replace(SECRET, hosts=frozenset({"*.dkr.ecr.us-east-1.amazonaws.com"}))
    assert verdict(secrets=(other,), inherited=("pullpass-ecr",)) is Verdict.WAIT


def test_a_pod_that_inherited_others_is_retried_too() -> None:
    pod = replace(POD, pull_secrets=("theirs",))
    assert verdict(pod, inherited=("theirs", "pullpass-ecr")) is Verdict.RETRY


def test_a_pod_that_names_its_own_is_left() -> None:
    pod = replace(POD, pull_secrets=("mine",))
    assert verdict(pod, inherited=("pullpass-ecr",)) is Verdict.OWN_SECRETS


def test_a_pod_that_names_its_own_is_retried_where_the_webhook_appends() -> None:
    assert verdict(replace(POD, pull_secrets=("mine",)), append=True) is Verdict.RETRY


def test_a_pod_with_the_secret_is_retried_if_it_came_before_it() -> None:
    pod = replace(POD, pull_secrets=("pullpass-ecr",), created_at=SECRET.created_at - timedelta(seconds=1))
    assert verdict(pod, inherited=("pullpass-ecr",)) is Verdict.RETRY


@pytest.mark.parametrize("append", [False, True])
def test_a_pod_with_the_secret_that_came_after_it_is_left(append: bool) -> None:
    pod = replace(POD, pull_secrets=("pullpass-ecr",))
    assert verdict(pod, inherited=("pullpass-ecr",), append=append) is Verdict.TURNED_AWAY


def test_each_refusing_host_needs_its_secret() -> None:
    public = ReadySecret("ecr-public-token", SECRET.created_at, frozenset({"public.ecr.aws"}))
    hosts = frozenset({HOST, "public.ecr.aws"})
    found = [
        verdict(hosts=hosts, secrets=(SECRET, public), inherited=inherited)
        for inherited in (("pullpass-ecr",), ("pullpass-ecr", "ecr-public-token"))
    ]
    assert [Verdict.WAIT, Verdict.RETRY] == found


@pytest.mark.parametrize(
    ("host", "opened"),
    [
        (HOST, True),
        ("444455556666.dkr.ecr.eu-central-1.amazonaws.com", True),
        ("444455556666.dkr.ecr.eu-west-1.amazonaws.com", False),
        ("a.b.dkr.ecr.eu-central-1.amazonaws.com", False),
    ],
)
def test_a_glob_stands_for_one_label(host: str, opened: bool) -> None:
    assert opened == SECRET.opens(host)


def test_what_a_secret_opens_is_read() -> None:
    assert SECRET == ready_secret(stored(), "c-1", NOW)


@pytest.mark.parametrize(
    ("changes", "cluster", "now"),
    [
        ({}, "c-2", NOW),
        ({}, "c-1", NOW + timedelta(hours=6)),
        ({"type": "Opaque"}, "c-1", NOW),
        ({"data": {}}, "c-1", NOW),
        ({"data": {".dockerconfigjson": "?"}}, "c-1", NOW),
        ({"data": {".dockerconfigjson": base64.b64encode(b"[]").decode()}}, "c-1", NOW),
        ({"metadata": {"name": "pullpass-ecr"}}, "c-1", NOW),
    ],
)
def test_a_secret_that_is_not_ours_or_not_good_opens_nothing(
    changes: Object, cluster: str, now: datetime
) -> None:
    assert ready_secret(stored(**changes), cluster, now) is None


def test_a_secret_of_ours_without_an_expiry_opens_nothing() -> None:
    secret = stored()
    del secret["metadata"]["annotations"]
    assert ready_secret(secret, "c-1", NOW) is None
