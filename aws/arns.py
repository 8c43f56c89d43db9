"""IAM role ARNs of every partition (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html).

`addon_api` refuses a role that is none, `controller` and `trust_policy` take account and partition from it: STS
looks the OIDC provider up in the account of the ROLE, and a policy names it in the partition of the role.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PARTITIONS = (
    "aws",
    "aws-cn",
    "aws-us-gov",
    "aws-eusc",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-e",
    "aws-iso-f",
)

_ACCOUNT = re.compile(r"[0-9]{12}")
# IAM CreateRole: a path is "/" or begins and ends with it (at most 512 characters); a name has at most 64.
_PATH = re.compile(r"/(?:[!-~]+/)?")
_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}")
_LONGEST_PATH = 512
_FIELDS = 6


@dataclass(frozen=True)
class RoleArn:
    """`arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`."""

    partition: str
    account: str
    path: str  # "/" or "/a/b/"
    name: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role{self.path}{self.name}"


def parse_role(text: str) -> RoleArn:
    """The parts of an IAM role's ARN.

    Raises:
        ValueError: saying in one short line what is wrong.
    """
    parts = text.split(":", _FIELDS - 1)
    if len(parts) != _FIELDS or parts[0] != "arn":
        raise ValueError("not an ARN: expected arn:PARTITION:iam::ACCOUNT:role/NAME")
    _, partition, service, region, account, resource = parts
    if partition not in PARTITIONS:
        raise ValueError(f"unknown AWS partition {partition!r}: expected one of {', '.join(PARTITIONS)}")
    if service != "iam":
        raise ValueError(f"an ARN of service {service!r}: expected an IAM role")
    if region:
        raise ValueError("an IAM ARN has no region: expected arn:PARTITION:iam::ACCOUNT:role/NAME")
    if _ACCOUNT.fullmatch(account) is None:
        raise ValueError(f"account {account!r}: expected 12 digits")
    kind, slash, rest = resource.partition("/")
    if kind != "role" or not slash:
        raise ValueError(f"an ARN of an IAM {kind or 'resource'}: expected role/NAME")
    directory, slash, name = rest.rpartition("/")
    path = f"/{directory}{slash}"
    if _PATH.fullmatch(path) is None or len(path) > _LONGEST_PATH:
        raise ValueError(f"role path {path!r}: expected at most 512 printable characters between slashes")
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"role name {name!r}: expected 1 to 64 letters, digits and _+=,.@-")
    return RoleArn(partition=partition, account=account, path=path, name=name)
