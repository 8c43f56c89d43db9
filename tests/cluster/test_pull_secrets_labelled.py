"""Secrets that their users label, and pods with references of their own: filled at admission, by the agent's webhook.

The API server calls it as it does in production: by the Service, with the `caBundle` that the agent wrote.
"""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from agent.webhook import certificate
from kube.client import Client
from kube.errors import KubeError
from kube.objects import SECRET, SERVICE_ACCOUNT, Object
from tests.cluster.conftest import REGISTRY, ROLE, Stage, eventually
from tests.cluster.pull_secrets import (
    DOCKER_CONFIG,
    SYSTEM,
    auths,
    labelled_secret,
    leader,
    metric,
    opens,
    references,
    refused,
    report,
)

ENABLED = {"pullpass.dev/pull-secrets": "enabled"}
MANAGED = {"pullpass.dev/managed": "true"}
ON: dict[str, Any] = {"excludeNamespaces": ["*"], "labelled": {}}
WEBHOOKS = "admissionregistration.k8s.io/v1"


@pytest.fixture(scope="module", autouse=True)
def ready(stage: Stage) -> None:
    """Two namespaces, one of them enabled; the webhook answers."""
    stage.make_namespace("apps", **ENABLED)
    stage.make_namespace("plain")
    stage.begin(pullSecret=ON, identity={"webhook": "off"})
    wait_until_it_answers(stage)


def wait_until_it_answers(stage: Stage) -> None:
    """A secret made now is filled when the API server answers, whichever replica it asks."""
    secret = labelled_secret("apps", "probe", MANAGED)
    secret["data"] = {DOCKER_CONFIG: base64.b64encode(b'{"auths":{}}').decode()}

    def filled() -> bool:
        try:
            return REGISTRY in auths(stage.client.apply(secret, dry_run=True))
        except KubeError:  # the connection that the API server had was cut
            return False

    for _ in stage.kubelet.pods:
        stage.services.cut()
        eventually(filled, what="the webhook fills a secret", explain=stage.logs)


def configuration(stage: Stage) -> Object:
    return stage.kubectl.get(WEBHOOKS, "MutatingWebhookConfiguration", "pullpass-agent")


def pod(namespace: str, name: str, *secrets: str, image: str = f"{REGISTRY}/team/app:1.0") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "containers": [{"name": "app", "image": image}],
            **({"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}),
        },
    }


def test_a_labelled_secret_is_filled_at_admission_whatever_it_says(stage: Stage) -> None:
    made = stage.kubectl.create(labelled_secret("apps", "fake", MANAGED))
    assert REGISTRY in auths(made)
    assert opens(stage, "apps", "fake", REGISTRY)


def test_other_keys_of_its_data_survive(stage: Stage) -> None:
    mine = base64.b64encode(b"mine").decode()
    stage.kubectl.create(labelled_secret("apps", "more", MANAGED, other=mine))
    assert mine == stage.client.get(SECRET, "more", namespace="apps")["data"]["other"]


def test_emptied_by_its_owner_it_is_filled_again(stage: Stage) -> None:
    body = {"data": {DOCKER_CONFIG: "FAKE"}}
    answered = stage.kubectl.merge("v1", "Secret", "more", body, namespace="apps")
    assert REGISTRY in auths(answered)
    assert "other" in answered["data"]


@pytest.mark.parametrize(
    ("namespace", "labels"), [("plain", MANAGED), ("apps", {}), ("apps", {"pullpass.dev/managed": "false"})]
)
def test_without_both_labels_nothing_is_changed(stage: Stage, namespace: str, labels: dict[str, str]) -> None:
    secret = labelled_secret(namespace, "unasked", labels)
    assert "unasked" in refused(lambda: stage.kubectl.create(secret))  # it is no JSON
    secret["data"] = {DOCKER_CONFIG: base64.b64encode(b'{"auths":{}}').decode()}
    made = stage.kubectl.create(secret)
    stage.client.delete(SECRET, "unasked", namespace=namespace)
    assert {} == auths(made)


def test_a_dry_run_is_answered_like_any_other(stage: Stage) -> None:
    secret = labelled_secret("apps", "dry", MANAGED)
    made = stage.client.apply(secret, dry_run=True)
    assert REGISTRY in auths(made)
    assert None is stage.exists(SECRET, "dry", "apps")


def test_a_secret_labelled_afterwards_is_filled(stage: Stage) -> None:
    secret = labelled_secret("plain", "late", MANAGED)
    secret["data"] = {DOCKER_CONFIG: base64.b64encode(b'{"auths":{}}').decode()}
    stage.kubectl.create(secret)
    stage.kubectl.merge("v1", "Namespace", "plain", {"metadata": {"labels": ENABLED}})
    eventually(lambda: opens(stage, "plain", "late", REGISTRY), what="it is filled", explain=stage.logs)


def test_the_report_counts_them(stage: Stage) -> None:
    eventually(
        lambda: report(stage).labelled_secrets == (3, 3), what="three of three", explain=lambda: report(stage)
    )


def test_metrics_tell_how_long_each_is_good(stage: Stage) -> None:
    pod = eventually(lambda: leader(stage), what="a leader")
    left = metric(
        pod.health("/metrics"), "pullpass_agent_secret_expiry_seconds", namespace="apps", name="fake"
    )
    assert 3600 < left <= 12 * 3600


def test_with_ignore_a_secret_is_admitted_while_nobody_answers_and_filled_then(stage: Stage) -> None:
    stage.services.broken.set()
    stage.services.cut()
    try:
        assert "Ignore" == configuration(stage)["webhooks"][0]["failurePolicy"]
        secret = labelled_secret("apps", "meanwhile", MANAGED)
        secret["data"] = {DOCKER_CONFIG: base64.b64encode(b'{"auths":{}}').decode()}
        made = stage.kubectl.create(secret)
        assert {} == auths(made)
        eventually(
            lambda: opens(stage, "apps", "meanwhile", REGISTRY), what="the watch fills it", explain=stage.logs
        )
    finally:
        stage.services.broken.clear()


def test_no_other_secret_and_no_pod_waits_for_the_webhook(stage: Stage) -> None:
    stage.services.broken.set()
    stage.services.cut()
    before = stage.services.accepted
    try:
        for obj in (
            labelled_secret("plain", "unlabelled", {}) | {"type": "Opaque"},
            pod("plain", "any", image="docker.io/library/busybox"),
        ):
            stage.kubectl.create(obj)
        assert before == stage.services.accepted
    finally:
        stage.services.broken.clear()
        stage.kubectl.delete("v1", "Pod", "any", namespace="plain")
        stage.client.delete(SECRET, "unlabelled", namespace="plain")


def test_with_fail_no_labelled_secret_exists_without_credentials(stage: Stage) -> None:
    stage.wish(identity={"webhook": "off"}, pullSecret=ON | {"labelled": {"failurePolicy": "Fail"}})
    eventually(
        lambda: configuration(stage)["webhooks"][0]["failurePolicy"] == "Fail",
        what="Fail",
        explain=stage.logs,
    )
    made = stage.kubectl.create(labelled_secret("apps", "strict", MANAGED))
    assert REGISTRY in auths(made)
    stage.services.broken.set()
    stage.services.cut()
    try:
        said = eventually(
            lambda: refused(lambda: stage.kubectl.create(labelled_secret("apps", "never", MANAGED))),
            what="it is refused",
        )
        assert "webhook" in said
        assert None is stage.exists(SECRET, "never", "apps")
    finally:
        stage.services.broken.clear()


def test_one_replica_is_enough_to_answer(stage: Stage) -> None:
    first, second = stage.kubelet.pods
    stage.kubelet.held.set()
    try:
        for pod_now in (first, second):
            stage.kubelet.kill(pod_now.name)
            eventually(lambda now=pod_now: not now.ready, what="it is not ready")  # type: ignore[misc]
            wait_until_it_answers(stage)
            stage.kubelet.held.clear()
            eventually(lambda now=pod_now: now.ready, what="it is ready again", explain=stage.logs)  # type: ignore[misc]
            stage.kubelet.held.set()
    finally:
        stage.kubelet.held.clear()


def test_the_certificate_is_replaced_while_secrets_are_admitted(stage: Stage) -> None:
    """What rotation comes to: the leader finds none that will do, makes another, and nobody is refused meanwhile."""
    before = stage.client.get(SECRET, "pullpass-webhook", namespace=SYSTEM)["data"]
    bundle = configuration(stage)["webhooks"][0]["clientConfig"]["caBundle"]
    stage.client.delete(SECRET, "pullpass-webhook", namespace=SYSTEM)
    after = eventually(
        lambda: stage.exists(SECRET, "pullpass-webhook", SYSTEM), what="another one", explain=stage.logs
    )["data"]
    assert before["tls.crt"] != after["tls.crt"]
    eventually(
        lambda: configuration(stage)["webhooks"][0]["clientConfig"]["caBundle"] != bundle,
        what="the caBundle follows",
        explain=stage.logs,
    )
    wait_until_it_answers(stage)


def test_a_certificate_is_rotated_when_two_thirds_of_its_life_are_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of six hours, of which four are over in a moment. Nobody is refused meanwhile, though the policy is Fail."""
    now = datetime.now(UTC)
    last = certificate.read(stage.client.get(SECRET, "pullpass-webhook", namespace=SYSTEM), now)
    monkeypatch.setattr(certificate, "LIFE", timedelta(hours=6))
    short = certificate.first(now - timedelta(hours=4) + timedelta(seconds=8), last)
    stage.client.apply(certificate.secret(short))
    old = x509.load_pem_x509_certificate(short.serving.certificate)
    eventually(lambda: served(stage) == {old}, what="both serve it", explain=stage.logs)
    wait_until_it_answers(stage)

    def rotated() -> bool:
        made = stage.client.apply(labelled_secret("apps", "meanwhile-filled", MANAGED), dry_run=True)
        assert REGISTRY in auths(made)
        return old not in served(stage)

    eventually(rotated, what="both serve another one", patience=150, explain=stage.logs)
    (new,) = served(stage)
    assert new.not_valid_after_utc - now > timedelta(days=89)
    wait_until_it_answers(stage)
    trusted = base64.b64decode(configuration(stage)["webhooks"][0]["clientConfig"]["caBundle"])
    assert short.authorities[0] in trusted  # until the old one has expired: somebody may still serve it


def served(stage: Stage) -> set[x509.Certificate]:
    """What the replicas show to whoever connects."""
    return {
        x509.load_pem_x509_certificate(
            ssl.get_server_certificate(("127.0.0.1", pod.ports["webhook"])).encode()
        )
        for pod in stage.kubelet.pods
    }


def test_the_hub_never_touches_the_bundle(stage: Stage) -> None:
    owners = {
        entry["manager"]
        for entry in configuration(stage)["metadata"]["managedFields"]
        if "f:caBundle" in str(entry["fieldsV1"])
    }
    assert {"pullpass-agent"} == owners


def test_pods_that_name_their_own_secrets_get_ours_appended(stage: Stage) -> None:
    wishes = {"namespaces": ["apps"], "appendToPods": True}
    stage.wish(identity={"webhook": "off"}, pullSecret=wishes)
    eventually(lambda: opens(stage, "apps", "pullpass-ecr", REGISTRY), what="ours", explain=stage.logs)

    def appended() -> bool:
        stage.kubectl.delete("v1", "Pod", "own", namespace="apps")
        made = stage.kubectl.create(pod("apps", "own", "my-registry"))
        return bool([{"name": "my-registry"}, {"name": "pullpass-ecr"}] == made["spec"]["imagePullSecrets"])

    eventually(appended, what="ours is appended", explain=stage.logs)


def test_pods_without_their_own_inherit_the_service_accounts(stage: Stage) -> None:
    eventually(lambda: references(stage, "apps") == ["pullpass-ecr"], what="the reference")

    def inherited() -> bool:
        """The API server makes pods by a view of service accounts that may be older."""
        stage.kubectl.delete("v1", "Pod", "inherits", namespace="apps")
        made = stage.kubectl.create(pod("apps", "inherits"))
        return bool([{"name": "pullpass-ecr"}] == made["spec"].get("imagePullSecrets"))

    eventually(inherited, what="it is inherited", explain=stage.logs)


def test_pods_elsewhere_or_of_other_registries_are_left_alone(stage: Stage) -> None:
    elsewhere = stage.kubectl.create(pod("plain", "own", "my-registry"))
    other = stage.kubectl.create(pod("apps", "other", "my-registry", image="docker.io/library/busybox"))
    twice = stage.kubectl.create(pod("apps", "twice", "my-registry", "pullpass-ecr"))
    assert [[{"name": "my-registry"}], [{"name": "my-registry"}]] == [
        made["spec"]["imagePullSecrets"] for made in (elsewhere, other)
    ]
    assert [{"name": "my-registry"}, {"name": "pullpass-ecr"}] == twice["spec"]["imagePullSecrets"]


def test_turned_off_the_users_secrets_stay_theirs(stage: Stage) -> None:
    stage.wish(identity={"webhook": "off"}, pullSecret={"namespaces": ["apps"]})
    eventually(
        lambda: stage.kubectl.find(WEBHOOKS, "MutatingWebhookConfiguration", "pullpass-agent") is None,
        what="no webhook",
        explain=stage.logs,
    )
    assert stage.exists(SECRET, "fake", "apps")


def test_what_the_agent_may_not_write_the_api_server_refuses(stage: Stage) -> None:
    """With the agent's own token, while all of its roles are bound."""
    stage.wish(identity={"webhook": "off"}, pullSecret=ON | {"name": "any-name"})
    eventually(
        lambda: stage.kubectl.find(
            "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "pullpass-agent-wide-secrets"
        ),
        what="the wide role is bound",
        explain=stage.logs,
    )
    issued = stage.client.request_token(SYSTEM, "pullpass-agent", audiences=[], expiration_seconds=600)
    agent = Client(stage.cluster.access(issued.token), field_manager="pullpass-agent")
    opaque = labelled_secret("plain", "opaque", MANAGED) | {"type": "Opaque"}
    foreign = labelled_secret("plain", "foreign", {})
    foreign["data"] = {DOCKER_CONFIG: base64.b64encode(b'{"auths":{}}').decode()}
    stage.kubectl.create(opaque)
    stage.kubectl.create(foreign)
    ours = {"app.kubernetes.io/managed-by": "pullpass"}
    new = labelled_secret("plain", "new", MANAGED)
    new["data"] = foreign["data"]
    stage.kubectl.merge(
        "v1", "ServiceAccount", "default", {"metadata": {"annotations": {"theirs": "1"}}}, namespace="plain"
    )

    def change(**body: Any) -> None:
        agent.merge_patch(SERVICE_ACCOUNT, "default", body, namespace="plain")

    try:
        eventually(lambda: not refused(lambda: agent.list(SECRET)), what="it reads secrets of any name")
        for attempt in (
            lambda: agent.merge_patch(SECRET, "opaque", {"data": {"a": "YQ=="}}, namespace="plain"),
            lambda: agent.merge_patch(SECRET, "foreign", {"data": {"a": "YQ=="}}, namespace="plain"),
            lambda: agent.merge_patch(SECRET, "foreign", {"metadata": {"labels": ours}}, namespace="plain"),
            lambda: agent.delete(SECRET, "foreign", namespace="plain"),
            lambda: agent.delete(SECRET, "opaque", namespace="plain"),
            lambda: agent.create(new),
            lambda: agent.create(labelled_secret("plain", "new", ours) | {"type": "Opaque"}),
        ):
            assert "the Pullpass agent" in refused(attempt)
        change(imagePullSecrets=[], metadata={"annotations": {"pullpass.dev/image-pull-secret": "any-name"}})
        for attempt in (
            lambda: change(metadata={"labels": {"a": "b"}}),
            lambda: change(metadata={"annotations": {"theirs": "2"}}),
            lambda: change(metadata={"annotations": {"theirs": None}}),
            lambda: change(metadata={"annotations": {"eks.amazonaws.com/role-arn": ROLE}}),
            lambda: change(metadata={"finalizers": ["example.com/held"]}),
            lambda: change(secrets=[{"name": "foreign"}]),
            lambda: change(automountServiceAccountToken=False),
            lambda: change(imagePullSecrets=[{"name": "ours"}], secrets=[{"name": "foreign"}]),
        ):
            assert "changes nothing of a service account but imagePullSecrets" in refused(attempt)
    finally:
        agent.close()
