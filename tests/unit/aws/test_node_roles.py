"""Finding the roles of a cluster's nodes, against moto: node groups, Auto Scaling groups, instances."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from aws import iam, node_roles
from aws.setup.node_roles import NodeRole, command, plan
from aws.setup.steps import AttachPolicy
from aws.user_session import UserSession, open_session
from tests.support.moto_account import empty_account

REGION = "eu-central-1"
TRUST = json.dumps(
    {
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    }
)
READ_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"
PULL_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[UserSession]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with empty_account():
        yield open_session(region=REGION)


def role(session: UserSession, name: str) -> str:
    arn: str = session.iam().create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    return arn


def profile(session: UserSession, name: str) -> str:
    role(session, name)
    client = session.iam()
    made = client.create_instance_profile(InstanceProfileName=f"{name}-profile")["InstanceProfile"]
    client.add_role_to_instance_profile(InstanceProfileName=f"{name}-profile", RoleName=name)
    return made["Arn"]


def eks(session: UserSession, *groups: tuple[str, str]) -> None:
    client = session.eks(REGION)
    client.create_cluster(name="demo", roleArn=role(session, "cluster"), resourcesVpcConfig={})
    for group, node_role in groups:
        client.create_nodegroup(
            clusterName="demo", nodegroupName=group, nodeRole=node_role, subnets=["subnet-1"]
        )


def group(session: UserSession, **launch: Any) -> None:
    session.autoscaling(REGION).create_auto_scaling_group(
        AutoScalingGroupName="workers",
        MinSize=0,
        MaxSize=0,
        AvailabilityZones=[f"{REGION}a"],
        Tags=[{"Key": "kubernetes.io/cluster/demo", "Value": "owned", "PropagateAtLaunch": True}],
        **launch,
    )


def template(session: UserSession, arn: str) -> str:
    made = session.ec2(REGION).create_launch_template(
        LaunchTemplateName="workers",
        LaunchTemplateData={"ImageId": "ami-12345678", "IamInstanceProfile": {"Arn": arn}},
    )
    return made["LaunchTemplate"]["LaunchTemplateId"]


def test_roles_of_node_groups_are_found_once(session: UserSession) -> None:
    arn = role(session, "nodes")
    eks(session, ("a", arn), ("b", arn))
    assert (NodeRole(arn, (), ("node group a", "node group b")),) == node_roles.find(session, "demo", REGION)


def test_the_role_of_a_groups_launch_template_is_found(session: UserSession) -> None:
    eks(session)
    launch = {"LaunchTemplateId": template(session, profile(session, "workers")), "Version": "$Latest"}
    group(session, LaunchTemplate=launch)
    (found,) = node_roles.find(session, "demo", REGION)
    assert ("workers", ("Auto Scaling group workers",)) == (found.arn.rpartition("/")[2], found.found_in)


def test_the_role_of_a_groups_launch_configuration_is_found(session: UserSession) -> None:
    eks(session)
    session.autoscaling(REGION).create_launch_configuration(
        LaunchConfigurationName="old",
        ImageId="ami-12345678",
        InstanceType="m5.large",
        IamInstanceProfile=profile(session, "workers"),
    )
    group(session, LaunchConfigurationName="old")
    (found,) = node_roles.find(session, "demo", REGION)
    assert "workers" == found.arn.rpartition("/")[2]


def test_the_role_of_instances_with_the_clusters_tag_is_found(session: UserSession) -> None:
    eks(session)
    session.ec2(REGION).run_instances(
        ImageId="ami-12345678",
        MinCount=2,
        MaxCount=2,
        IamInstanceProfile={"Arn": profile(session, "karpenter")},
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "kubernetes.io/cluster/demo", "Value": "owned"}]}
        ],
    )
    (found,) = node_roles.find(session, "demo", REGION)
    assert ("karpenter", ("instances",)) == (found.arn.rpartition("/")[2], found.found_in)


def test_of_a_cluster_that_eks_does_not_know_nothing_is_found(session: UserSession) -> None:
    def not_found(**_: Any) -> tuple[AWSResponse, dict[str, Any]]:  # moto breaks here, EKS says this
        error = {"Error": {"Code": "ResourceNotFoundException", "Message": "No cluster found"}}
        return AWSResponse("https://eks", 404, HTTPHeaders(), None), error

    session.session.events.register("before-call.eks.ListNodegroups", not_found)
    assert () == node_roles.find(session, "demo", REGION)


def test_the_policy_is_attached_once(session: UserSession) -> None:
    arn = role(session, "nodes")
    eks(session, ("a", arn))
    first = plan(node_roles.find(session, "demo", REGION))
    assert (AttachPolicy(arn, "nodes", READ_ONLY),) == first.steps
    list(iam.execute(session.iam(), first.steps, wait=lambda _: None))
    again = plan(node_roles.find(session, "demo", REGION))
    assert ((), True) == (again.steps, "may pull already" in again.notes[0])


def test_the_narrower_policy_is_enough() -> None:
    role_with_it = NodeRole("arn:aws:iam::123456789012:role/nodes", (PULL_ONLY,), ("node group a",))
    assert () == plan([role_with_it]).steps


def test_the_command_is_the_documented_one() -> None:
    (step,) = plan([NodeRole("arn:aws-cn:iam::123456789012:role/a/nodes", (), ())]).steps
    assert isinstance(step, AttachPolicy)
    assert (
        "aws iam attach-role-policy --role-name nodes"
        " --policy-arn arn:aws-cn:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"
    ) == command(step)
