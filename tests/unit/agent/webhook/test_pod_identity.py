# ruff: noqa: ARG002 - the signatures are those of what these stand in for
"""One test per rule of the EKS pod identity webhook."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from agent.webhook.pod_identity import handler
from agent.webhook.pod_identity_accounts import AccountIdentity
from agent.webhook.review import Answer, Review
from kube.errors import Unreachable
from kube.objects import Object
from sandbox.kubernetes.patches import json_patched
from schemas.pod_identity_documents import PodIdentityConfiguration

ROLE = "arn:aws:iam::111122223333:role/s3-reader"
TOKEN_FILE = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"
MOUNT = {
    "name": "aws-iam-token",
    "readOnly": True,
    "mountPath": "/var/run/secrets/eks.amazonaws.com/serviceaccount",
}
IDENTITY = [
    {"name": "AWS_ROLE_ARN", "value": ROLE},
    {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": TOKEN_FILE},
]
REGION = [
    {"name": "AWS_DEFAULT_REGION", "value": "eu-central-1"},
    {"name": "AWS_REGION", "value": "eu-central-1"},
]
STS = [{"name": "AWS_STS_REGIONAL_ENDPOINTS", "value": "regional"}]
PLAIN = PodIdentityConfiguration(1, "c-1", "sts.amazonaws.com", None, False, 86_400)
FULL = replace(PLAIN, region="eu-central-1", regional_sts=True)
ACCOUNT = AccountIdentity(ROLE)


class Known:
    """Service accounts without a cluster."""

    def __init__(self, account: AccountIdentity | None) -> None:
        self.account = account
        self.asked: list[tuple[str, str]] = []

    def of(self, namespace: str, name: str) -> AccountIdentity | None:
        self.asked.append((namespace, name))
        return self.account


class Silent:
    def of(self, namespace: str, name: str) -> AccountIdentity | None:
        raise Unreachable("timed out")


def pod(*containers: Object, metadata: Object | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "app-"} | (metadata or {}),
        "spec": {
            "serviceAccountName": "reader",
            "containers": list(containers) or [{"name": "app", "image": "app"}],
        }
        | spec,
    }


def review(obj: Object | None, operation: str = "CREATE") -> Review:
    return Review("u-1", operation, "shop", "", "someone", dry_run=False, object=obj)


def mutated(
    obj: Object,
    *,
    account: AccountIdentity | None = ACCOUNT,
    configuration: PodIdentityConfiguration = PLAIN,
) -> Object:
    """The pod after admission; the patch must leave the one before untouched."""
    before = copy.deepcopy(obj)
    answer = handler(Known(account), configuration)(review(obj))
    assert answer.allowed
    assert before == obj
    found: Object = json_patched(obj, list(answer.patch))
    return found


def container(obj: Object, index: int = 0) -> Object:
    found: Object = obj["spec"]["containers"][index]
    return found


def token(obj: Object) -> Object:
    volume = next(volume for volume in obj["spec"]["volumes"] if volume["name"] == "aws-iam-token")
    found: Object = volume["projected"]["sources"][0]["serviceAccountToken"]
    return found


def test_a_container_gets_role_token_file_and_mount() -> None:
    app = container(mutated(pod()))
    assert {"name": "app", "image": "app", "env": IDENTITY, "volumeMounts": [MOUNT]} == app


def test_a_pod_gets_the_projected_token() -> None:
    wanted = {
        "name": "aws-iam-token",
        "projected": {
            "sources": [
                {
                    "serviceAccountToken": {
                        "audience": "sts.amazonaws.com",
                        "expirationSeconds": 86_400,
                        "path": "token",
                    }
                }
            ]
        },
    }
    assert [wanted] == mutated(pod())["spec"]["volumes"]


def test_the_token_volume_is_inserted_into_the_volumes_that_are_there() -> None:
    api_access = {"name": "kube-api-access-x", "projected": {"sources": []}}
    answer = handler(Known(ACCOUNT), PLAIN)(review(pod(volumes=[api_access])))
    assert "/spec/volumes/0" == answer.patch[0]["path"]


@pytest.mark.parametrize("empty", [[], None])
def test_lists_that_are_empty_or_null_are_made(empty: Any) -> None:
    found = mutated(pod({"name": "app", "env": empty, "volumeMounts": empty}, volumes=empty))
    assert (IDENTITY, [MOUNT], 1) == (
        container(found)["env"],
        container(found)["volumeMounts"],
        len(found["spec"]["volumes"]),
    )


def test_init_containers_are_served_too() -> None:
    found = mutated(pod(initContainers=[{"name": "init"}]))
    assert [{"name": "init", "env": IDENTITY, "volumeMounts": [MOUNT]}] == found["spec"]["initContainers"]


def test_variables_come_behind_those_that_are_there_in_the_order_of_the_contract() -> None:
    own = {"name": "COLOUR", "value": "red"}
    app = container(mutated(pod({"name": "app", "env": [own]}), configuration=FULL))
    assert [own, *STS, *REGION, *IDENTITY] == app["env"]


def test_a_service_account_without_a_role_changes_nothing() -> None:
    plain = pod()
    assert plain == mutated(plain, account=None)


def test_the_service_account_is_looked_for_in_the_namespace_of_the_request() -> None:
    known = Known(None)
    handler(known, PLAIN)(review(pod(metadata={"namespace": "elsewhere"})))
    assert [("shop", "reader")] == known.asked


@pytest.mark.parametrize("spec", [{"serviceAccountName": ""}, {"serviceAccountName": None}])
def test_a_pod_without_a_service_account_is_left_alone(spec: Object) -> None:
    known = Known(ACCOUNT)
    answer = handler(known, PLAIN)(review(pod(**spec)))
    assert (Answer(), []) == (answer, known.asked)


@pytest.mark.parametrize("value", ["", "true", "false"])
def test_a_pod_with_the_skip_label_is_left_alone(value: str) -> None:
    labelled = pod(metadata={"labels": {"eks.amazonaws.com/skip-pod-identity-webhook": value}})
    assert labelled == mutated(labelled)


@pytest.mark.parametrize("operation", ["UPDATE", "DELETE", "CONNECT"])
def test_only_creations_are_answered_with_a_patch(operation: str) -> None:
    assert Answer() == handler(Known(ACCOUNT), PLAIN)(review(pod(), operation))


def test_a_review_without_an_object_is_allowed() -> None:
    assert Answer() == handler(Known(ACCOUNT), PLAIN)(review(None))


def test_a_pod_is_admitted_with_a_warning_when_the_service_account_cannot_be_read() -> None:
    answer = handler(Silent(), PLAIN)(review(pod()))
    assert (True, (), 1) == (answer.allowed, answer.patch, len(answer.warnings))
    assert "service account reader could not be read" in answer.warnings[0]


@pytest.mark.parametrize(
    ("on_pod", "on_account", "expected"),
    [
        (None, None, 7_200),
        (None, 3_600, 3_600),
        ("1200", 3_600, 1_200),
        ("1200", None, 1_200),
        ("60", 3_600, 600),
        ("-5", 3_600, 600),
        ("100000", 3_600, 86_400),
        ("soon", 3_600, 3_600),
        ("12.5", None, 7_200),
        ("", None, 7_200),
    ],
)
def test_expiration_of_the_pod_over_the_service_account_over_the_default(
    on_pod: str | None, on_account: int | None, expected: int
) -> None:
    annotations = {} if on_pod is None else {"eks.amazonaws.com/token-expiration": on_pod}
    found = mutated(
        pod(metadata={"annotations": annotations}),
        account=replace(ACCOUNT, token_expiration_seconds=on_account),
        configuration=replace(PLAIN, token_expiration_seconds=7_200),
    )
    assert expected == token(found)["expirationSeconds"]


@pytest.mark.parametrize(("own", "expected"), [(None, "sts.amazonaws.com"), ("vault", "vault")])
def test_audience_of_the_service_account_over_the_default(own: str | None, expected: str) -> None:
    assert expected == token(mutated(pod(), account=replace(ACCOUNT, audience=own)))["audience"]


@pytest.mark.parametrize(
    ("default", "own", "expected"),
    [
        (False, None, []),
        (False, True, STS),
        (True, None, STS),
        (True, False, []),
    ],
)
def test_regional_sts_of_the_service_account_over_the_default(
    default: bool, own: bool | None, expected: list[Object]
) -> None:
    found = mutated(
        pod(),
        account=replace(ACCOUNT, regional_sts=own),
        configuration=replace(PLAIN, regional_sts=default),
    )
    assert [*expected, *IDENTITY] == container(found)["env"]


@pytest.mark.parametrize("name", ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"])
def test_either_identity_variable_keeps_both_away_and_the_mount_comes_all_the_same(name: str) -> None:
    own = {"name": name, "value": "mine"}
    app = container(mutated(pod({"name": "app", "env": [own]})))
    assert ([own], [MOUNT]) == (app["env"], app["volumeMounts"])


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_either_region_variable_keeps_both_away(name: str) -> None:
    own = {"name": name, "value": "us-east-1"}
    app = container(mutated(pod({"name": "app", "env": [own]}), configuration=FULL))
    assert [own, *STS, *IDENTITY] == app["env"]


def test_a_container_keeps_its_own_sts_switch() -> None:
    own = {"name": "AWS_STS_REGIONAL_ENDPOINTS", "value": "legacy"}
    app = container(mutated(pod({"name": "app", "env": [own]}), configuration=FULL))
    assert [own, *REGION, *IDENTITY] == app["env"]


def test_a_container_with_role_region_and_sts_is_left_alone_and_the_volume_comes_all_the_same() -> None:
    env = [
        {"name": name, "value": "mine"}
        for name in ("AWS_ROLE_ARN", "AWS_REGION", "AWS_STS_REGIONAL_ENDPOINTS")
    ]
    found = mutated(pod({"name": "app", "env": env}))
    assert ({"name": "app", "env": env}, 1) == (container(found), len(found["spec"]["volumes"]))


def test_a_variable_that_takes_its_value_from_elsewhere_counts_as_there() -> None:
    own = {"name": "AWS_ROLE_ARN", "valueFrom": {"configMapKeyRef": {"name": "roles", "key": "arn"}}}
    assert [own] == container(mutated(pod({"name": "app", "env": [own]})))["env"]


def test_a_mount_of_the_volume_is_not_touched() -> None:
    own = {"name": "aws-iam-token", "mountPath": "/aws"}
    app = container(mutated(pod({"name": "app", "volumeMounts": [own]})))
    assert ([own], IDENTITY) == (app["volumeMounts"], app["env"])


@pytest.mark.parametrize("path", [MOUNT["mountPath"], f"{MOUNT['mountPath']}/"])
def test_a_mount_at_our_path_is_not_doubled(path: str) -> None:
    own = {"name": "my-token", "mountPath": path}
    app = container(mutated(pod({"name": "app", "volumeMounts": [own]})))
    assert ([own], IDENTITY) == (app["volumeMounts"], app["env"])


def test_a_volume_by_our_name_is_not_touched() -> None:
    own = {"name": "aws-iam-token", "hostPath": {"path": "/tmp"}}
    found = mutated(pod(volumes=[own]))
    assert ([own], [MOUNT]) == (found["spec"]["volumes"], container(found)["volumeMounts"])


@pytest.mark.parametrize(
    ("text", "skipped"),
    [
        ("sidecar", {"sidecar"}),
        ("sidecar,init", {"sidecar", "init"}),
        ('"sidecar",init', {"sidecar", "init"}),
        ("sidecar, init", {"sidecar"}),
        ("\nsidecar\ninit", {"sidecar"}),
        ("app,sidecar,init,other", {"app", "sidecar", "init"}),
        ('side"car,init', set()),
        ('"sidecar', set()),
        ('"""sidecar"', set()),
        ("", set()),
    ],
)
def test_named_containers_and_init_containers_are_skipped(text: str, skipped: set[str]) -> None:
    found = mutated(
        pod(
            {"name": "app"},
            {"name": "sidecar"},
            initContainers=[{"name": "init"}],
            metadata={"annotations": {"eks.amazonaws.com/skip-containers": text}},
        )
    )
    every = [*found["spec"]["initContainers"], *found["spec"]["containers"]]
    assert skipped == {each["name"] for each in every if each == {"name": each["name"]}}


def test_the_volume_comes_even_where_every_container_is_skipped() -> None:
    found = mutated(pod(metadata={"annotations": {"eks.amazonaws.com/skip-containers": "app"}}))
    assert "sts.amazonaws.com" == token(found)["audience"]


@pytest.mark.parametrize(
    "spec",
    [
        {"nodeSelector": {"kubernetes.io/os": "windows"}},
        {"nodeSelector": {"beta.kubernetes.io/os": "windows"}},
        {"os": {"name": "windows"}},
    ],
)
def test_a_windows_pod_gets_a_windows_path(spec: Object) -> None:
    env = container(mutated(pod(**spec)))["env"]
    assert "C:\\var\\run\\secrets\\eks.amazonaws.com\\serviceaccount\\token" == env[1]["value"]


def test_a_second_review_changes_nothing() -> None:
    once = mutated(pod(initContainers=[{"name": "init"}]), configuration=FULL)
    assert () == handler(Known(ACCOUNT), FULL)(review(once)).patch


def test_fields_that_nobody_has_heard_of_survive() -> None:
    app = container(mutated(pod({"name": "app", "fieldOfTomorrow": {"a": 1}})))
    assert {"a": 1} == app["fieldOfTomorrow"]
