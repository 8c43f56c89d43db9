from __future__ import annotations

import json
from typing import Any

import pytest

from agent.node import preflight
from agent.node.configuration import Configuration, parse
from agent.node.provider import environment, image_to_verify, provider, session_name
from tests.unit.agent.node.conftest import CONFIGURATION


def wanted(**changes: Any) -> Configuration:
    return parse(json.dumps({**CONFIGURATION, **changes}))


def test_the_shared_identity_is_the_role_with_our_token() -> None:
    assert {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/pull",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/lib/pullpass/token",
        "AWS_ROLE_SESSION_NAME": "pullpass-acme-berlin",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "eu-central-1",
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
    } == environment(wanted())


def test_the_instance_role_keeps_the_instance_metadata() -> None:
    found = environment(wanted(roleArn=None))
    assert {"AWS_REGION": "eu-central-1", "AWS_STS_REGIONAL_ENDPOINTS": "regional"} == found


def test_a_workloads_identity_never_falls_back_to_a_role_of_ours() -> None:
    found = provider(wanted(identity="serviceAccount"))
    assert {"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"} & {one["name"] for one in found["env"]} == set()
    assert ["eks.amazonaws.com/ecr-role-arn"] == found["tokenAttributes"][
        "requiredServiceAccountAnnotationKeys"
    ]


def test_proxy_authorities_and_endpoints_reach_the_plugin() -> None:
    aws = {
        "stsEndpoint": "https://sts.local",
        "ecrEndpoint": "https://ecr.local",
        "registryEndpoint": None,
        "httpsProxy": "http://proxy:3128",
        "noProxy": "10.0.0.0/8",
        "caBundle": "PEM",
    }
    found = environment(wanted(aws=aws))
    assert (
        "https://sts.local",
        "https://ecr.local",
        "http://proxy:3128",
        "10.0.0.0/8",
        "/var/lib/pullpass/ca-bundle.pem",
    ) == (
        found["AWS_ENDPOINT_URL_STS"],
        found["AWS_ENDPOINT_URL_ECR"],
        found["HTTPS_PROXY"],
        found["NO_PROXY"],
        found["AWS_CA_BUNDLE"],
    )


@pytest.mark.parametrize("identity", ["shared", "serviceAccount"])
def test_a_kubelet_takes_what_we_write(identity: str) -> None:
    content = {"apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig"}
    found = preflight._document(
        {**content, "providers": [provider(wanted(identity=identity))]}, tokens_allowed=True
    )
    assert [] == found


@pytest.mark.parametrize(
    ("role", "region", "host"),
    [
        ("arn:aws:iam::123456789012:role/pull", None, "123456789012.dkr.ecr.us-east-1.amazonaws.com"),
        (
            "arn:aws-cn:iam::123456789012:role/pull",
            "cn-north-1",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
        ),
        (
            "arn:aws-eusc:iam::123456789012:role/pull",
            None,
            "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
        ),
    ],
)
def test_the_registry_to_ask_is_the_roles_own(role: str, region: str | None, host: str) -> None:
    assert f"{host}/pullpass-verification" == image_to_verify(wanted(roleArn=role, region=region))


def test_a_named_image_says_the_region_too() -> None:
    image = "123456789012.dkr.ecr.eu-west-2.amazonaws.com/app:1"
    found = wanted(verifyImage=image, region=None)
    assert (image, "eu-west-2") == (image_to_verify(found), environment(found)["AWS_REGION"])


def test_without_role_and_image_nothing_is_asked() -> None:
    assert image_to_verify(wanted(roleArn=None)) is None


def test_a_session_name_is_one_that_sts_takes() -> None:
    name = session_name(wanted(cluster={"uid": "1", "organisation": "a b", "name": "x" * 80}))
    assert (64, "pullpass-a-b-xxx") == (len(name), name[:16])
