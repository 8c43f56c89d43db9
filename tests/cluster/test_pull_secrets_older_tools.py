"""The older tools' users change nothing: their manifests, written as those tools document them, are applied as they are.

The steps are those of docs/how-to/migrate.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube.objects import SECRET, Object
from sandbox.aws.iam import PULL_ACTIONS
from tests.cluster.conftest import ACCOUNT, REGISTRY, Stage, eventually, trusting
from tests.cluster.pull_secrets import (
    auths,
    opens,
    references,
    refused,
    where,
)

MANIFESTS = Path(__file__).parent / "older_tools"
PAGES = Path(__file__).parents[2] / "docs/how-to/migrate"
PUBLIC = "public.ecr.aws"
PUBLIC_ACTIONS = ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"]
USER = f"arn:aws:iam::{ACCOUNT}:user/ecr-creds-refresher"
NAMESPACES = ("prometheus", "my-app", "analytics", "billing", "operators")


@pytest.fixture(scope="module", autouse=True)
def ready(stage: Stage) -> None:
    trusting(stage.world, allow=[*PULL_ACTIONS, *PUBLIC_ACTIONS])
    for name in NAMESPACES:
        stage.make_namespace(name)
    stage.begin(pullSecret={"excludeNamespaces": ["*"]})


def settings(page: str) -> dict[str, Any]:
    """`settings.awsECR` as a migration page has it."""
    blocks = re.findall(r"^ *```yaml\n(.*?)^ *```$", (PAGES / page).read_text(), re.MULTILINE | re.DOTALL)
    found = [yaml.safe_load(textwrap.dedent(block)) for block in blocks]
    return dict(next(one["settings"]["awsECR"] for one in found if "settings" in one))


def manifests(name: str) -> list[Object]:
    return [obj for obj in yaml.safe_load_all((MANIFESTS / name).read_text()) if obj]


def left_behind(name: str, namespace: str) -> Object:
    """A secret that an older tool made."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": '{"auths":{}}'},
    }


def test_the_public_helpers_list_of_namespaces_carries_over(stage: Stage) -> None:
    stage.kubectl.apply(MANIFESTS / "ecr-public-credentials-helper.yaml")
    helper = next(obj for obj in manifests("ecr-public-credentials-helper.yaml") if obj["kind"] == "CronJob")
    container = helper["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    targets = container["env"][0]["value"].split(" ")
    wishes = settings("ecr-public-helper.md")
    assert targets == wishes["pullSecret"]["namespaces"]
    stage.wish(**wishes)
    eventually(
        lambda: where(stage, "ecr-public-token") == {"default", "prometheus", "my-app"},
        what="its namespaces",
        explain=stage.logs,
    )
    eventually(
        lambda: opens(stage, "my-app", "ecr-public-token", PUBLIC), what="it opens", explain=stage.logs
    )
    assert {PUBLIC} <= set(auths(stage.client.get(SECRET, "ecr-public-token", namespace="my-app")))
    assert [] == references(stage, "my-app")


def test_a_secret_that_the_public_helper_left_is_named_with_its_remedy(stage: Stage) -> None:
    stage.wish(pullSecret={"excludeNamespaces": ["*"]})
    eventually(lambda: where(stage, "ecr-public-token") == set(), what="none", explain=stage.logs)
    stage.client.create(left_behind("ecr-public-token", "prometheus"))
    stage.wish(
        registries=[PUBLIC],
        pullSecret={"name": "ecr-public-token", "namespaces": ["default", "prometheus", "my-app"]},
    )
    stage.wait_for_issue("SecretNotOurs")
    issues = stage.show()["status"]["addOns"]["awsECR"]["issues"]
    remedy = next(issue["remedy"] for issue in issues if issue["code"] == "SecretNotOurs")
    assert "prometheus" in remedy
    assert "ecr-public-token" in remedy
    stage.client.delete(SECRET, "ecr-public-token", namespace="prometheus")
    eventually(
        lambda: opens(stage, "prometheus", "ecr-public-token", PUBLIC), what="ours", explain=stage.logs
    )


def test_ecr_anywheres_secrets_are_admitted_and_filled(stage: Stage) -> None:
    stage.wish(**settings("ecr-anywhere.md"))

    def applied() -> bool:
        return not refused(lambda: stage.kubectl.apply(MANIFESTS / "ecr-anywhere.yaml"))

    eventually(applied, what="its manifests are taken", explain=stage.logs)
    eventually(lambda: opens(stage, "models", "ecr-secret", REGISTRY), what="it opens", explain=stage.logs)


def test_ecr_anywheres_promise_is_kept(stage: Stage) -> None:
    """A labelled secret cannot exist without credentials."""
    secret = next(obj for obj in manifests("ecr-anywhere.yaml") if obj["kind"] == "Secret")
    secret["metadata"]["name"] = "another"
    stage.services.broken.set()
    stage.services.cut()
    try:
        assert refused(lambda: stage.kubectl.create(secret))
        assert None is stage.exists(SECRET, "another", "models")
    finally:
        stage.services.broken.clear()


def test_setting_ecr_anywheres_mark_fills_it_anew(stage: Stage) -> None:
    """Its CronJob sets an annotation; whoever does so still gets a filled secret."""
    body = {
        "metadata": {"annotations": {"ecr-anywhere.centml.ai/marked_for_update_at": "2026-11-22T05:40:00Z"}}
    }
    changed = stage.kubectl.merge("v1", "Secret", "ecr-secret", body, namespace="models")
    assert REGISTRY in auths(changed)


def test_without_the_older_operators_crd_it_is_missed(stage: Stage) -> None:
    stage.wish(**settings("ecr-creds-refresher.md"))
    stage.wait_for_issue("AdoptedResourceMissing")


def test_the_older_operators_objects_are_honoured_as_they_stand(stage: Stage) -> None:
    """In `analytics` it left its secret, and its reference in both: only what Pullpass put there will it take away."""
    stage.kubectl.apply(MANIFESTS / "ecr-creds-refresher.yaml")
    for name in ("analytics", "billing"):
        body = {"imagePullSecrets": [{"name": "ecr-pull-secret"}]}
        stage.kubectl.merge("v1", "ServiceAccount", "default", body, namespace=name)
    stage.client.create(left_behind("ecr-pull-secret", "analytics"))
    stage.world.aws.create_user(USER)
    pair = stage.world.aws.create_access_key(USER)
    stage.kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "aws-credentials", "namespace": "operators"},
            "stringData": {
                "AWS_ACCESS_KEY_ID": pair.access_key_id,
                "AWS_SECRET_ACCESS_KEY": pair.secret_access_key,
            },
        }
    )

    def applied() -> bool:
        return not refused(lambda: stage.kubectl.apply(MANIFESTS / "ecr-creds-refresher-objects.yaml"))

    eventually(applied, what="the API server serves the CRD")
    stage.wait_for_issue("SecretNotOurs")
    stage.wait_for_state("Degraded")
    stage.client.delete(SECRET, "ecr-pull-secret", namespace="analytics")
    stage.kubectl.merge("v1", "ServiceAccount", "default", {"imagePullSecrets": None}, namespace="analytics")
    eventually(
        lambda: where(stage, "ecr-pull-secret") == {"analytics", "billing"},
        what="its namespaces",
        explain=stage.logs,
    )
    for name in ("analytics", "billing"):
        eventually(
            lambda name=name: references(stage, name) == ["ecr-pull-secret"],  # type: ignore[misc]
            what="its default account",
            explain=stage.logs,
        )
        assert opens(stage, name, "ecr-pull-secret", REGISTRY)
    eventually(lambda: "SecretNotOurs" not in stage.issues(), what="no issue", explain=stage.show)


def test_it_is_never_written_to(stage: Stage) -> None:
    found = stage.kubectl.get("alchemy.com/v1alpha1", "ECRPullSecret", "team-pull-secret")
    assert 1 == found["metadata"]["generation"]
    assert {"kubectl"} == {entry["manager"] for entry in found["metadata"]["managedFields"]}


def test_deleted_its_secrets_go_which_the_older_operator_only_logged(stage: Stage) -> None:
    stage.kubectl.delete("alchemy.com/v1alpha1", "ECRPullSecret", "team-pull-secret")
    eventually(lambda: where(stage, "ecr-pull-secret") == set(), what="they go", explain=stage.logs)
    eventually(lambda: references(stage, "analytics") == [], what="the reference goes", explain=stage.logs)
    assert ["ecr-pull-secret"] == references(stage, "billing")  # the operator's, not ours
