"""The custom resource's definition on a real API server: it is accepted, and what it refuses it refuses in our words."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from controller import custom_resource
from kube.client import Client
from kube.errors import Invalid, NotFound
from kube.objects import CUSTOM_RESOURCE_DEFINITION, ECR_PULL_SECRET, Object
from tests.cluster.conftest import eventually
from tests.support.kubernetes import RealCluster

ROLE = "arn:aws:iam::123456789012:role/pull"
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
GOOD: dict[str, Any] = {
    "secretName": "shop-ecr",
    "registries": [REGISTRY],
    "namespaces": ["shop"],
    "identity": {"webIdentity": {"roleArn": ROLE}},
}
GONE = object()


@pytest.fixture(scope="module")
def client(real_cluster: RealCluster) -> Iterator[Client]:
    """An admin of a cluster in which the definition is established; it goes with the module."""
    client = Client(real_cluster.admin())
    client.apply(custom_resource.definition())
    eventually(lambda: established(client), what="the definition is established")
    eventually(lambda: listed(client), what="the resource is served")
    yield client
    client.delete(CUSTOM_RESOURCE_DEFINITION, custom_resource.NAME)
    eventually(lambda: not listed(client), what="the resource is gone")
    client.close()


def established(client: Client) -> bool:
    found = client.get(CUSTOM_RESOURCE_DEFINITION, custom_resource.NAME)
    conditions = {
        condition["type"]: condition for condition in found.get("status", {}).get("conditions") or ()
    }
    assert "NonStructuralSchema" not in conditions, conditions
    return bool(conditions.get("Established", {}).get("status") == "True")


def listed(client: Client) -> bool:
    try:
        client.list(ECR_PULL_SECRET)
    except NotFound:
        return False
    return True


def resource(spec: dict[str, Any], name: str = "shop") -> Object:
    return {
        "apiVersion": "pullpass.dev/v1",
        "kind": "ECRPullSecret",
        "metadata": {"name": name},
        "spec": copy.deepcopy(spec),
    }


def changed(path: str, value: object) -> dict[str, Any]:
    """The good spec with one member set, or taken out."""
    spec = copy.deepcopy(GOOD)
    *way, last = path.split(".")
    place = spec
    for step in way:
        place = place.setdefault(step, {})
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return spec


@pytest.mark.parametrize(
    "spec",
    [
        GOOD,
        changed("registries", [REGISTRY, "public.ecr.aws"]),
        changed("registries", ["123456789012.dkr-ecr-fips.us-east-1.on.aws", "ecr-public.aws.com"]),
        changed("registries", ["123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"]),
        changed("registries", GONE) | {"accountId": "123456789012", "region": "eu-central-1"},
        changed("namespaces", ["*"]) | {"excludeNamespaces": ["kube-*"]},
        changed("namespaces", GONE) | {"namespaceSelector": {"matchLabels": {"team": "a"}}},
        changed("serviceAccounts", []),
        changed("serviceAccounts", ["default", "builder"]),
        changed("identity", {"instanceMetadata": {}}),
        changed("identity", {"secretKeys": {"namespace": "vault", "name": "aws"}}),
        changed("identity.assumeRoles", [{"roleArn": ROLE, "externalId": "acme:1"}, {"roleArn": ROLE}]),
        changed("suspend", True),
    ],
)
def test_what_the_reference_shows_is_accepted(client: Client, spec: dict[str, Any]) -> None:
    assert "shop-ecr" == client.apply(resource(spec), dry_run=True)["spec"]["secretName"]


def test_defaults_are_filled_in(client: Client) -> None:
    spec = changed("identity", {"secretKeys": {"namespace": "vault", "name": "aws"}})
    made = client.apply(resource(spec), dry_run=True)["spec"]
    assert ["*"] == made["serviceAccounts"]
    assert {
        "namespace": "vault",
        "name": "aws",
        "accessKeyIdKey": "AWS_ACCESS_KEY_ID",
        "secretAccessKeyKey": "AWS_SECRET_ACCESS_KEY",
        "sessionTokenKey": "AWS_SESSION_TOKEN",
    } == made["identity"]["secretKeys"]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("secretName", "Shop_ECR", 'spec.secretName: Invalid value: "string": must be the name of a secret'),
        ("registries", ["https://" + REGISTRY], "must be the host of an ECR registry without scheme or path"),
        ("registries", ["docker.io"], "must be the host of an ECR registry"),
        ("registries", GONE, "give either registries, or accountId together with region"),
        ("accountId", "123456789012", "give either registries, or accountId together with region"),
        ("accountId", "12345", "must be the 12 digits of an AWS account, in quotes"),
        ("region", "europe", "must be an AWS region, such as eu-central-1; for ECR Public give registries"),
        ("namespaces", GONE, "give namespaces, namespaceSelector or both; namespaces: ['*'] selects all"),
        ("namespaces", ["Shop"], "must be the name of a namespace, where * stands for any part of it"),
        ("namespaces", [], "spec.namespaces in body should have at least 1 items"),
        ("excludeNamespaces", ["kube_*"], "such as kube-*"),
        ("namespaceSelector", {"matchLabels": {}}, "should have at least 1 properties"),
        (
            "serviceAccounts",
            ["*", "default"],
            "* stands for every service account: give it alone, or names alone",
        ),
        ("serviceAccounts", ["build*"], "must be the name of a service account, or * for all"),
        ("identity", GONE, "spec.identity: Required value"),
        ("identity", {}, "give exactly one of webIdentity, secretKeys and instanceMetadata"),
        ("identity.instanceMetadata", {}, "give exactly one of webIdentity, secretKeys and instanceMetadata"),
        ("identity.webIdentity.roleArn", "pull", "must be the ARN of an IAM role, such as arn:aws:iam::"),
        ("identity.secretKeys", {"namespace": "a.b", "name": "aws"}, "must be the name of a namespace"),
        ("identity.secretKeys", {"namespace": "a", "name": "AWS"}, "must be the name of a secret"),
        (
            "identity.secretKeys",
            {"namespace": "a", "name": "aws", "accessKeyIdKey": "a b"},
            "must be a key of the secret's data, such as AWS_ACCESS_KEY_ID",
        ),
        ("identity.assumeRoles", [{"roleArn": "x"}], "must be the ARN of an IAM role"),
        (
            "identity.assumeRoles",
            [{"roleArn": ROLE, "externalId": "a b"}],
            "must be the external ID of the role's trust policy",
        ),
    ],
)
def test_a_mistake_is_refused_with_what_to_do(client: Client, path: str, value: object, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        client.apply(resource(changed(path, value)), dry_run=True)
    assert words in refused.value.message


def test_account_and_region_go_together(client: Client) -> None:
    spec = changed("registries", GONE) | {"region": "eu-central-1"}
    with pytest.raises(Invalid, match="accountId and region name one registry together: give both"):
        client.apply(resource(spec), dry_run=True)


def test_the_status_is_its_own_subresource_and_is_shown_by_kubectl_get(client: Client) -> None:
    made = client.apply(resource(GOOD))
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "",
        "lastTransitionTime": "2026-11-22T05:40:00Z",
        "observedGeneration": 1,
    }
    status = {
        "observedGeneration": 1,
        "identity": ROLE,
        "lastRefreshTime": "2026-11-22T05:40:00Z",
        "expirationTime": "2026-11-22T17:40:00Z",
        "namespaces": {"selected": 2, "ready": 2, "summary": "2/2"},
        "namespaceErrors": [{"namespace": "a", "code": "SecretNotOurs", "message": "m"}],
        "conditions": [condition],
    }
    try:
        said = client.apply_status({**resource({}), "status": status})
        assert status == said["status"]
        assert made["metadata"]["generation"] == said["metadata"]["generation"]
        table = client._json(
            "GET",
            ECR_PULL_SECRET.path(name="shop"),
            accept="application/json;as=Table;g=meta.k8s.io;v=v1",
        )
        cells = dict(
            zip([each["name"] for each in table["columnDefinitions"]], table["rows"][0]["cells"], strict=True)
        )
        assert {
            "Secret": "shop-ecr",
            "Namespaces": "2/2",
            "Identity": ROLE,
            "Expires": "2026-11-22T17:40:00Z",
            "Ready": "True",
        }.items() <= cells.items()
    finally:
        client.delete(ECR_PULL_SECRET, "shop")
