"""The role for nodes on EC2 that pull with their own instances' identity: what the formats print of it.

It is the one of Kubernetes' own documentation: trusted by EC2, with read access to ECR.
https://docs.aws.amazon.com/AmazonECR/latest/userguide/ECR_on_EKS.html
"""

from __future__ import annotations

from aws.setup.wanted import NODE_READ_ONLY, Document, managed_policy_arn

_EC2 = {"aws-cn": "ec2.amazonaws.com.cn"}


def trust_policy(partition: str) -> Document:
    """EC2 assumes the role for an instance."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": _EC2.get(partition, "ec2.amazonaws.com")},
                "Action": "sts:AssumeRole",
            }
        ],
    }


def policy_arn(partition: str) -> str:
    """The documented managed policy."""
    return managed_policy_arn(partition, NODE_READ_ONLY)
