"""The sandbox's answers held against AWS's own service models, as botocore brings them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as ET

import boto3
import pytest
from botocore.config import Config
from botocore.loaders import create_loader
from botocore.model import ListShape, ServiceModel, Shape, StructureShape

from tests.support.aws import ACCOUNT, REGION, ROLE, AwsUnderTest, served

USER = f"arn:aws:iam::{ACCOUNT}:user/puller"
CALLS = {
    ("sts", "AssumeRole"): {"RoleArn": ROLE, "RoleSessionName": "acme-demo"},
    ("sts", "AssumeRoleWithWebIdentity"): {"RoleArn": ROLE, "RoleSessionName": "acme-demo"},
    ("ecr", "GetAuthorizationToken"): {},
    ("ecr-public", "GetAuthorizationToken"): {},
}


@pytest.fixture
def world() -> Iterator[AwsUnderTest]:
    under_test = AwsUnderTest()
    policy = under_test.trust_policy()
    policy["Statement"].append(
        {"Effect": "Allow", "Principal": {"AWS": USER}, "Action": "sts:AssumeRole"},
    )
    under_test.aws.create_role(ROLE, policy)
    under_test.aws.create_user(USER, allow=["*"])
    with served(under_test.aws.wsgi_app) as url:
        under_test.url = url
        yield under_test


def answered(world: AwsUnderTest, service: str, operation: str, request: Mapping[str, str]) -> bytes:
    """The body as it came, before botocore reads it."""
    pair = world.aws.create_access_key(USER)
    made: Any = boto3.session.Session().client(  # type: ignore[call-overload]  # not for each service
        service,
        region_name="us-east-1" if service == "ecr-public" else REGION,
        endpoint_url=f"{world.url}/{service}",
        aws_access_key_id=pair.access_key_id,
        aws_secret_access_key=pair.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}),
    )
    bodies: list[bytes] = []
    made.meta.events.register("before-parse", lambda response_dict, **_: bodies.append(response_dict["body"]))
    method = {
        "AssumeRole": "assume_role",
        "AssumeRoleWithWebIdentity": "assume_role_with_web_identity",
        "GetAuthorizationToken": "get_authorization_token",
    }[operation]
    try:
        getattr(made, method)(**request)
    finally:
        made.close()
    return bodies[-1]


def document_of(body: bytes) -> Any:
    """JSON, or the result inside the Query API's XML."""
    if not body.startswith(b"<"):
        return json.loads(body)
    return _element(ET.fromstring(body)[0])  # noqa: S314 - of our own sandbox


def _element(element: ET.Element) -> Any:
    if not len(element):
        return element.text
    return {child.tag.rpartition("}")[2]: _element(child) for child in element}


def strangers(document: Any, shape: Shape, path: str = "$") -> list[str]:
    """Members that the model does not know, and required ones that are not there."""
    if isinstance(shape, StructureShape):
        known = shape.members
        found = [f"{path}.{name}" for name in document if name not in known]
        found += [f"{path}.{name}" for name in shape.required_members if name not in document]
        for name in set(document) & set(known):
            found += strangers(document[name], known[name], f"{path}.{name}")
        return found
    if isinstance(shape, ListShape):
        return [line for item in document for line in strangers(item, shape.member, f"{path}[]")]
    return []


@pytest.mark.parametrize(("service", "operation"), CALLS)
def test_an_answer_is_what_the_model_says(world: AwsUnderTest, service: str, operation: str) -> None:
    request = dict(CALLS[service, operation])
    if operation == "AssumeRoleWithWebIdentity":
        request["WebIdentityToken"] = world.issuer.token()
    model = ServiceModel(create_loader().load_service_model(service, "service-2"))
    shape = model.operation_model(operation).output_shape
    assert shape is not None
    document = document_of(answered(world, service, operation, request))
    assert document
    assert [] == strangers(document, shape)
