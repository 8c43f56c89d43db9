# ruff: noqa: ARG002 - the signatures are those of what these stand in for
"""The duty, on a sandbox cluster."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agent.pods.stuck import StuckPods
from agent.secrets.duties import Contribution
from kube.client import Client
from kube.errors import Forbidden, NotFound
from kube.objects import POD, SECRET, SERVICE_ACCOUNT, Object
from reconcile.clock import SystemClock, SystemRandom
from schemas.addons.aws_ecr import PullSecret
from schemas.agent_documents import AgentConfiguration
from schemas.times import parse_time
from tests.unit.agent.sandboxed import eventually, sandboxed

HOST = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"
IMAGE = f"{HOST}/team/app:1"
REFUSED = f'failed to resolve reference "{IMAGE}": authorization failed: no basic auth credentials'
REPLICA_SET = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app", "uid": "r-1", "controller": True}
JOB = {"apiVersion": "batch/v1", "kind": "Job", "name": "once", "uid": "j-1", "controller": True}
CONFIGURATION = AgentConfiguration(
    generation=1,
    cluster_uid="c-1",
    organisation="acme",
    cluster="demo",
    removing=False,
    role_arn="arn:aws:iam::111122223333:role/pull",
    audience="sts.amazonaws.com",
    region=None,
    registries=(HOST,),
    pull_secret=PullSecret(retry_pods=True),
)


class Told:
    """Events that a test can wait for."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.events: list[tuple[str, str, str, str]] = []

    def say(self, involved: Object, reason: str, message: str, *, warning: bool) -> None:
        with self._condition:
            self.events.append((involved["kind"], involved["metadata"]["name"], reason, message))
            self._condition.notify_all()

    def wait_for(self, kind: str, name: str, reason: str) -> str:
        """The message."""

        def found() -> str | None:
            return next((each[3] for each in self.events if each[:3] == (kind, name, reason)), None)

        with self._condition:
            assert self._condition.wait_for(found, 60), self.events
            message = found()
        assert message is not None
        return message


class Scene:
    def __init__(self, client: Client, told: Told) -> None:
        self.client = client
        self.told = told
        self.failures: list[str] = []

    def secret(self, name: str = "pullpass-ecr", *, expires: str = "2099-01-01T00:00:00Z") -> None:
        config = {"auths": {HOST: {"auth": "QVdTOnNlY3JldA=="}}}
        metadata = {
            "name": name,
            "namespace": "default",
            "labels": {"app.kubernetes.io/managed-by": "pullpass", "pullpass.dev/cluster": "c-1"},
            "annotations": {"pullpass.dev/expires-at": expires},
        }
        self.client.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": metadata,
                "type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": base64.b64encode(json.dumps(config).encode()).decode()},
            }
        )

    def refer(self, *names: str) -> None:
        body = {"imagePullSecrets": [{"name": name} for name in names]}
        self.client.merge_patch(SERVICE_ACCOUNT, "default", body, namespace="default")

    def pod(self, name: str, owner: Object | None = None, *, message: str = REFUSED, **spec: Any) -> Object:
        metadata: Object = {"name": name, "namespace": "default"}
        if owner is not None:
            metadata["ownerReferences"] = [owner]
        containers = [{"name": "app", "image": IMAGE}]
        self.client.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": metadata,
                "spec": {"serviceAccountName": "default", "containers": containers} | spec,
            }
        )
        return self.wait(name, "ErrImagePull", message)

    def wait(self, name: str, reason: str, message: str) -> Object:
        state = {"waiting": {"reason": reason, "message": message}}
        status = {
            "name": "app",
            "image": IMAGE,
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": state,
        }
        return self.client.apply_status(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": "default"},
                "status": {"phase": "Pending", "containerStatuses": [status]},
            }
        )

    def there(self, name: str) -> bool:
        try:
            self.client.get(POD, name, namespace="default")
        except NotFound:
            return False
        return True


@pytest.fixture
def scene() -> Iterator[Scene]:
    with sandboxed() as client:
        yield Scene(client, Told())


@pytest.fixture
def duty(scene: Scene) -> Iterator[StuckPods]:
    duty = StuckPods(
        scene.client, scene.told, failed=scene.failures.append, clock=SystemClock(), random=SystemRandom()
    )
    yield duty
    duty.stop()
    duty.join(60)


def test_a_pod_that_came_too_early_is_evicted_and_its_owner_told(scene: Scene, duty: StuckPods) -> None:
    scene.pod("app-1", REPLICA_SET)
    scene.secret()
    scene.refer("pullpass-ecr")
    duty.follow(CONFIGURATION)
    assert "pod app-1" in scene.told.wait_for("ReplicaSet", "app", "PullRetried")
    assert not scene.there("app-1")


def test_it_is_evicted_once_the_secret_comes(scene: Scene, duty: StuckPods) -> None:
    scene.refer("pullpass-ecr")
    duty.follow(CONFIGURATION)
    scene.pod("app-1", REPLICA_SET)
    scene.secret()
    eventually(lambda: not scene.there("app-1"))


def test_a_refusal_is_remembered_where_the_kubelet_only_says_that_it_waits(
    scene: Scene, duty: StuckPods
) -> None:
    duty.follow(CONFIGURATION)
    scene.pod("app-1", REPLICA_SET)
    eventually(lambda: duty._watching is not None and bool(duty._watching._refused))
    scene.wait("app-1", "ImagePullBackOff", f'Back-off pulling image "{IMAGE}"')
    scene.secret()
    scene.refer("pullpass-ecr")
    eventually(lambda: not scene.there("app-1"))


def test_a_pod_that_nobody_makes_anew_is_left_and_told(scene: Scene, duty: StuckPods) -> None:
    scene.pod("bare")
    scene.secret()
    scene.refer("pullpass-ecr")
    duty.follow(CONFIGURATION)
    assert "delete it and make it anew" in scene.told.wait_for("Pod", "bare", "PullNotRetried")
    assert scene.there("bare")


def test_a_pod_of_a_job_that_is_not_known_to_bear_it_is_left_and_told(scene: Scene, duty: StuckPods) -> None:
    scene.pod("once-1", JOB)
    scene.secret()
    scene.refer("pullpass-ecr")
    duty.follow(CONFIGURATION)
    assert "Job once" in scene.told.wait_for("Pod", "once-1", "PullNotRetried")
    assert scene.there("once-1")


def test_a_pod_with_secrets_of_its_own_is_left_and_told(scene: Scene, duty: StuckPods) -> None:
    scene.pod("app-1", REPLICA_SET, imagePullSecrets=[{"name": "mine"}])
    scene.secret()
    scene.refer("pullpass-ecr")
    duty.follow(CONFIGURATION)
    assert "appendToPods" in scene.told.wait_for("Pod", "app-1", "PullNotRetried")
    assert scene.there("app-1")


def test_it_is_evicted_once_the_webhook_appends(scene: Scene, duty: StuckPods) -> None:
    scene.pod("app-1", REPLICA_SET, imagePullSecrets=[{"name": "mine"}])
    scene.secret()
    duty.follow(CONFIGURATION)
    scene.told.wait_for("Pod", "app-1", "PullNotRetried")
    duty.follow(replace(CONFIGURATION, pull_secret=PullSecret(retry_pods=True, append_to_pods=True)))
    eventually(lambda: not scene.there("app-1"))


def younger_than_the_secret(scene: Scene) -> None:
    """Kubernetes tells times in whole seconds."""
    made = scene.client.get(SECRET, "pullpass-ecr", namespace="default")
    made_at = parse_time(made["metadata"]["creationTimestamp"])
    eventually(lambda: SystemClock().now() >= made_at + timedelta(seconds=1))


def test_a_pod_that_has_the_secret_and_is_turned_away_is_retried_once(scene: Scene, duty: StuckPods) -> None:
    scene.secret()
    younger_than_the_secret(scene)
    named = [{"name": "pullpass-ecr"}]
    scene.pod("app-1", REPLICA_SET, imagePullSecrets=named)
    duty.follow(CONFIGURATION)
    eventually(lambda: not scene.there("app-1"))
    scene.pod("app-2", REPLICA_SET, imagePullSecrets=named)
    assert "turns it away" in scene.told.wait_for("Pod", "app-2", "PullNotRetried")
    assert scene.there("app-2")


@pytest.mark.parametrize("owner", [None, JOB], ids=["nobody", "a Job"])
def test_a_pod_that_is_turned_away_is_left_where_that_costs_more(
    scene: Scene, duty: StuckPods, owner: Object | None
) -> None:
    scene.secret()
    younger_than_the_secret(scene)
    scene.pod("app-1", owner, imagePullSecrets=[{"name": "pullpass-ecr"}])
    duty.follow(CONFIGURATION)
    assert "turns it away" in scene.told.wait_for("Pod", "app-1", "PullNotRetried")
    assert scene.there("app-1")


def test_pods_that_wait_for_something_else_are_left(scene: Scene, duty: StuckPods) -> None:
    scene.secret()
    scene.refer("pullpass-ecr")
    scene.pod("missing-1", REPLICA_SET, message=f"{IMAGE}: not found")
    scene.pod("app-1", REPLICA_SET)
    duty.follow(CONFIGURATION)
    scene.told.wait_for("ReplicaSet", "app", "PullRetried")
    assert (True, False) == (scene.there("missing-1"), scene.there("app-1"))


@pytest.mark.parametrize(
    "changes", [{"pull_secret": PullSecret()}, {"removing": True}], ids=["not chosen", "removing"]
)
def test_nothing_is_watched_where_it_is_not_wanted(
    scene: Scene, duty: StuckPods, changes: dict[str, Any]
) -> None:
    before = scene.client.requests
    duty.follow(replace(CONFIGURATION, **changes))
    assert (before, Contribution()) == (scene.client.requests, duty.contribution())


def test_it_ends_when_the_choice_is_taken_back(scene: Scene, duty: StuckPods) -> None:
    duty.follow(CONFIGURATION)
    watching = duty._watching
    assert watching is not None
    duty.follow(replace(CONFIGURATION, pull_secret=PullSecret()))
    assert watching._pods.join(60)


def test_many_pods_go_in_portions(scene: Scene, duty: StuckPods) -> None:
    for number in range(12):
        scene.pod(f"app-{number:02}", REPLICA_SET)
    scene.secret()
    scene.refer("pullpass-ecr")
    duty.follow(CONFIGURATION)
    eventually(lambda: not any(scene.there(f"app-{number:02}") for number in range(12)))


def test_an_api_server_that_refuses_is_counted_and_asked_again(
    scene: Scene, duty: StuckPods, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Forbidden(403, "Forbidden", "you may not")

    scene.pod("app-1", REPLICA_SET)
    scene.secret()
    scene.refer("pullpass-ecr")
    with monkeypatch.context() as refusing:
        refusing.setattr(scene.client, "evict", refuse)
        duty.follow(CONFIGURATION)
        eventually(lambda: scene.failures == ["Forbidden"])
    scene.refer("pullpass-ecr", "another")
    scene.wait("app-1", "ImagePullBackOff", REFUSED)
    eventually(lambda: not scene.there("app-1"))
