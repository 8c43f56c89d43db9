"""What AWS must hold: statements with names of their own, providers, permissions, the other side."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from aws import registry_hosts
from aws.arns import RoleArn
from aws.setup.wanted import Permissions, PermissionsKind, TrustedCluster, Wanted, is_sid, sid_of
from aws.trust_policy import ACCOUNT_PLACEHOLDER, trust_policy


def test_a_clusters_statement_is_the_hubs_with_a_name(wanted: Wanted, demo: TrustedCluster) -> None:
    statement = dict(wanted.statements[0])
    assert demo.sid == statement.pop("Sid")
    assert trust_policy(str(wanted.role), [demo.workload])["Statement"] == [statement]


def test_a_statements_name_is_letters_and_digits_and_stays_when_the_issuer_changes(
    demo: TrustedCluster,
) -> None:
    moved = replace(demo, workload=replace(demo.workload, issuer="https://other.acme.com"))
    assert demo.sid == moved.sid
    assert re.fullmatch("[A-Za-z0-9]{16}", demo.sid)
    assert is_sid(demo.sid)


@pytest.mark.parametrize(
    "sid", [None, "", "Pullpass", "PullpassNobody", "Pullpass1234567", "Pullpass12345678x", 3]
)
def test_other_names_are_not_of_our_form(sid: object) -> None:
    assert not is_sid(sid)


def test_clusters_of_one_issuer_share_a_provider_with_every_audience(
    wanted: Wanted, demo: TrustedCluster
) -> None:
    other = TrustedCluster("uid-2", "b", replace(demo.workload, audience="other"))
    both = replace(wanted, trusted=(demo, other))
    assert [("https://pullpass.acme.com/oidc/1", ("other", "sts.amazonaws.com"))] == [
        (provider.url, provider.audiences) for provider in both.providers
    ]
    assert {sid_of("uid-demo"), sid_of("uid-2")} == {statement["Sid"] for statement in both.statements}


def test_before_there_is_an_account_its_place_is_kept(wanted: Wanted) -> None:
    template = replace(wanted, role=RoleArn("aws-cn", ACCOUNT_PLACEHOLDER, "/", "pull"))
    principal = template.statements[0]["Principal"]["Federated"]
    assert "arn:aws-cn:iam::${AWS_ACCOUNT_ID}:oidc-provider/pullpass.acme.com/oidc/1" == principal


def test_permissions_are_our_policy_or_the_managed_one(wanted: Wanted) -> None:
    managed = replace(wanted, permissions=Permissions(kind=PermissionsKind.PULL_ONLY))
    assert wanted.inline_policy is not None
    assert (None, None) == (wanted.managed_policy_arn, managed.inline_policy)
    assert "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly" == managed.managed_policy_arn


def test_the_owner_of_a_registry_elsewhere_has_to_allow_the_role(wanted: Wanted) -> None:
    hosts = [
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
        "210987654321.dkr.ecr.us-east-1.amazonaws.com",
        "public.ecr.aws",
    ]
    registries = tuple(found for host in hosts if (found := registry_hosts.parse(host)) is not None)
    permissions = Permissions(registries=registries, repositories=("team/*",))
    (side,) = replace(wanted, permissions=permissions).other_sides
    statement = side.registry_policy["Statement"][0]
    assert ("210987654321", "us-east-1") == (side.account, side.region)
    assert {"AWS": "arn:aws:iam::123456789012:role/pull/fleet"} == statement["Principal"]
    assert "arn:aws:ecr:us-east-1:210987654321:repository/team/*" == statement["Resource"]
    assert "Resource" not in side.repository_policy["Statement"][0]
