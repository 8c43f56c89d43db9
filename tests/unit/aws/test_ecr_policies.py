"""Reading who may pull from a registry, by boto3 against moto."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from moto import mock_aws

from aws import ecr_policies
from aws.setup.failures import SetupFailure

ALLOWED = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Pull",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        }
    ],
}


def client() -> Any:
    return boto3.session.Session().client(
        "ecr", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b"
    )


@mock_aws
def test_where_there_is_no_policy_it_is_empty() -> None:
    ecr = client()
    ecr.create_repository(repositoryName="shop/web")
    found = ecr_policies.read(ecr, ["shop/web"])
    assert ({}, {"shop/web": {}}) == (found.registry, found.repositories)


@mock_aws
def test_the_policy_of_a_repository_is_read() -> None:
    ecr = client()
    ecr.create_repository(repositoryName="shop/web")
    ecr.set_repository_policy(repositoryName="shop/web", policyText=json.dumps(ALLOWED))
    assert {"shop/web": ALLOWED} == ecr_policies.read(ecr, ["shop/web"]).repositories


@mock_aws
def test_a_repository_that_is_not_there_is_a_failure() -> None:
    with pytest.raises(SetupFailure, match="ecr:GetRepositoryPolicy: RepositoryNotFoundException"):
        ecr_policies.read(client(), ["shop/web"])
