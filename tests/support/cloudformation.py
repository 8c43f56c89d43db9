"""CloudFormation by moto, with what it leaves out: OIDC providers, a role's managed policies, own policies as JSON."""

from __future__ import annotations

import json
from typing import Any

from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel
from moto.iam.models import OpenIDConnectProvider, Role, iam_backends
from moto.utilities.utils import get_partition


class _Provider(OpenIDConnectProvider, CloudFormationModel):
    """`AWS::IAM::OIDCProvider`."""

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::IAM::OIDCProvider"

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,  # noqa: ARG003 - as all the others take it
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> Any:
        given = cloudformation_json["Properties"]
        provider: Any = iam_backends[account_id][get_partition(region_name)].create_open_id_connect_provider(
            given["Url"], [], given["ClientIdList"], given["Tags"]
        )
        provider.__class__ = cls  # what a stack keeps has to be of its own
        return provider

    @property
    def physical_resource_id(self) -> str:
        return self.arn


class _Role(Role):
    """`AWS::IAM::Role` with `ManagedPolicyArns`, and `Policies` that can be read again."""

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **more: Any
    ) -> Any:
        for policy in cloudformation_json["Properties"].get("Policies", ()):
            policy["PolicyDocument"] = json.dumps(policy["PolicyDocument"])
        role = Role.create_from_cloudformation_json(
            resource_name, cloudformation_json, account_id, region_name, **more
        )
        backend = iam_backends[account_id][get_partition(region_name)]
        for arn in cloudformation_json["Properties"].get("ManagedPolicyArns", ()):
            backend.attach_role_policy(arn, role.name)
        return role


def apply(client: Any, template: str, **parameters: str) -> None:
    """Makes a stack of `template`; within `moto.mock_aws`."""
    served: dict[str, Any] = {"AWS::IAM::OIDCProvider": _Provider, "AWS::IAM::Role": _Role}
    parsing.get_model_map().update(served)
    client.create_stack(
        StackName="pullpass",
        TemplateBody=template,
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    )
    assert "CREATE_COMPLETE" == client.describe_stacks(StackName="pullpass")["Stacks"][0]["StackStatus"]
