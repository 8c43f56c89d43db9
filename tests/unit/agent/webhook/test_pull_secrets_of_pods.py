from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.webhook.pull_secrets_of_pods import handler
from agent.webhook.review import Answer, Review
from schemas.addons.aws_ecr import PullSecret
from schemas.agent_documents import AgentConfiguration

PRIVATE = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"
CONFIGURATION = AgentConfiguration(
    generation=1,
    cluster_uid="c-1",
    organisation="acme",
    cluster="demo",
    removing=False,
    role_arn="arn:aws:iam::1:role/r",
    audience="sts.amazonaws.com",
    region=None,
    registries=(PRIVATE,),
    pull_secret=PullSecret(append_to_pods=True),
)


def appended(
    named: list[str] | None,
    *,
    namespace: str = "shop",
    labels: Mapping[str, str] | None = None,
    operation: str = "CREATE",
    annotations: dict[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    images: tuple[str, ...] = (f"{PRIVATE}/team/app:1.0", "public.ecr.aws/docker/library/busybox"),
    **configured: Any,
) -> list[str] | None:
    """The names that the pod refers to after the review."""
    pull_secret = PullSecret(**{"append_to_pods": True, **(settings or {})})
    configuration = replace(CONFIGURATION, **{"pull_secret": pull_secret, **configured})
    handle = handler(
        configuration=lambda: configuration,
        carries=lambda _, wanted: wanted.items() <= (labels or {}).items(),
    )
    spec: dict[str, Any] = {"containers": [{"image": image} for image in images]}
    if named is not None:
        spec["imagePullSecrets"] = [{"name": name} for name in named]
    pod = {"metadata": {"annotations": annotations}, "spec": spec}
    answer = handle(Review("u", operation, namespace, "", "alice", dry_run=False, object=pod))
    assert answer.allowed
    for each in answer.patch:
        assert ("add", "/spec/imagePullSecrets/-") == (each["op"], each["path"])
        assert named is not None
        named = [*named, each["value"]["name"]]
    return named


def test_ours_is_appended_behind_a_pods_own() -> None:
    assert ["theirs", "pullpass-ecr"] == appended(["theirs"])


def test_a_pod_without_any_is_its_service_accounts_affair() -> None:
    assert appended(None) is None
    assert [] == appended([])


def test_ours_is_not_repeated() -> None:
    assert ["pullpass-ecr", "theirs"] == appended(["pullpass-ecr", "theirs"])


def test_a_separate_secret_for_ecr_public_is_appended_too() -> None:
    settings = {"public_name": "ecr-public-token"}
    registries = (PRIVATE, "public.ecr.aws")
    expected = ["theirs", "pullpass-ecr", "ecr-public-token"]
    assert expected == appended(["theirs"], settings=settings, registries=registries)


def test_registries_that_are_read_off_pods_make_one_secret() -> None:
    assert ["theirs", "ours"] == appended(["theirs"], settings={"name": "ours"}, registries=())


@pytest.mark.parametrize(
    "changes",
    [
        {"namespace": "pullpass-system"},
        {"namespace": "kube-system"},
        {"settings": {"namespaces": ("other",)}},
        {"settings": {"namespace_selector": {"team": "web"}}},
        {"settings": {"append_to_pods": False}},
        {"removing": True},
        {"pull_secrets": "never"},
        {"operation": "UPDATE"},
        {"annotations": {"kubernetes.io/config.mirror": "1"}},
        {"images": ("docker.io/library/busybox",)},
        {"images": (f"{PRIVATE.replace('eu-central-1', 'us-east-1')}/app",)},
        {"images": ("public.ecr.aws/docker/library/busybox",)},
        {"images": ("public.ecr.aws/docker/library/busybox",), "registries": ()},
        {"images": ("",)},
    ],
)
def test_other_pods_are_left_alone(changes: dict[str, Any]) -> None:
    assert ["theirs"] == appended(["theirs"], **changes)


def test_another_account_of_the_same_region_is_opened_by_the_same_secret() -> None:
    images = ("999999999999.dkr.ecr.eu-central-1.amazonaws.com/app",)
    assert ["theirs", "pullpass-ecr"] == appended(["theirs"], images=images)


def test_only_the_secret_that_the_images_need_is_appended() -> None:
    settings, registries = {"public_name": "ecr-public-token"}, (PRIVATE, "public.ecr.aws")
    images = ("public.ecr.aws/docker/library/busybox",)
    expected = ["theirs", "ecr-public-token"]
    assert expected == appended(["theirs"], settings=settings, registries=registries, images=images)


def test_an_init_containers_image_counts() -> None:
    handle = handler(configuration=lambda: CONFIGURATION, carries=lambda _, __: True)
    spec = {"initContainers": [{"image": f"{PRIVATE}/app"}], "imagePullSecrets": [{"name": "theirs"}]}
    answer = handle(Review("u", "CREATE", "shop", "", "alice", dry_run=False, object={"spec": spec}))
    assert 1 == len(answer.patch)


def test_labels_of_the_namespace_select_it() -> None:
    settings = {"namespace_selector": {"team": "web"}}
    assert ["theirs", "pullpass-ecr"] == appended(["theirs"], settings=settings, labels={"team": "web"})


def test_what_the_service_account_does_does_not_matter() -> None:
    assert ["theirs", "pullpass-ecr"] == appended(["theirs"], settings={"service_accounts": "none"})


def test_without_a_configuration_pods_pass() -> None:
    handle = handler(configuration=lambda: None, carries=lambda _, __: True)
    pod = {"spec": {"imagePullSecrets": [{"name": "theirs"}]}}
    assert Answer() == handle(Review("u", "CREATE", "shop", "", "alice", dry_run=False, object=pod))


@pytest.mark.parametrize("entry", [{}, {"name": ""}])
def test_an_entry_without_a_name_does_no_harm(entry: dict[str, str]) -> None:
    handle = handler(configuration=lambda: CONFIGURATION, carries=lambda _, __: True)
    pod = {"spec": {"imagePullSecrets": [entry], "containers": [{"image": f"{PRIVATE}/app"}]}}
    answer = handle(Review("u", "CREATE", "shop", "", "alice", dry_run=False, object=pod))
    assert 1 == len(answer.patch)


@settings(deadline=None)  # other tests run beside it
@given(st.lists(st.sampled_from(["pullpass-ecr", "ecr-public-token", "a", "b"]), max_size=6))
def test_the_order_is_kept_nothing_repeated_and_a_second_review_changes_nothing(named: list[str]) -> None:
    settings = {"public_name": "ecr-public-token"}
    registries = (PRIVATE, "public.ecr.aws")
    once = appended(named, settings=settings, registries=registries)
    assert once is not None
    assert named == once[: len(named)]
    assert len(set(once)) - len(set(named)) == len(once) - len(named)
    assert once == appended(once, settings=settings, registries=registries)
