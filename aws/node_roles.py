"""Finds the roles of a cluster's nodes: EKS node groups, Auto Scaling groups, instances.

Called by `cli` for `pullpass aws attach-node-role`. Nodes outside EKS's node groups are known by the tag that the AWS
cloud provider wants on them (`kubernetes.io/cluster/NAME`), and groups by that or the cluster autoscaler's.
https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribeNodegroup.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws.setup.node_roles import NodeRole
from aws.user_session import UserSession, failures

if TYPE_CHECKING:
    from types_boto3_autoscaling import AutoScalingClient
    from types_boto3_ec2 import EC2Client
    from types_boto3_iam import IAMClient


def find(session: UserSession, cluster: str, region: str) -> tuple[NodeRole, ...]:
    """The roles of all nodes of the cluster that AWS calls `cluster`, by ARN; none where nothing is found.

    Raises:
        aws.setup.failures.SetupFailure: no answer, or the caller may not read something.
    """
    iam = session.iam()
    found: dict[str, set[str]] = {}
    for arn, where in _of_node_groups(session, cluster, region):
        found.setdefault(arn, set()).add(where)
    profiles: dict[str, set[str]] = {}
    for profile, where in (*_of_groups(session, cluster, region), *_of_instances(session, cluster, region)):
        profiles.setdefault(profile, set()).add(where)
    for profile, places in profiles.items():
        for arn in _roles_of_profile(iam, profile):
            found.setdefault(arn, set()).update(places)
    return tuple(NodeRole(arn, _attached(iam, arn), tuple(sorted(found[arn]))) for arn in sorted(found))


def _of_node_groups(session: UserSession, cluster: str, region: str) -> Iterator[tuple[str, str]]:
    """Role ARNs; none where EKS has no cluster of that name."""
    eks = session.eks(region)
    with failures("eks:ListNodegroups"):
        try:
            pages = eks.get_paginator("list_nodegroups").paginate(clusterName=cluster)
            groups = [group for page in pages for group in page["nodegroups"]]
        except ClientError as error:
            if _code(error) == "ResourceNotFoundException":
                return
            raise
    for group in groups:
        with failures("eks:DescribeNodegroup"):
            described = eks.describe_nodegroup(clusterName=cluster, nodegroupName=group)["nodegroup"]
        yield described["nodeRole"], f"node group {group}"


def _of_groups(session: UserSession, cluster: str, region: str) -> Iterator[tuple[str, str]]:
    """Instance profiles (name or ARN) of Auto Scaling groups."""
    client = session.autoscaling(region)
    keys = [f"kubernetes.io/cluster/{cluster}", f"k8s.io/cluster-autoscaler/{cluster}"]
    with failures("autoscaling:DescribeAutoScalingGroups"):
        pages = client.get_paginator("describe_auto_scaling_groups").paginate(
            Filters=[{"Name": "tag-key", "Values": keys}]
        )
        groups = [group for page in pages for group in page["AutoScalingGroups"]]
    ec2 = session.ec2(region)
    for group in groups:
        profile = _profile_of_group(client, ec2, group)
        if profile is not None:
            yield profile, f"Auto Scaling group {group['AutoScalingGroupName']}"


def _profile_of_group(client: AutoScalingClient, ec2: EC2Client, group: Any) -> str | None:
    mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    template = group.get("LaunchTemplate") or mixed.get("LaunchTemplateSpecification")
    if template is not None:
        with failures("ec2:DescribeLaunchTemplateVersions"):
            versions = ec2.describe_launch_template_versions(
                LaunchTemplateId=template["LaunchTemplateId"],
                Versions=[template.get("Version", "$Default")],
            )["LaunchTemplateVersions"]
        profile = versions[0]["LaunchTemplateData"].get("IamInstanceProfile", {}) if versions else {}
        return profile.get("Arn") or profile.get("Name")
    if "LaunchConfigurationName" not in group:
        return None
    with failures("autoscaling:DescribeLaunchConfigurations"):
        found = client.describe_launch_configurations(
            LaunchConfigurationNames=[group["LaunchConfigurationName"]]
        )["LaunchConfigurations"]
    return found[0].get("IamInstanceProfile") if found else None


def _of_instances(session: UserSession, cluster: str, region: str) -> Iterator[tuple[str, str]]:
    """ARNs of the instance profiles of running nodes: self-made ones, and those of Karpenter."""
    with failures("ec2:DescribeInstances"):
        pages = (
            session.ec2(region)
            .get_paginator("describe_instances")
            .paginate(
                Filters=[
                    {"Name": "tag-key", "Values": [f"kubernetes.io/cluster/{cluster}"]},
                    {"Name": "instance-state-name", "Values": ["pending", "running"]},
                ]
            )
        )
        for page in pages:
            for reservation in page["Reservations"]:
                for instance in reservation["Instances"]:
                    if "IamInstanceProfile" in instance:
                        yield instance["IamInstanceProfile"]["Arn"], "instances"


def _roles_of_profile(iam: IAMClient, profile: str) -> list[str]:
    with failures("iam:GetInstanceProfile"):
        answer = iam.get_instance_profile(InstanceProfileName=profile.rpartition("/")[2])
    return [role["Arn"] for role in answer["InstanceProfile"]["Roles"]]


def _attached(iam: IAMClient, role_arn: str) -> tuple[str, ...]:
    with failures("iam:ListAttachedRolePolicies"):
        pages = iam.get_paginator("list_attached_role_policies").paginate(
            RoleName=role_arn.rpartition("/")[2]
        )
        return tuple(policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"])


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
