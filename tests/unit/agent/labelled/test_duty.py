import base64
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.events import Events
from agent.labelled.duty import LabelledSecrets
from agent.labelled.watch import Key
from agent.secrets.content import LabelledContent
from kube.client import Client
from kube.errors import NotFound
from kube.objects import EVENT, NAMESPACE, SECRET, Object
from reconcile.clock import SystemClock, SystemRandom
from reconcile.outcome import Done
from schemas.addons.aws_ecr import Label, Labelled, PullSecret
from schemas.agent_documents import AgentConfiguration
from tests.unit.agent.sandboxed import eventually, sandboxed

NOW = datetime.now(UTC).replace(microsecond=0)
TYPE = "kubernetes.io/dockerconfigjson"
EMPTY = base64.b64encode(b'{"auths":{}}').decode()
ROLE = "arn:aws:iam::111122223333:role/pull"


def content_of(password: str, hours: float = 0) -> LabelledContent:
    issued_at = NOW + timedelta(hours=hours)
    text = f'{{"auths":{{"a.example":{{"password":"{password}"}}}}}}'
    return LabelledContent(text.encode(), issued_at, issued_at + timedelta(hours=12), ROLE)


CONFIGURATION = AgentConfiguration(
    generation=1,
    cluster_uid="c-1",
    organisation="acme",
    cluster="demo",
    removing=False,
    role_arn=ROLE,
    audience="sts.amazonaws.com",
    region=None,
    registries=(),
    pull_secret=PullSecret(labelled=Labelled()),
)


class Cluster:
    """A cluster with the duty in it, and its user."""

    def __init__(self, client: Client) -> None:
        self.user = client.managing_as("user")
        self.content: LabelledContent | None = content_of("first")
        self.lost = threading.Event()
        self.changes = threading.Semaphore(0)
        self.failures: list[str] = []
        fenced = client.fenced(self.lost)
        self.events = Events(fenced, SystemClock())
        self.events.start()
        self.duty = LabelledSecrets(
            fenced,
            self.events,
            lambda: self.content,
            changed=self.changes.release,
            failed=self.failures.append,
            clock=SystemClock(),
            random=SystemRandom(),
        )
        self.namespace("shop")

    def stop(self) -> None:
        self.duty.stop()
        self.duty.join(60)
        self.events.stop(10)

    def follow(self, **changes: Any) -> None:
        self.duty.follow(replace(CONFIGURATION, **changes))

    def refresh(self, content: LabelledContent | None) -> None:
        self.content = content
        self.duty.refresh()

    def namespace(self, name: str, enabled: str | None = "enabled") -> None:
        labels = {"pullpass.dev/pull-secrets": enabled} if enabled else {}
        self.user.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        )

    def make(self, name: str = "ecr", namespace: str = "shop", **members: Any) -> None:
        metadata = {"name": name, "namespace": namespace, "labels": {"pullpass.dev/managed": "true"}}
        metadata |= members.pop("metadata", {})
        whole = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": TYPE}
        self.user.create(whole | {"data": {".dockerconfigjson": EMPTY}} | members)

    def get(self, name: str = "ecr", namespace: str = "shop") -> Object:
        return self.user.get(SECRET, name, namespace=namespace)

    def patch(self, body: Object, name: str = "ecr") -> None:
        self.user.merge_patch(SECRET, name, body, namespace="shop")

    def holds(self, content: LabelledContent, name: str = "ecr", namespace: str = "shop") -> bool:
        found = self.get(name, namespace)["data"][".dockerconfigjson"]
        return base64.b64decode(found) == content.data

    def filled(self, name: str = "ecr") -> Object:
        """The secret, as soon as it holds what it should."""
        content = self.content
        assert content is not None
        eventually(lambda: self.holds(content, name))
        return self.get(name)

    def said(self, reason: str) -> Object:
        """The event, as soon as it is said."""

        def look() -> Object | None:
            events = self.user.list(EVENT).items
            return next((event for event in events if event["reason"] == reason), None)

        return eventually(look)

    def counted(self, total: int, filled: int) -> None:
        eventually(lambda: self.duty.contribution().labelled_secrets == (total, filled))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with sandboxed() as client:
        cluster = Cluster(client)
        yield cluster
        cluster.stop()


def test_fills_what_admission_missed(cluster: Cluster) -> None:
    cluster.make()
    cluster.follow()
    annotations = cluster.filled()["metadata"]["annotations"]
    assert (ROLE, NOW + timedelta(hours=12)) == (
        annotations["pullpass.dev/role-arn"],
        datetime.fromisoformat(annotations["pullpass.dev/expires-at"]),
    )


def test_fills_a_secret_that_is_made_later(cluster: Cluster) -> None:
    cluster.follow()
    cluster.make()
    cluster.filled()


def test_fills_when_its_namespace_is_enabled(cluster: Cluster) -> None:
    cluster.namespace("late", enabled=None)
    cluster.make(namespace="late")
    cluster.follow()
    cluster.make()
    cluster.filled()
    assert not cluster.holds(content_of("first"), namespace="late")
    cluster.namespace("late")
    eventually(lambda: cluster.holds(content_of("first"), namespace="late"))


def test_refreshes_all_when_there_is_another_content(cluster: Cluster) -> None:
    for name in ("one", "two"):
        cluster.make(name)
    cluster.follow()
    for name in ("one", "two"):
        cluster.filled(name)
    cluster.refresh(content_of("second", hours=6))
    for name in ("one", "two"):
        cluster.filled(name)


def test_a_content_that_nobody_told_of_is_found(cluster: Cluster) -> None:
    cluster.make()
    cluster.follow()
    cluster.filled()
    cluster.content = content_of("second", hours=6)
    cluster.filled()


def test_puts_back_what_somebody_overwrote(cluster: Cluster) -> None:
    cluster.make()
    cluster.follow()
    cluster.filled()
    cluster.patch({"data": {".dockerconfigjson": EMPTY}})
    cluster.filled()


def test_writes_nothing_when_nothing_differs(cluster: Cluster) -> None:
    cluster.make()
    cluster.follow()
    before = cluster.filled()["metadata"]["resourceVersion"]
    cluster.duty.refresh()
    cluster.counted(1, 1)
    cluster.make("other")
    cluster.filled("other")
    assert before == cluster.get()["metadata"]["resourceVersion"]


def test_what_is_not_ours_survives(cluster: Cluster) -> None:
    cluster.make(
        data={".dockerconfigjson": EMPTY, "mine": "eA=="},
        metadata={
            "labels": {"pullpass.dev/managed": "true", "app": "web"},
            "annotations": {"note": "x", "ecr-anywhere.centml.ai/expires_at": "2020-01-01T00:00:00Z"},
        },
    )
    cluster.follow()
    found = cluster.filled()
    annotations = found["metadata"]["annotations"]
    assert ("eA==", "x", "web") == (
        found["data"]["mine"],
        annotations["note"],
        found["metadata"]["labels"]["app"],
    )
    assert annotations["pullpass.dev/expires-at"] == annotations["ecr-anywhere.centml.ai/expires_at"]


def test_says_that_it_filled_it(cluster: Cluster) -> None:
    cluster.make()
    cluster.follow()
    involved = cluster.said("Filled")["involvedObject"]
    assert ("Secret", "shop", "ecr") == (involved["kind"], involved["namespace"], involved["name"])


def test_without_content_it_waits_and_takes_nothing_away(cluster: Cluster) -> None:
    cluster.make()
    cluster.content = None
    cluster.follow()
    cluster.counted(1, 0)
    cluster.refresh(content_of("late"))
    cluster.filled()
    cluster.counted(1, 1)
    cluster.refresh(None)
    cluster.make("other")
    cluster.counted(2, 1)
    assert cluster.holds(content_of("late"))


def test_a_label_taken_off_ends_it_with_a_word_and_leaves_the_content(cluster: Cluster) -> None:
    cluster.make()
    cluster.follow()
    cluster.filled()
    cluster.counted(1, 1)
    cluster.patch({"metadata": {"labels": {"pullpass.dev/managed": None}}})
    assert "label pullpass.dev/managed is gone" in cluster.said("NoLongerRefreshed")["message"]
    cluster.counted(0, 0)
    cluster.refresh(content_of("second", hours=6))
    cluster.make("other")
    cluster.filled("other")
    assert cluster.holds(content_of("first"))


def test_a_namespace_that_is_disabled_ends_it_with_a_word(cluster: Cluster) -> None:
    cluster.make()
    cluster.follow()
    cluster.filled()
    cluster.counted(1, 1)
    cluster.user.merge_patch(NAMESPACE, "shop", {"metadata": {"labels": {"pullpass.dev/pull-secrets": "no"}}})
    assert "no longer enabled" in cluster.said("NoLongerRefreshed")["message"]
    cluster.counted(0, 0)


@pytest.mark.parametrize("changes", [{"removing": True}, {"pull_secret": PullSecret()}])
def test_settings_that_cover_it_no_longer_end_it_with_a_word(
    cluster: Cluster, changes: dict[str, Any]
) -> None:
    cluster.make()
    cluster.follow()
    cluster.filled()
    cluster.counted(1, 1)
    cluster.follow(**changes)
    assert "settings" in cluster.said("NoLongerRefreshed")["message"]
    assert (None, True) == (
        cluster.duty.contribution().labelled_secrets,
        cluster.duty.contribution().left,
    )
    assert cluster.holds(content_of("first"))


def test_until_when_each_is_good_is_known(cluster: Cluster) -> None:
    cluster.make()
    cluster.make("odd", type="Opaque")
    cluster.follow()
    cluster.filled()
    cluster.counted(2, 1)
    assert {("shop", "ecr"): content_of("first").expires_at} == cluster.duty.expiries()
    cluster.follow(pull_secret=PullSecret())
    assert {} == cluster.duty.expiries()


def test_a_deleted_secret_needs_no_word(cluster: Cluster) -> None:
    cluster.make()
    cluster.follow()
    cluster.filled()
    cluster.counted(1, 1)
    cluster.user.delete(SECRET, "ecr", namespace="shop")
    cluster.counted(0, 0)
    assert [] == [event for event in cluster.user.list(EVENT).items if event["reason"] == "NoLongerRefreshed"]


def test_other_labels_begin_anew(cluster: Cluster) -> None:
    cluster.make("theirs", metadata={"labels": {"ecr-anywhere.centml.ai/managed": "true"}})
    cluster.make()
    cluster.follow()
    cluster.filled()
    labelled = Labelled(
        Label("pullpass.dev/pull-secrets", "enabled"), Label("ecr-anywhere.centml.ai/managed", "true")
    )
    cluster.follow(pull_secret=PullSecret(labelled=labelled))
    cluster.filled("theirs")
    cluster.counted(1, 1)


def test_another_failure_policy_changes_nothing(cluster: Cluster) -> None:
    cluster.follow()
    watch = cluster.duty._watch
    cluster.follow(pull_secret=PullSecret(labelled=Labelled(failure_policy="Fail")))
    assert watch is cluster.duty._watch


@pytest.mark.parametrize(
    ("members", "why"),
    [({"type": "Opaque"}, "has type Opaque"), ({"immutable": True}, "is immutable")],
)
def test_what_cannot_be_filled_is_reported_and_said(
    cluster: Cluster, members: dict[str, Any], why: str
) -> None:
    cluster.make(**members)
    cluster.follow()
    error = eventually(lambda: cluster.duty.contribution().errors)[0]
    assert ("shop", "SecretNotOurs", "ecr", "labelled") == (
        error.namespace,
        error.code,
        error.secret,
        error.claim,
    )
    assert why in error.message
    assert why in cluster.said("SecretNotOurs")["message"]
    cluster.counted(1, 0)
    assert {"SecretNotOurs"} == {*cluster.failures}


def test_our_own_pull_secrets_are_left_to_the_loop(cluster: Cluster) -> None:
    labels = {"pullpass.dev/managed": "true", "app.kubernetes.io/managed-by": "pullpass"}
    cluster.make("pullpass-ecr", metadata={"labels": labels})
    cluster.follow()
    cluster.make()
    cluster.filled()
    cluster.counted(1, 1)
    assert not cluster.holds(content_of("first"), "pullpass-ecr")


def test_a_deposed_leader_writes_no_more(cluster: Cluster) -> None:
    cluster.make()
    cluster.follow()
    cluster.filled()
    cluster.lost.set()
    cluster.refresh(content_of("second", hours=6))
    cluster.make("other")
    watch = cluster.duty._watch
    assert watch is not None
    assert Done() == watch._reconcile(Key("shop", "ecr"))
    assert cluster.holds(content_of("first"))
    assert [] == cluster.failures


def test_after_stop_nothing_is_followed(cluster: Cluster) -> None:
    cluster.follow()
    cluster.duty.stop()
    cluster.duty.join(60)
    cluster.follow(pull_secret=PullSecret(labelled=Labelled(secret_label=Label("a", "b"))))
    assert cluster.duty.contribution().labelled_secrets is None
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("worker-", "informer-"))]


def test_a_namespace_that_is_ending_is_left_alone(cluster: Cluster) -> None:
    cluster.make()
    cluster.follow()
    cluster.filled()
    cluster.user.delete(NAMESPACE, "shop")

    def gone() -> bool:
        try:
            cluster.get()
        except NotFound:
            return True
        return False

    eventually(gone)
    cluster.counted(0, 0)
