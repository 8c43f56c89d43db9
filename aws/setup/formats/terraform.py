"""The plan as Terraform, HCL for the `hashicorp/aws` provider.

What exists already is taken into the state by `terraform import`, whose commands stand beside each resource. A role is
Terraform's own, whole; merging into one of another origin is what `pullpass aws setup` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

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
from aws.trust_policy import ACCOUNT_PLACEHOLDER

_ACCOUNT = "${data.aws_caller_identity.current.account_id}"
_REGION = "${data.aws_region.current.id}"
_SOURCES = {
    _ACCOUNT: 'data "aws_caller_identity" "current" {}\n',
    _REGION: 'data "aws_region" "current" {}\n',
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_HEAD = """\
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.81"
    }
  }
}

variable "create_node_role" {
  description = "true for nodes on EC2 that are to pull as their own instances"
  type        = bool
  default     = false
}
"""


def render(wanted: Wanted) -> str:
    """One file."""
    role = wanted.role
    blocks: list[str] = []
    for number, provider in enumerate(wanted.providers, 1):
        name = f"issuer_{number}"
        there = provider.arn(role.partition, role.account)
        there = placeholders.on_one_line(there.replace(ACCOUNT_PLACEHOLDER, "ACCOUNT"))
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
                "description": ROLE_DESCRIPTION,
                "assume_role_policy": _Json(wanted.trust_policy),
                "tags": dict(wanted.role_tags),
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
    blocks += [_other_account(side) for side in wanted.other_sides]
    blocks.append(
        'output "role_arn" {\n  description = "roleArn of awsECR"\n  value       = aws_iam_role.pull.arn\n}\n'
    )
    body = "\n".join(blocks)
    sources = [source for name, source in _SOURCES.items() if name in body]
    return "\n".join([_HEAD, *sources, body])


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


def _other_account(side: OtherSide) -> str:
    """Not for these credentials: to be taken over by somebody else."""
    scope = {"name": REGISTRY_POLICY_SCOPE[0], "value": REGISTRY_POLICY_SCOPE[1]}
    return _commented(
        f"Account {side.account} owns a registry in {side.region} and has to allow the role, too. There, once for the whole\n"
        "registry (it may have a policy already):\n"
        + _resource("aws_ecr_account_setting", "pullpass", scope)
        + _resource("aws_ecr_registry_policy", "pullpass", {"policy": _Json(side.registry_policy)})
        + "or for each repository by itself:\n"
        + _resource(
            "aws_ecr_repository_policy",
            "pullpass",
            {"repository": "REPOSITORY", "policy": _Json(side.repository_policy)},
        )
    )


def _attachment(name: str, policy_arn: str) -> str:
    return _resource(
        "aws_iam_role_policy_attachment",
        name,
        {"role": _Expression(f"aws_iam_role.{name}.name"), "policy_arn": policy_arn},
    )


def _resource(kind: str, name: str, arguments: Mapping[str, Any]) -> str:
    return f'resource "{kind}" "{name}" {{\n' + _members(arguments, "  ") + "}\n"


def _members(members: Mapping[str, Any], indent: str) -> str:
    """A line for each; the equals signs of neighbours that fit on one line stand below each other, as `fmt` has it."""
    texts = {_key(key): _value(value, indent) for key, value in members.items()}
    lines: list[str] = []
    for in_a_line, group in groupby(texts.items(), key=lambda member: "\n" not in member[1]):
        found = list(group)
        width = max(len(key) for key, _ in found) if in_a_line else 0
        lines += [f"{indent}{key:<{width}} = {text}\n" for key, text in found]
    return "".join(lines)


def _value(value: Any, indent: str) -> str:
    match value:
        case _Expression():
            return str(value)
        case _Json(document=document):
            return f"jsonencode({_value(document, indent)})"
        case str():
            return _text(value)
        case bool() | int():
            return json.dumps(value)
        case _:
            return _nested(value, indent)


def _nested(value: Mapping[str, Any] | Sequence[Any], indent: str) -> str:
    """An object or a list, a line for each member; a list of one begins and ends on the lines of what is in it."""
    inside = indent + "  "
    if isinstance(value, Mapping):
        return "{\n" + _members(value, inside) + indent + "}"
    if len(value) == 1:
        return f"[{_value(value[0], indent)}]"
    return "[\n" + "".join(f"{inside}{_value(child, inside)},\n" for child in value) + indent + "]"


def _key(key: str) -> str:
    return key if _NAME.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    """A quoted text, in which nothing is taken for a template but account and region."""
    return '"' + fill(text, account=_ACCOUNT, region=_REGION, plain=_literal) + '"'


def _literal(text: str) -> str:
    """https://developer.hashicorp.com/terraform/language/expressions/strings#escape-sequences."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${").replace("%{", "%%{")
    return "".join(
        character if character.isprintable() else f"\\U{ord(character):08x}" for character in escaped
    )


def _commented(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())
