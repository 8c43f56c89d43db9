"""Where pull secrets stand, what they open, and how they go again: `settings.awsECR.pullSecret` on a real API server."""

from __future__ import annotations

import pytest

from kube.objects import SECRET, SERVICE_ACCOUNT, Object
from sandbox.aws.iam import PULL_ACTIONS
from tests.cluster.conftest import REGION, REGISTRY, Stage, eventually, trusting
from tests.cluster.pull_secrets import (
    SYSTEM,
    auths,
    events,
    leader,
    marks,
    metric,
    opens,
    references,
    report,
    settled,
    where,
)

PUBLIC = "public.ecr.aws"
PUBLIC_ACTIONS = ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"]
NAMESPACES = ["shop", "bank", "school", "other"]


@pytest.fixture(scope="module", autouse=True)
def ready(stage: Stage) -> None:
    """Namespaces of several teams; the role may open ECR Public, too."""
    trusting(stage.world, allow=[*PULL_ACTIONS, *PUBLIC_ACTIONS])
    for name in NAMESPACES:
        stage.make_namespace(name, team="apps" if name in {"shop", "bank"} else "learning")
    stage.client.apply(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "builder", "namespace": "shop"},
            "imagePullSecrets": [{"name": "other-registry"}],
        }
    )
    stage.begin(pullSecret={"namespaces": ["shop"]})


def eventually_where(stage: Stage, name: str, expected: set[str]) -> None:
    eventually(
        lambda: where(stage, name) == expected,
        what=f"{name} in {expected}",
        explain=lambda: f"{where(stage, name)}\n{stage.logs()}",
    )


def eventually_refers(
    stage: Stage, expected: list[str], namespace: str = "shop", account: str = "default"
) -> None:
    eventually(
        lambda: references(stage, namespace, account) == expected,
        what=f"{namespace}/{account} refers to {expected}",
        explain=lambda: f"{references(stage, namespace, account)}\n{stage.logs()}",
    )


def test_named_namespaces_and_no_others_have_it(stage: Stage) -> None:
    eventually_where(stage, "pullpass-ecr", {"shop"})
    eventually_refers(stage, ["pullpass-ecr"])


def test_every_service_account_refers_to_it_beside_its_own(stage: Stage) -> None:
    eventually_refers(stage, ["other-registry", "pullpass-ecr"], account="builder")
    assert {"pullpass.dev/image-pull-secret": "pullpass-ecr"} == marks(stage, "shop", "builder")


def test_labels_and_exclusions_narrow(stage: Stage) -> None:
    stage.wish(pullSecret={"namespaceSelector": {"team": "apps"}, "excludeNamespaces": ["b*"]})
    eventually_where(stage, "pullpass-ecr", {"shop"})
    stage.kubectl.merge("v1", "Namespace", "school", {"metadata": {"labels": {"team": "apps"}}})
    eventually_where(stage, "pullpass-ecr", {"shop", "school"})


def test_a_namespace_that_is_deselected_is_left_as_if_nothing_had_been(stage: Stage) -> None:
    stage.kubectl.merge("v1", "Namespace", "school", {"metadata": {"labels": {"team": "learning"}}})
    eventually_where(stage, "pullpass-ecr", {"shop"})
    eventually_refers(stage, [], "school")
    assert {} == marks(stage, "school")


def test_the_default_account_alone_refers_to_it(stage: Stage) -> None:
    stage.wish(pullSecret={"namespaces": ["shop"], "serviceAccounts": "default"})
    eventually_refers(stage, ["other-registry"], account="builder")
    eventually_refers(stage, ["pullpass-ecr"])
    assert {} == marks(stage, "shop", "builder")


def test_named_accounts_alone_refer_to_it(stage: Stage) -> None:
    stage.wish(pullSecret={"namespaces": ["shop"], "serviceAccounts": ["builder"]})
    eventually_refers(stage, ["other-registry", "pullpass-ecr"], account="builder")
    eventually_refers(stage, [])


def test_no_account_refers_to_it(stage: Stage) -> None:
    stage.wish(pullSecret={"namespaces": ["shop"], "serviceAccounts": "none"})
    eventually_refers(stage, ["other-registry"], account="builder")
    assert {"shop"} == where(stage, "pullpass-ecr")


def test_another_name_takes_the_place_of_the_first(stage: Stage) -> None:
    stage.wish(pullSecret={"namespaces": ["shop", "bank"], "name": "team-registry"})
    eventually_where(stage, "team-registry", {"shop", "bank"})
    eventually_where(stage, "pullpass-ecr", set())
    eventually_refers(stage, ["other-registry", "team-registry"], account="builder")


def test_a_narrow_name_again_leaves_nothing_by_the_wide_one(stage: Stage) -> None:
    stage.wish(pullSecret={"namespaces": ["shop"]})
    eventually_where(stage, "pullpass-ecr", {"shop"})
    eventually_where(stage, "team-registry", set())
    eventually_refers(stage, ["other-registry", "pullpass-ecr"], account="builder")
    eventually(
        lambda: (
            stage.kubectl.find(
                "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "pullpass-agent-wide-secrets"
            )
            is None
        ),
        what="the right to write secrets of any name is given back",
        explain=stage.logs,
    )


def test_ecr_public_stands_in_the_same_secret(stage: Stage) -> None:
    stage.wish(registries=[REGISTRY, PUBLIC], pullSecret={"namespaces": ["shop"]})
    eventually(
        lambda: opens(stage, "shop", "pullpass-ecr", PUBLIC), what="ECR Public opens", explain=stage.logs
    )
    secret = stage.client.get(SECRET, "pullpass-ecr", namespace="shop")
    assert {REGISTRY, PUBLIC} <= set(auths(secret))


def test_ecr_public_stands_in_a_secret_of_its_own(stage: Stage) -> None:
    stage.wish(
        registries=[REGISTRY, PUBLIC],
        pullSecret={"namespaces": ["shop", "bank"], "publicName": "ecr-public-token"},
    )
    eventually_where(stage, "ecr-public-token", {"shop", "bank"})
    eventually(
        lambda: not opens(stage, "shop", "pullpass-ecr", PUBLIC), what="not in the other", explain=stage.logs
    )
    public = auths(stage.client.get(SECRET, "ecr-public-token", namespace="shop"))
    assert REGISTRY not in public
    assert PUBLIC in public
    eventually_refers(stage, ["pullpass-ecr", "ecr-public-token"], "bank")


def test_ecr_public_alone_carries_the_helpers_list_over(stage: Stage) -> None:
    """`TARGET_NAMESPACES="shop bank school"` of the ECR Public helper, one to one."""
    stage.wish(
        registries=[PUBLIC],
        pullSecret={"namespaces": ["shop", "bank", "school"], "name": "ecr-public-token"},
    )
    eventually_where(stage, "ecr-public-token", {"shop", "bank", "school"})
    eventually(
        lambda: opens(stage, "school", "ecr-public-token", PUBLIC), what="it opens", explain=stage.logs
    )


def test_one_call_of_aws_serves_every_namespace(stage: Stage) -> None:
    """Those that are there, with the proof that a change of settings asks for; and for those that come, none."""
    before = stage.world.aws.calls["GetAuthorizationToken"]
    stage.wish(pullSecret={})
    eventually_where(stage, "pullpass-ecr", {"default", *NAMESPACES})
    settled(stage)
    asked = stage.world.aws.calls["GetAuthorizationToken"]
    assert asked - before <= 2
    later = {f"later-{number}" for number in range(5)}
    for name in later:
        stage.make_namespace(name)
    eventually_where(stage, "pullpass-ecr", {"default", *NAMESPACES, *later})
    assert asked == stage.world.aws.calls["GetAuthorizationToken"]


def test_a_secret_by_the_name_that_is_not_ours_stays_and_is_named(stage: Stage) -> None:
    foreign: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "team-registry", "namespace": "shop"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": '{"auths":{}}'},
    }
    stage.client.create(foreign)
    stage.wish(pullSecret={"namespaces": ["shop", "bank"], "name": "team-registry"})
    stage.wait_for_issue("SecretNotOurs")
    eventually_where(stage, "team-registry", {"bank", "shop"})
    assert {} == auths(stage.client.get(SECRET, "team-registry", namespace="shop"))


def test_the_namespace_hears_why_in_an_event(stage: Stage) -> None:
    eventually(
        lambda: "SecretNotOurs" in events(stage, "default", "shop") | events(stage, "shop", "team-registry"),
        what="an event",
        explain=stage.logs,
    )


def test_deleting_it_is_the_remedy(stage: Stage) -> None:
    stage.client.delete(SECRET, "team-registry", namespace="shop")
    eventually(
        lambda: opens(stage, "shop", "team-registry", REGISTRY), what="ours instead", explain=stage.logs
    )
    eventually(lambda: "SecretNotOurs" not in stage.issues(), what="no issue", explain=stage.logs)


def test_metrics_tell_refreshes_calls_and_time_left(stage: Stage) -> None:
    pod = eventually(lambda: leader(stage), what="a leader")
    text = pod.health("/metrics")
    assert metric(text, "pullpass_agent_aws_calls_total") >= 2
    left = metric(text, "pullpass_agent_secret_expiry_seconds", namespace="shop", name="team-registry")
    assert 3600 < left <= 12 * 3600, text


def test_health_is_served(stage: Stage) -> None:
    eventually(lambda: all(pod.ready for pod in stage.kubelet.pods), what="both ready", explain=stage.logs)
    assert [True, True] == [bool(pod.health("/healthz")) for pod in stage.kubelet.pods]


def test_the_hub_sums_it_up(stage: Stage) -> None:
    said = eventually(
        lambda: next((one for one in (report(stage),) if one.namespaces_ready == 2), None),
        what="both namespaces are reported",
        explain=lambda: report(stage),
    )
    assert 2 == said.namespaces_selected
    assert {REGION} == {credential.region for credential in said.credentials}
    details = stage.show()["status"]["addOns"]["awsECR"]
    assert details["credentials"]["expiresAt"], details


def test_turned_off_everything_of_ours_goes_and_nothing_else(stage: Stage) -> None:
    stage.client.apply(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "plain", "namespace": "bank", "annotations": {"kept": "yes"}},
        }
    )
    eventually_refers(stage, ["team-registry"], "bank", "plain")
    stage.patch({"spec": {"addOns": {"awsECR": None}}})
    stage.wait_for_state("Disabled")
    eventually_where(stage, "team-registry", set())
    for namespace, account, expected in (
        ("shop", "builder", ["other-registry"]),
        ("bank", "plain", []),
        ("shop", "default", []),
    ):
        assert expected == references(stage, namespace, account)
        assert {} == marks(stage, namespace, account)
    plain = stage.client.get(SERVICE_ACCOUNT, "plain", namespace="bank")["metadata"]
    assert {"kept": "yes"} == plain["annotations"]
    eventually(lambda: stage.exists(SECRET, "pullpass-credentials", SYSTEM) is None, what="no credentials")
