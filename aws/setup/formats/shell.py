"""The plan as commands of the `aws` CLI: a script that can be read, run whole, or taken apart.

Run again it changes nothing that is there, but it does replace the trust policy of an existing role: merging is what
`pullpass aws setup` does, and the script says so.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

from aws.setup.formats import nodes
from aws.setup.wanted import INLINE_POLICY_NAME, NODE_ROLE_NAME, Document, Provider, Wanted

_PLACEHOLDER = "${AWS_ACCOUNT_ID}"
_HEAD = """\
#!/usr/bin/env bash
# What AWS needs so that {clusters} can pull. Run it with credentials of {account}.
# An existing role {role} gets exactly this trust policy; to keep statements of other origin, run
# `pullpass aws setup` instead, which merges.
set -euo pipefail
"""


def render(wanted: Wanted) -> str:
    """A bash script."""
    role = wanted.role
    unknown = role.account == _PLACEHOLDER
    parts = [
        _HEAD.format(
            clusters=", ".join(sorted(cluster.name for cluster in wanted.trusted)) or "clusters",
            account="the role's account" if unknown else f"account {role.account}",
            role=role.name,
        )
    ]
    if unknown:
        parts.append("AWS_ACCOUNT_ID=$(aws sts get-caller-identity --query Account --output text)\n")
    parts += [_provider(provider, wanted) for provider in wanted.providers]
    parts.append(_role(wanted))
    parts += [
        f"# In account {side.account}, which owns the registry (one such policy for each account and region):\n"
        + _commented(
            f"aws ecr put-registry-policy --region {side.region} --policy-text {_json(side.registry_policy)}"
        )
        for side in wanted.other_sides
    ]
    parts.append(_node_role(wanted))
    return "\n".join(parts)


def _provider(provider: Provider, wanted: Wanted) -> str:
    arn = _quoted(provider.arn(wanted.role.partition, wanted.role.account))
    adding = "\n".join(
        f"  aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {arn}"
        f" --client-id {_quoted(audience)}"
        for audience in provider.audiences
    )
    return f"""\
# The OIDC provider of {provider.url}
if aws iam get-open-id-connect-provider --open-id-connect-provider-arn {arn} >/dev/null 2>&1; then
{adding}
else
  aws iam create-open-id-connect-provider --url {_quoted(provider.url)} \\
    --client-id-list {" ".join(map(_quoted, provider.audiences))} --tags {_tags(wanted.tags)}
fi
"""


def _role(wanted: Wanted) -> str:
    role = wanted.role
    name = _quoted(role.name)
    lines = [
        f"# The role {role.name}: who may assume it, and what it may do",
        f"if aws iam get-role --role-name {name} >/dev/null 2>&1; then",
        f"  aws iam update-assume-role-policy --role-name {name} --policy-document {_json(wanted.trust_policy)}",
        "else",
        f"  aws iam create-role --role-name {name} --path {_quoted(role.path)} \\",
        f"    --max-session-duration {wanted.max_session_seconds} \\",
        f"    --assume-role-policy-document {_json(wanted.trust_policy)} --tags {_tags(wanted.tags)}",
        "fi",
    ]
    if wanted.inline_policy is not None:
        lines.append(
            f"aws iam put-role-policy --role-name {name} --policy-name {INLINE_POLICY_NAME}"
            f" --policy-document {_json(wanted.inline_policy)}"
        )
    if wanted.managed_policy_arn is not None:
        lines.append(
            f"aws iam attach-role-policy --role-name {name} --policy-arn {wanted.managed_policy_arn}"
        )
    return "\n".join(lines) + "\n"


def _node_role(wanted: Wanted) -> str:
    partition = wanted.role.partition
    commands = (
        f"aws iam create-role --role-name {NODE_ROLE_NAME} --path /"
        f" --assume-role-policy-document {_json(nodes.trust_policy(partition))} --tags {_tags(wanted.tags)}\n"
        f"aws iam attach-role-policy --role-name {NODE_ROLE_NAME} --policy-arn {nodes.policy_arn(partition)}"
    )
    return (
        "# Only for nodes on EC2 that are to pull as their own instances, without the role above:\n"
        + _commented(commands)
    )


def _commented(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.splitlines())


def _tags(tags: Mapping[str, str]) -> str:
    return " ".join(_quoted(f"Key={key},Value={value}") for key, value in sorted(tags.items()))


def _json(document: Document) -> str:
    return _quoted(json.dumps(document, separators=(",", ":")))


def _quoted(text: str) -> str:
    """For the shell; the placeholder of the account is left for it to fill in."""
    return '"$AWS_ACCOUNT_ID"'.join(shlex.quote(part) if part else "" for part in text.split(_PLACEHOLDER))
