"""The `mk8s` manifest: a typed view of what the user sent, and the refusal of what is wrong in it.

`parse` reads a whole document; the stored document is what was sent, the view is never dumped back.
Called by `addon_api` (before a write) and by `controller` (to read what is wanted).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.addons.aws_ecr import AwsEcr
from schemas.addons.aws_workload_identity import AwsWorkloadIdentity


@dataclass(frozen=True)
class Manifest:
    """The typed view of one cluster's wishes.

    `provider` is the wire name (`generic`, `hetzner`, `aws`, …). `region` and `account` are known for
    provider aws (`spec.provider.aws.region`, the account of `deployRoleArn`), else None. An add-on that is
    not enabled is None.
    """

    name: str
    description: str
    tags: Mapping[str, Any]
    provider: str
    region: str | None
    account: str | None
    aws_ecr: AwsEcr | None
    aws_workload_identity: AwsWorkloadIdentity | None


def parse(document: Mapping[str, Any], settings: Mapping[str, Any]) -> Manifest:
    """The view of `document` (kind, name, description, tags, spec) with `settings` beside it.

    The members that the server owns (id, alias, version, created, lastModified, links, status) are ignored.

    Raises:
        schemas.errors.Invalid: with every mistake at once.
    """
    raise NotImplementedError
