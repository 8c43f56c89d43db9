"""The plan as a CloudFormation template, YAML.

What exists already cannot be created by a stack: a parameter for each provider and for the role for nodes says whether
the stack makes it. A role is the stack's own, whole; merging into one of another origin is what `pullpass aws setup`
does.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/AWS_IAM.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from aws.setup.formats import nodes, placeholders
from aws.setup.formats.placeholders import fill
from aws.setup.wanted import (
    INLINE_POLICY_NAME,
    NODE_ROLE_NAME,
    REGISTRY_POLICY_SCOPE,
    ROLE_DESCRIPTION,
    OtherSide,
    Wanted,
)

_YES_OR_NO = {"Type": "String", "AllowedValues": ["true", "false"]}


def render(wanted: Wanted) -> str:
    """The template."""
    resources: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    conditions: dict[str, Any] = {}
    for number, provider in enumerate(wanted.providers, 1):
        name = f"Provider{number}"
        parameters[f"Create{name}"] = {
            **_YES_OR_NO,
            "Default": "true",
            "Description": f"false where this account has an OIDC provider for {provider.url} already",
        }
        conditions[f"Makes{name}"] = {"Fn::Equals": [{"Ref": f"Create{name}"}, "true"]}
        resources[name] = {
            "Type": "AWS::IAM::OIDCProvider",
            "Condition": f"Makes{name}",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "Url": provider.url,
                "ClientIdList": list(provider.audiences),
                "Tags": _tags(wanted.tags),
            },
        }
    resources["PullRole"] = {"Type": "AWS::IAM::Role", "Properties": _role(wanted)}
    parameters["CreateNodeRole"] = {
        **_YES_OR_NO,
        "Default": "false",
        "Description": "true for nodes on EC2 that are to pull as their own instances",
    }
    conditions["MakesNodeRole"] = {"Fn::Equals": [{"Ref": "CreateNodeRole"}, "true"]}
    resources |= _node_role(wanted)
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "What AWS needs so that Kubernetes clusters pull private ECR images by Pullpass",
        "Parameters": parameters,
        "Conditions": conditions,
        "Resources": resources,
        "Outputs": {
            "RoleArn": {"Description": "roleArn of awsECR", "Value": {"Fn::GetAtt": ["PullRole", "Arn"]}}
        },
    }
    return _head(wanted) + _yaml(template)


class _Plain(yaml.SafeDumper):
    """Writes everything out: CloudFormation takes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _yaml(document: Any) -> str:
    return str(yaml.dump(document, Dumper=_Plain, sort_keys=False, width=110))


def _role(wanted: Wanted) -> dict[str, Any]:
    role = wanted.role
    properties: dict[str, Any] = {
        "RoleName": role.name,
        "Path": role.path,
        "Description": ROLE_DESCRIPTION,
        "MaxSessionDuration": wanted.max_session_seconds,
        "AssumeRolePolicyDocument": _filled(wanted.trust_policy),
        "Tags": _tags(wanted.role_tags),
    }
    if wanted.inline_policy is not None:
        properties["Policies"] = [
            {"PolicyName": INLINE_POLICY_NAME, "PolicyDocument": _filled(wanted.inline_policy)}
        ]
    if wanted.managed_policy_arn is not None:
        properties["ManagedPolicyArns"] = [wanted.managed_policy_arn]
    return properties


def _node_role(wanted: Wanted) -> dict[str, Any]:
    partition = wanted.role.partition
    return {
        "NodeRole": {
            "Type": "AWS::IAM::Role",
            "Condition": "MakesNodeRole",
            "Properties": {
                "RoleName": NODE_ROLE_NAME,
                "Path": "/",
                "AssumeRolePolicyDocument": nodes.trust_policy(partition),
                "ManagedPolicyArns": [nodes.policy_arn(partition)],
                "Tags": _tags(wanted.tags),
            },
        },
        "NodeInstanceProfile": {
            "Type": "AWS::IAM::InstanceProfile",
            "Condition": "MakesNodeRole",
            "Properties": {
                "InstanceProfileName": NODE_ROLE_NAME,
                "Path": "/",
                "Roles": [{"Ref": "NodeRole"}],
            },
        },
    }


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _filled(value: Any) -> Any:
    """A document, where account and region that are not known are the stack's own."""
    if isinstance(value, Mapping):
        return {key: _filled(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(child) for child in value]
    if isinstance(value, str) and placeholders.found(value):
        return {"Fn::Sub": fill(value, account="${AWS::AccountId}", region="${AWS::Region}", plain=_as_it_is)}
    return value


def _as_it_is(text: str) -> str:
    """In `Fn::Sub`, which would take it for a name else."""
    return text.replace("${", "${!")


def _head(wanted: Wanted) -> str:
    lines = [
        "aws cloudformation deploy --template-file pullpass.yaml --stack-name pullpass --capabilities CAPABILITY_NAMED_IAM",
    ]
    if wanted.providers:
        lines.append(
            "An OIDC provider that this account has already stays out of the stack: add"
            " --parameter-overrides CreateProvider1=false, and see that it allows the audience."
        )
    for side in wanted.other_sides:
        name, value = REGISTRY_POLICY_SCOPE
        lines += [
            f"Account {side.account} owns a registry in {side.region} and has to allow the role, too. There, once for it all:",
            f"aws ecr put-account-setting --region {side.region} --name {name} --value {value}",
            "and a stack with",
            *_yaml({"Resources": {"RegistryPolicy": _registry_policy(side)}}).splitlines(),
            "or, for each repository by itself, this as its RepositoryPolicyText:",
            *_yaml(side.repository_policy).splitlines(),
        ]
    return "".join(f"# {line}\n" for line in lines)


def _registry_policy(side: OtherSide) -> dict[str, Any]:
    return {"Type": "AWS::ECR::RegistryPolicy", "Properties": {"PolicyText": side.registry_policy}}
