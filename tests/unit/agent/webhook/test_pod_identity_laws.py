"""Laws that hold for every pod."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.webhook.pod_identity import patch
from agent.webhook.pod_identity_accounts import AccountIdentity
from kube.objects import Object
from sandbox.kubernetes.patches import json_patched
from schemas.pod_identity_documents import PodIdentityConfiguration

ROLE = "arn:aws:iam::111122223333:role/s3-reader"
ADDED_NAMES = {
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
}
OUR_PATH = "/var/run/secrets/eks.amazonaws.com/serviceaccount"

variables = st.fixed_dictionaries(
    {"name": st.sampled_from([*sorted(ADDED_NAMES), "PATH", "COLOUR"]), "value": st.text(max_size=3)}
)
mounts = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["aws-iam-token", "data"]),
        "mountPath": st.sampled_from([OUR_PATH, "/data", "/tmp"]),
    }
)


def lists(members: st.SearchStrategy[Object]) -> st.SearchStrategy[list[Object] | None]:
    return st.none() | st.lists(members, max_size=4)


containers = st.fixed_dictionaries(
    {"name": st.sampled_from(["app", "sidecar", "init"]), "image": st.just("image")},
    optional={"env": lists(variables), "volumeMounts": lists(mounts), "args": st.just(["serve"])},
)
volumes = st.fixed_dictionaries(
    {"name": st.sampled_from(["aws-iam-token", "kube-api-access"]), "emptyDir": st.just({})}
)
annotations = st.fixed_dictionaries(
    {},
    optional={
        "eks.amazonaws.com/token-expiration": st.sampled_from(["60", "900", "never"]),
        "eks.amazonaws.com/skip-containers": st.text(alphabet='apsidecr,"\n ', max_size=8)
        | st.sampled_from(["app", "sidecar,init"]),
    },
)
pods = st.builds(
    lambda metadata, spec: {"metadata": metadata, "spec": spec},
    st.fixed_dictionaries({}, optional={"annotations": st.none() | annotations}),
    st.fixed_dictionaries(
        {"containers": st.lists(containers, min_size=1, max_size=3)},
        optional={
            "initContainers": lists(containers),
            "volumes": lists(volumes),
            "nodeSelector": st.just({"kubernetes.io/os": "windows"}),
        },
    ),
)
accounts = st.builds(
    AccountIdentity,
    st.just(ROLE),
    st.none() | st.just("vault"),
    st.none() | st.booleans(),
    st.none() | st.integers(600, 86_400),
)
configurations = st.builds(
    PodIdentityConfiguration,
    st.just(1),
    st.just("c-1"),
    st.just("sts.amazonaws.com"),
    st.none() | st.just("eu-central-1"),
    st.booleans(),
    st.integers(600, 86_400),
)


def admitted(pod: Object, account: AccountIdentity, configuration: PodIdentityConfiguration) -> Object:
    found: Object = json_patched(copy.deepcopy(pod), list(patch(pod, account, configuration)))
    return found


def every_container(pod: Object) -> list[Object]:
    return [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]


def without_lists(obj: Object, *names: str) -> Object:
    return {key: value for key, value in obj.items() if key not in names}


def is_subsequence(part: list[Any], whole: list[Any]) -> bool:
    rest = iter(whole)
    return all(any(each == other for other in rest) for each in part)


@given(pods, accounts, configurations)
def test_a_second_review_changes_nothing(
    pod: Object, account: AccountIdentity, configuration: PodIdentityConfiguration
) -> None:
    assert () == patch(admitted(pod, account, configuration), account, configuration)


@given(pods, accounts, configurations)
def test_everything_that_was_in_the_pod_is_still_there_in_order(
    pod: Object, account: AccountIdentity, configuration: PodIdentityConfiguration
) -> None:
    after = admitted(pod, account, configuration)
    assert pod["metadata"] == after["metadata"]
    assert without_lists(pod["spec"], "containers", "initContainers", "volumes") == without_lists(
        after["spec"], "containers", "initContainers", "volumes"
    )
    assert is_subsequence(pod["spec"].get("volumes") or [], after["spec"]["volumes"])
    assert len(every_container(pod)) == len(every_container(after))
    for old, new in zip(every_container(pod), every_container(after), strict=True):
        assert without_lists(old, "env", "volumeMounts") == without_lists(new, "env", "volumeMounts")
        for name in ("env", "volumeMounts"):
            before = old.get(name) or []
            assert before == (new.get(name) or [])[: len(before)]


@given(pods, accounts, configurations)
def test_nothing_but_the_documented_things_is_added(
    pod: Object, account: AccountIdentity, configuration: PodIdentityConfiguration
) -> None:
    after = admitted(pod, account, configuration)
    new_volumes = len(after["spec"]["volumes"]) - len(pod["spec"].get("volumes") or [])
    assert new_volumes in (0, 1)
    assert any(volume["name"] == "aws-iam-token" for volume in after["spec"]["volumes"])
    for old, new in zip(every_container(pod), every_container(after), strict=True):
        env, mounts = old.get("env") or [], old.get("volumeMounts") or []
        names = [variable["name"] for variable in (new.get("env") or [])[len(env) :]]
        assert set(names) <= ADDED_NAMES
        assert not set(names) & {variable["name"] for variable in env}
        assert len(names) == len(set(names))
        added = (new.get("volumeMounts") or [])[len(mounts) :]
        assert added in ([], [{"name": "aws-iam-token", "readOnly": True, "mountPath": OUR_PATH}])
        if added:
            assert all(mount["mountPath"] != OUR_PATH for mount in mounts)


@given(pods, accounts, configurations)
def test_identity_and_region_come_whole_or_not_at_all(
    pod: Object, account: AccountIdentity, configuration: PodIdentityConfiguration
) -> None:
    after = admitted(pod, account, configuration)
    for old, new in zip(every_container(pod), every_container(after), strict=True):
        added = {variable["name"] for variable in (new.get("env") or [])[len(old.get("env") or []) :]}
        for group in (
            {"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"},
            {"AWS_REGION", "AWS_DEFAULT_REGION"},
        ):
            assert added & group in (set(), group)
