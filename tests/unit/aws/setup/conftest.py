"""One role with one cluster, as the hub would want it."""

from __future__ import annotations

import pytest

from aws import registry_hosts
from aws.arns import parse_role
from aws.registry_hosts import RegistryHost
from aws.setup.wanted import Permissions, TrustedCluster, Wanted
from aws.trust_policy import TrustedWorkload


def registry(host: str) -> RegistryHost:
    found = registry_hosts.parse(host)
    assert found is not None
    return found


@pytest.fixture
def demo() -> TrustedCluster:
    subjects = ("system:serviceaccount:pullpass-system:pullpass-agent",)
    return TrustedCluster(
        "uid-demo", "demo", TrustedWorkload("https://pullpass.acme.com/oidc/1", "sts.amazonaws.com", subjects)
    )


@pytest.fixture
def edge() -> TrustedCluster:
    subjects = ("system:serviceaccount:pullpass-system:pullpass-agent",)
    return TrustedCluster(
        "uid-edge", "edge", TrustedWorkload("https://pullpass.acme.com/oidc/2", "sts.amazonaws.com", subjects)
    )


@pytest.fixture
def wanted(demo: TrustedCluster) -> Wanted:
    return Wanted(
        role=parse_role("arn:aws:iam::123456789012:role/pull/fleet"),
        organisation="acme",
        trusted=(demo,),
        permissions=Permissions(registries=(registry("123456789012.dkr.ecr.eu-central-1.amazonaws.com"),)),
    )
