from dataclasses import replace

import pytest

from agent.secrets.verification import endpoints_of, session_name
from aws.credentials import AwsEndpoints
from schemas.agent_documents import AgentConfiguration
from schemas.connection import AwsAccess

CONFIGURATION = AgentConfiguration(
    generation=1,
    cluster_uid="0d9f3c1e-77aa-4b2e-9c1d-1f6a1b2c3d4e",
    organisation="acme",
    cluster="demo",
    removing=False,
    role_arn="arn:aws:iam::111122223333:role/pull",
    audience="sts.amazonaws.com",
    region=None,
    registries=(),
)


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        ("demo", "pullpass-demo-0d9f3c1e"),
        ("a b/c", "pullpass-a-b-c-0d9f3c1e"),
        ("größe", "pullpass-gr--e-0d9f3c1e"),
        ("x" * 200, f"pullpass-{'x' * 40}-0d9f3c1e"),
    ],
)
def test_the_session_is_named_for_the_cluster_within_the_limits_of_sts(cluster: str, expected: str) -> None:
    name = session_name(replace(CONFIGURATION, cluster=cluster))
    assert expected == name
    assert len(name) <= 64


def test_every_setting_of_the_way_to_aws_is_passed_on() -> None:
    access = AwsAccess(
        sts_endpoint="https://sts",
        ecr_endpoint="https://ecr",
        ecr_public_endpoint="https://ecr-public",
        registry_endpoint="https://registry",
        metadata_endpoint="https://metadata",
        https_proxy="http://proxy",
        no_proxy="local",
        ca_bundle="PEM",
    )
    expected = AwsEndpoints(
        sts="https://sts",
        ecr="https://ecr",
        ecr_public="https://ecr-public",
        registry="https://registry",
        metadata="https://metadata",
        https_proxy="http://proxy",
        no_proxy="local",
        ca_bundle="PEM",
    )
    assert expected == endpoints_of(access)
