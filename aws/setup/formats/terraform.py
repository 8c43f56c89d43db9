"""The plan as Terraform, HCL for the `hashicorp/aws` provider.

What exists already is taken into the state by `terraform import`, whose commands stand beside each resource. A role is
Terraform's own, whole; merging into one of another origin is what `pullpass aws setup` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from aws.setup.formats import nodes
from aws.setup.wanted import INLINE_POLICY_NAME, NODE_ROLE_NAME, Wanted

_PLACEHOLDER = "${AWS_ACCOUNT_ID}"
_ACCOUNT = "data.aws_caller_identity.current.account_id"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_HEAD = """\
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_caller_identity" "current" {}

variable "create_node_role" {
  description = "true for nodes on EC2 that are to pull as their own instances"
  type        = bool
  default     = false
}
"""


def render(wanted: Wanted) -> str:
    """One file."""
    role = wanted.role
    blocks = [_HEAD]
    for number, provider in enumerate(wanted.providers, 1):
        name = f"issuer_{number}"
        there = provider.arn(role.partition, role.account).replace(_PLACEHOLDER, "ACCOUNT")
        blocks.append(
            f"# Where it exists already: terraform import aws_iam_openid_connect_provider.{name} {there}\n"
            + _resource(
                "aws_iam_openid_connect_provider",
                name,
                {
                    "url": provider.url,
                    "client_id_list": list(provider.audiences),
                    "tags": dict(wanted.tags),
                },
            )
        )
    blocks.append(
        f"# Where it exists already: terraform import aws_iam_role.pull {role.name}\n"
        + _resource(
            "aws_iam_role",
            "pull",
            {
                "name": role.name,
                "path": role.path,
                "max_session_duration": wanted.max_session_seconds,
                "assume_role_policy": _Json(wanted.trust_policy),
                "tags": dict(wanted.tags),
            },
        )
    )
    if wanted.inline_policy is not None:
        blocks.append(
            _resource(
                "aws_iam_role_policy",
                "pull",
                {
                    "name": INLINE_POLICY_NAME,
                    "role": _Expression("aws_iam_role.pull.name"),
                    "policy": _Json(wanted.inline_policy),
                },
            )
        )
    if wanted.managed_policy_arn is not None:
        blocks.append(_attachment("pull", wanted.managed_policy_arn))
    blocks += _node_role(wanted)
    blocks += [
        _commented(
            f"In account {side.account}, {side.region}:\n"
            + _resource("aws_ecr_registry_policy", "pullpass", {"policy": _Json(side.registry_policy)})
        )
        for side in wanted.other_sides
    ]
    blocks.append(
        'output "role_arn" {\n  description = "roleArn of awsECR"\n  value       = aws_iam_role.pull.arn\n}\n'
    )
    return "\n".join(blocks)


class _Expression(str):
    """HCL that is no text."""

    __slots__ = ()


class _Json:
    """A policy document: written as an HCL value, given to `jsonencode`."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document


def _node_role(wanted: Wanted) -> list[str]:
    partition = wanted.role.partition
    counted = {"count": _Expression("var.create_node_role ? 1 : 0")}
    return [
        _resource(
            "aws_iam_role",
            "node",
            {
                **counted,
                "name": NODE_ROLE_NAME,
                "path": "/",
                "assume_role_policy": _Json(nodes.trust_policy(partition)),
                "tags": dict(wanted.tags),
            },
        ),
        _resource(
            "aws_iam_role_policy_attachment",
            "node",
            {
                **counted,
                "role": _Expression("aws_iam_role.node[0].name"),
                "policy_arn": nodes.policy_arn(partition),
            },
        ),
        _resource(
            "aws_iam_instance_profile",
            "node",
            {**counted, "name": NODE_ROLE_NAME, "role": _Expression("aws_iam_role.node[0].name")},
        ),
    ]


def _attachment(name: str, policy_arn: str) -> str:
    return _resource(
        "aws_iam_role_policy_attachment",
        name,
        {"role": _Expression(f"aws_iam_role.{name}.name"), "policy_arn": policy_arn},
    )


def _resource(kind: str, name: str, arguments: Mapping[str, Any]) -> str:
    width = max(map(len, arguments))
    lines = [f"  {key:<{width}} = {_value(value, 1)}" for key, value in arguments.items()]
    return f'resource "{kind}" "{name}" {{\n' + "\n".join(lines) + "\n}\n"


def _value(value: Any, depth: int) -> str:
    match value:
        case _Expression():
            return str(value)
        case _Json(document=document):
            return f"jsonencode({_value(document, depth)})"
        case str():
            return _text(value)
        case bool() | int():
            return json.dumps(value)
        case _:
            return _nested(value, depth)


def _nested(value: Mapping[str, Any] | Sequence[Any], depth: int) -> str:
    """An object or a list, a line for each member; a list of one on the same line."""
    inside, end = "  " * (depth + 1), "  " * depth
    if isinstance(value, Mapping):
        members = [f"{inside}{_key(key)} = {_value(child, depth + 1)}\n" for key, child in value.items()]
        return "{\n" + "".join(members) + end + "}"
    if len(value) == 1:
        return f"[{_value(value[0], depth)}]"
    return "[\n" + "".join(f"{inside}{_value(child, depth + 1)},\n" for child in value) + end + "]"


def _key(key: str) -> str:
    return key if _NAME.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    """A quoted text, in which nothing is taken for a template but the account."""
    parts = (
        json.dumps(part)[1:-1].replace("${", "$${").replace("%{", "%%{") for part in text.split(_PLACEHOLDER)
    )
    return '"' + f"${{{_ACCOUNT}}}".join(parts) + '"'


def _commented(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())
