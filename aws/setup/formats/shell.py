"""The plan as commands of the `aws` CLI: a script that can be read, run whole, or taken apart.

Run again it changes nothing that is there, but it does replace the trust policy of an existing role: merging is what
`pullpass aws setup` does, and the script says so.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping

from aws.setup.documents import compact
from aws.setup.formats import nodes
from aws.setup.formats.placeholders import fill, on_one_line
from aws.setup.wanted import (
    INLINE_POLICY_NAME,
    NODE_ROLE_NAME,
    REGISTRY_POLICY_SCOPE,
    ROLE_DESCRIPTION,
    Document,
    OtherSide,
    Provider,
    Wanted,
)
from aws.trust_policy import ACCOUNT_PLACEHOLDER

_ACCOUNT, _REGION = '"$AWS_ACCOUNT_ID"', '"$AWS_REGION"'
_HEAD = """\
#!/usr/bin/env bash
# What AWS needs so that {clusters} can pull. Run it with credentials of {account}.
# An existing role {role} gets exactly this trust policy; to keep statements of other origin, run
# `pullpass aws setup` instead, which merges.
set -euo pipefail
"""
_FIND_ACCOUNT = "AWS_ACCOUNT_ID=$(aws sts get-caller-identity --query Account --output text)\n"
_FIND_REGION = """\
AWS_REGION=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
: "${AWS_REGION:?set it to the region of the registry}"
"""


def render(wanted: Wanted) -> str:
    """A bash script."""
    parts = [_provider(provider, wanted) for provider in wanted.providers]
    parts.append(_role(wanted))
    parts.append(_node_role(wanted))
    parts += [_other_account(side) for side in wanted.other_sides]
    body = "\n".join(parts)
    found = _FIND_ACCOUNT if _ACCOUNT in body else ""
    found += _FIND_REGION if _REGION in body else ""
    return "\n".join(filter(None, [_head(wanted), found, body]))


def _head(wanted: Wanted) -> str:
    account = wanted.role.account
    return _HEAD.format(
        clusters=on_one_line(", ".join(sorted(cluster.name for cluster in wanted.trusted))),
        account="the role's account" if account == ACCOUNT_PLACEHOLDER else f"account {account}",
        role=wanted.role.name,
    )


def _provider(provider: Provider, wanted: Wanted) -> str:
    arn = _quoted(provider.arn(wanted.role.partition, wanted.role.account))
    adding = "\n".join(
        f"  aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {arn} \\\n"
        f"    {_client_id(audience)}"
        for audience in provider.audiences
    )
    return f"""\
# The OIDC provider of {on_one_line(provider.url)}
if aws iam get-open-id-connect-provider --open-id-connect-provider-arn {arn} >/dev/null 2>&1; then
{adding}
else
  aws iam create-open-id-connect-provider --url {_quoted(provider.url)} \\
    --client-id-list {_client_ids(provider)} \\
    --tags {_tags(wanted.tags)}
fi
"""


def _client_id(audience: str) -> str:
    if _would_be_read(audience):
        return f"--cli-input-json {_quoted(json.dumps({'ClientID': audience}))}"
    return f"--client-id {_quoted(audience)}"


def _client_ids(provider: Provider) -> str:
    if any(map(_would_be_read, provider.audiences)):
        return _quoted(json.dumps(provider.audiences))
    return " ".join(map(_quoted, provider.audiences))


def _would_be_read(value: str) -> bool:
    """Whether the CLI takes it for the name of a file or, in version 1, of a page, and sends what is in there."""
    return "://" in value


def _role(wanted: Wanted) -> str:
    role = wanted.role
    name, trust = _quoted(role.name), _json(wanted.trust_policy)
    return "\n".join(
        [
            f"# The role {role.name}: who may assume it, and what it may do",
            f"if aws iam get-role --role-name {name} >/dev/null 2>&1; then",
            f"  aws iam update-assume-role-policy --role-name {name} \\",
            f"    --policy-document {trust}",
            "else",
            f"  aws iam create-role --role-name {name} --path {_quoted(role.path)} \\",
            f"    --description {_quoted(ROLE_DESCRIPTION)} --max-session-duration {wanted.max_session_seconds} \\",
            f"    --assume-role-policy-document {trust} \\",
            f"    --tags {_tags(wanted.role_tags)}",
            "fi",
            *_permissions(wanted, name),
            "",
        ]
    )


def _permissions(wanted: Wanted, name: str) -> Iterator[str]:
    if wanted.inline_policy is not None:
        yield f"aws iam put-role-policy --role-name {name} --policy-name {INLINE_POLICY_NAME} \\"
        yield f"  --policy-document {_json(wanted.inline_policy)}"
    if wanted.managed_policy_arn is not None:
        yield f"aws iam attach-role-policy --role-name {name} --policy-arn {wanted.managed_policy_arn}"


def _node_role(wanted: Wanted) -> str:
    partition = wanted.role.partition
    return f"""\
# CREATE_NODE_ROLE=true makes a role for nodes on EC2 that are to pull as their own instances, without the role above.
if [ "${{CREATE_NODE_ROLE:-false}}" = true ]; then
  if ! aws iam get-role --role-name {NODE_ROLE_NAME} >/dev/null 2>&1; then
    aws iam create-role --role-name {NODE_ROLE_NAME} --path / \\
      --assume-role-policy-document {_json(nodes.trust_policy(partition))} \\
      --tags {_tags(wanted.tags)}
  fi
  aws iam attach-role-policy --role-name {NODE_ROLE_NAME} --policy-arn {nodes.policy_arn(partition)}
  if ! aws iam get-instance-profile --instance-profile-name {NODE_ROLE_NAME} >/dev/null 2>&1; then
    aws iam create-instance-profile --instance-profile-name {NODE_ROLE_NAME} --path /
    aws iam add-role-to-instance-profile --instance-profile-name {NODE_ROLE_NAME} --role-name {NODE_ROLE_NAME}
  fi
fi
"""


def _other_account(side: OtherSide) -> str:
    """Not for these credentials: to be run by somebody else, who may have a registry policy already."""
    name, value = REGISTRY_POLICY_SCOPE
    return f"""\
# Account {side.account} owns a registry in {side.region} and has to allow the role, too. With its own credentials, once for
# the whole registry (this replaces a registry policy that is there):
#   aws ecr put-account-setting --region {side.region} --name {name} --value {value}
#   aws ecr put-registry-policy --region {side.region} --policy-text {_json(side.registry_policy)}
# or for each repository by itself:
#   aws ecr set-repository-policy --region {side.region} --repository-name REPOSITORY --policy-text {_json(side.repository_policy)}
"""


def _tags(tags: Mapping[str, str]) -> str:
    """In the CLI's shorthand, whose own quotes keep a comma in a value."""
    return " ".join(
        _quoted(f"Key={_shorthand(key)},Value={_shorthand(value)}") for key, value in sorted(tags.items())
    )


def _shorthand(text: str) -> str:
    return (
        "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
        if set(text) & set(",=[]{}'\"\\ ")
        else text
    )


def _json(document: Document) -> str:
    return _quoted(compact(document))


def _quoted(text: str) -> str:
    """For the shell, which fills in the placeholders."""
    return fill(text, account=_ACCOUNT, region=_REGION, plain=shlex.quote)
