"""`pullpass aws` where clusters share a role, and for nodes on EC2: the real API, and moto's AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.hub import CONNECTION, ROLE_ARN, manifest, status
from tests.support.moto_account import Clients, empty_account
from tests.unit.cli.served import Shell

NAME = ROLE_ARN.rpartition("/")[2]
REGION = "eu-central-1"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"
EC2 = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    """The role's."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    with empty_account() as clients:
        yield clients


@pytest.fixture
def aws(account: Clients) -> Any:
    """Its IAM."""
    return account.of("iam")


def put(shell: Shell, name: str, issuer: str | None) -> None:
    answer = shell.hub.put(manifest(name))
    assert answer.status_code == 201, answer.text
    if issuer is not None:
        shell.hub.report(name, status(issuer))


def trusted(iam: Any) -> list[str]:
    found = iam.get_role(RoleName=NAME)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    return [statement["Principal"].get("Federated", "").rpartition("/")[2] for statement in found]


def set_up(shell: Shell, name: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(shell.fine("aws", "setup", name, "--yes", "-o", "json"))
    return shown


def test_clusters_that_share_a_role_are_trusted_by_one_policy(shell: Shell, aws: Any) -> None:
    put(shell, "cluster-a", "https://oidc.acme.com/a")
    put(shell, "cluster-b", "https://oidc.acme.com/b")
    put(shell, "unknown", None)
    set_up(shell, "cluster-a")
    assert ["a", "b"] == trusted(aws)
    assert [] == set_up(shell, "cluster-b")["steps"]


def test_what_was_mended_is_looked_at_without_waiting(shell: Shell, aws: Any) -> None:
    shell.hub.put(manifest("cluster-a"))
    shell.hub.call("PUT", "/org/acme/mk8s/cluster-a/-connection", json=CONNECTION)
    seen = shell.hub.stored("cluster-a").generation
    shell.hub.report("cluster-a", replace(status("https://oidc.acme.com/a"), observed_generation=seen))
    asked = []
    for _ in range(2):
        set_up(shell, "cluster-a")
        events = shell.fine("clusters", "events", "cluster-a", "-o", "name").splitlines()
        asked.append(events.count("LookRequested"))
    assert [1, 1] == asked


def test_a_cluster_that_joins_is_added_beside_those_of_others(shell: Shell, aws: Any) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": [EC2]})
    aws.create_role(RoleName=NAME, AssumeRolePolicyDocument=trust)
    put(shell, "cluster-a", "https://oidc.acme.com/a")
    set_up(shell, "cluster-a")
    put(shell, "cluster-b", "https://oidc.acme.com/b")
    set_up(shell, "cluster-b")
    assert ["", "a", "b"] == trusted(aws)


def test_what_the_others_need_stays_when_one_is_taken_down(shell: Shell, aws: Any) -> None:
    put(shell, "cluster-a", "https://oidc.acme.com/a")
    put(shell, "cluster-b", "https://oidc.acme.com/b")
    set_up(shell, "cluster-a")
    shell.fine("aws", "teardown", "cluster-a", "--yes")
    assert ["b"] == trusted(aws)
    assert ["pullpass-pull"] == aws.list_role_policies(RoleName=NAME)["PolicyNames"]
    assert 1 == shell.pullpass("aws", "status", "cluster-b").exit_code  # the hub still wants it trusted
    shell.fine("addons", "disable", "cluster-a", "awsECR")
    assert 0 == shell.pullpass("aws", "status", "cluster-b").exit_code


def test_a_cluster_that_changes_its_issuer_keeps_one_statement(shell: Shell, aws: Any) -> None:
    put(shell, "cluster-a", "https://oidc.acme.com/old")
    set_up(shell, "cluster-a")
    shell.hub.report("cluster-a", status("https://oidc.acme.com/new"))
    set_up(shell, "cluster-a")
    assert ["new"] == trusted(aws)


def on_aws(shell: Shell) -> None:
    provider = {
        "region": REGION,
        "deployRoleArn": "arn:aws:iam::123456789012:role/deploy",
        "vpcId": "vpc-1",
        "image": {"recommended": "amazon/al2023"},
        "nodePools": [],
    }
    add_ons: dict[str, Any] = {"awsWorkloadIdentity": {}, "awsECR": {}}
    shell.hub.put(manifest(provider={"aws": provider}, addOns=add_ons))


def test_node_roles_get_the_documented_policy_once(shell: Shell, account: Clients, aws: Any) -> None:
    on_aws(shell)
    role = aws.create_role(RoleName="nodes", AssumeRolePolicyDocument=json.dumps({"Statement": EC2}))["Role"][
        "Arn"
    ]
    eks = account.of("eks")
    eks.create_cluster(name="demo", roleArn=role, resourcesVpcConfig={})
    eks.create_nodegroup(clusterName="demo", nodegroupName="g", nodeRole=role, subnets=["subnet-1"])
    said = shell.fine("aws", "attach-node-role", "demo", "--yes")
    assert f"aws iam attach-role-policy --role-name nodes --policy-arn {READ_ONLY}" in said
    attached = aws.list_attached_role_policies(RoleName="nodes")["AttachedPolicies"]
    assert [READ_ONLY] == [policy["PolicyArn"] for policy in attached]
    assert [] == json.loads(shell.fine("aws", "attach-node-role", "demo", "--yes", "-o", "json"))["steps"]


def test_a_cluster_without_nodes_in_aws_says_how_to_name_it(shell: Shell, account: Clients) -> None:
    on_aws(shell)
    eks = account.of("eks")
    eks.create_cluster(name="demo", roleArn="arn:aws:iam::123456789012:role/r", resourcesVpcConfig={})
    result = shell.pullpass("aws", "attach-node-role", "demo", "--yes")
    assert (1, True) == (result.exit_code, "--eks-name" in result.output)
