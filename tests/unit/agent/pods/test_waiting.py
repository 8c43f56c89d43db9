from typing import Any

import pytest

from agent.pods.waiting import Owner, is_refusal, view
from kube.objects import Object

HOST = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"
IMAGE = f"{HOST}/team/app:1"
NO_CREDENTIALS = (
    f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": pull access denied, repository '
    "does not exist or may require authorization: authorization failed: no basic auth credentials"
)


def waiting(
    reason: str = "ErrImagePull", message: str = NO_CREDENTIALS, image: str = IMAGE, **metadata: Any
) -> Object:
    return {
        "metadata": {
            "name": "app-1",
            "namespace": "shop",
            "uid": "u-1",
            "resourceVersion": "7",
            "creationTimestamp": "2026-11-22T05:40:00Z",
        }
        | metadata,
        "spec": {"serviceAccountName": "reader", "containers": [{"name": "app", "image": image}]},
        "status": {
            "phase": "Pending",
            "containerStatuses": [
                {
                    "name": "app",
                    "image": image,
                    "state": {"waiting": {"reason": reason, "message": message}},
                }
            ],
        },
    }


@pytest.mark.parametrize(
    "message",
    [
        NO_CREDENTIALS,
        f'rpc error: code = Unknown desc = failed to pull and unpack image "{IMAGE}": unexpected status from HEAD request to https://{HOST}/v2/team/app/manifests/1: 401 Unauthorized',
        f"unexpected status from HEAD request to https://{HOST}/v2/team/app/manifests/1: 403 Forbidden",
        f'Back-off pulling image "{IMAGE}": ErrImagePull: failed to resolve reference "{IMAGE}": 403 Forbidden',
        f'Error response from daemon: Head "https://{HOST}/v2/team/app/manifests/1": no basic auth credentials',
        "denied: Your authorization token has expired. Reauthenticate and try again.",
        "Authorization Token not found",
        "denied: User: arn:aws:sts::111122223333:assumed-role/x is not authorized to perform: ecr:BatchGetImage",
        f"reading manifest 1 in {HOST}/team/app: authentication required",
        f"pull access denied for {HOST}/team/app, repository does not exist or may require 'docker login'",
        "failed to authorize: failed to fetch anonymous token",
        "unable to retrieve auth token: invalid username/password: unauthorized",
    ],
)
def test_a_refusal_is_told(message: str) -> None:
    assert is_refusal(message, IMAGE)


@pytest.mark.parametrize(
    ("message", "image"),
    [
        (f'failed to resolve reference "{IMAGE}": {IMAGE}: not found', IMAGE),
        (f'Head "https://{HOST}/v2/team/app/manifests/1": dial tcp 10.0.0.1:443: i/o timeout', IMAGE),
        (f'Back-off pulling image "{IMAGE}"', IMAGE),
        ("toomanyrequests: Rate exceeded", IMAGE),
        ("no match for platform in manifest: not found", IMAGE),
        (f"{HOST}/denied/forbidden:403: not found", f"{HOST}/denied/forbidden:403"),
        (
            f'Head "https://{HOST}/v2/denied/forbidden/manifests/403": dial tcp: no such host',
            f"{HOST}/denied/forbidden:403",
        ),
        ("repository denied/forbidden not found", f"{HOST}/denied/forbidden:403"),
        ("", IMAGE),
    ],
)
def test_another_failure_is_no_refusal(message: str, image: str) -> None:
    assert not is_refusal(message, image)


def test_a_short_repository_does_not_hide_the_refusal() -> None:
    assert is_refusal("unauthorized", f"{HOST}/a:1")


def test_a_refused_pod_is_seen() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app", "uid": "r-1", "controller": True}
    found = view(waiting(ownerReferences=[{"kind": "Other", "controller": False}, owner]))
    assert found is not None
    assert (
        "u-1",
        "7",
        "reader",
        (),
        Owner("apps/v1", "ReplicaSet", "app", "r-1"),
        frozenset({HOST}),
        frozenset(),
    ) == (
        found.uid,
        found.resource_version,
        found.account,
        found.pull_secrets,
        found.owner,
        found.refused,
        found.silent,
    )


def test_a_pod_that_waits_without_a_reason_is_kept_in_view() -> None:
    found = view(waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"'))
    assert found is not None
    assert (frozenset(), frozenset({HOST})) == (found.refused, found.silent)


def test_an_init_container_counts() -> None:
    pod = waiting()
    pod["status"]["initContainerStatuses"] = pod["status"].pop("containerStatuses")
    pod["spec"]["initContainers"] = pod["spec"].pop("containers")
    assert view(pod) is not None


def test_the_image_is_the_one_that_the_pod_names() -> None:
    pod = waiting()
    pod["status"]["containerStatuses"][0]["image"] = "sha256:0123"
    assert view(pod) is not None


def test_an_image_of_ecr_public_counts() -> None:
    found = view(waiting(image="public.ecr.aws/team/app:1", message="403 Forbidden"))
    assert found is not None
    assert frozenset({"public.ecr.aws"}) == found.refused


@pytest.mark.parametrize(
    "pod",
    [
        waiting(image="ghcr.io/team/app:1", message="401 Unauthorized"),
        waiting("ErrImagePull", f"{IMAGE}: not found"),
        waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}": ErrImagePull: {IMAGE}: not found'),
        waiting("ContainerCreating", ""),
        waiting("CrashLoopBackOff", "denied"),
        waiting(deletionTimestamp="2026-11-22T05:41:00Z"),
        waiting(annotations={"kubernetes.io/config.mirror": "abc"}),
        {"metadata": {"name": "new"}},
    ],
)
def test_nothing_is_kept_of_other_pods(pod: Object) -> None:
    assert view(pod) is None
