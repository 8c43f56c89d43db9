"""What has to be there before the hub gets into an EKS cluster, ready to paste: printed by `pullpass connect --eks`.

The same, one thing at a time, stands in the remedies of the cluster's issues. docs/how-to/connect-an-eks-cluster.md
tells the whole way.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aws.arns import parse_role
from schemas.eks import HUB_GROUP

_DESCRIBE = {"Effect": "Allow", "Action": "eks:DescribeCluster", "Resource": "*"}


@dataclass(frozen=True)
class Step:
    """`command` does what `what` says, once."""

    what: str
    command: str


def text(
    org: str, name: str, connected: Mapping[str, Any], external: Mapping[str, Any], *, installed: bool
) -> str:
    """The steps as they are printed.

    Args:
        org: The organisation.
        name: The cluster's.
        connected: `cluster`, `region` and `roles` (ARNs, in the order in which they are assumed), as the hub took them.
        external: What `-external-id` answers.
        installed: Whether the rights were installed just now.
    """
    cluster, region, last = connected["cluster"], connected["region"], connected["roles"][-1]
    lines = [
        f"{org}/{name} is to be reached as EKS cluster {cluster} in {region}, by {last}.",
        "",
        "What has to be there, each once:",
    ]
    wanted = [*_on_aws(connected, external), *(() if installed else (_rights(name, cluster),))]
    for number, step in enumerate(wanted, 1):
        lines += ["", f"{number}. {step.what}", f"   {step.command}"]
    if external["principal"] is None:
        lines += ["", "Put the ARN of the hub's IAM role for ${HUB_PRINCIPAL}; the hub's operator knows it."]
    lines += ["", f"Then: pullpass clusters wait {shlex.quote(name)} --for=Ready"]
    return "\n".join(lines)


def _on_aws(connected: Mapping[str, Any], external: Mapping[str, Any]) -> Iterator[Step]:
    first, last = connected["roles"][0], connected["roles"][-1]
    trust_policy = _quoted(external["trustPolicy"])
    yield Step(
        "The role lets the hub in (where its trust policy has other statements, add this one to them):",
        f"aws iam update-assume-role-policy --role-name {_name(first)} --policy-document {trust_policy}",
    )
    describe = _quoted({"Version": "2012-10-17", "Statement": [_DESCRIBE]})
    yield Step(
        f"{last} may ask EKS for the cluster:",
        f"aws iam put-role-policy --role-name {_name(last)} --policy-name pullpass-eks --policy-document {describe}",
    )
    where = f"--cluster-name {shlex.quote(connected['cluster'])} --region {shlex.quote(connected['region'])}"
    yield Step(
        "The cluster knows the role:",
        f"aws eks create-access-entry {where} --principal-arn {shlex.quote(last)} --kubernetes-groups {HUB_GROUP}",
    )


def _rights(name: str, cluster: str) -> Step:
    printed = f"pullpass connect {shlex.quote(name)} --eks {shlex.quote(cluster)} --print"
    return Step(
        "An admin of the cluster installs the hub's rights:",
        f"{printed} | kubectl --context CONTEXT apply --server-side -f -",
    )


def _name(role_arn: str) -> str:
    return shlex.quote(parse_role(role_arn).name)


def _quoted(document: Any) -> str:
    return shlex.quote(json.dumps(document, separators=(", ", ": ")))
