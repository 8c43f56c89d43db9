"""`pullpass aws`: the AWS half of a cluster, done with the user's own credentials. Its commands load when called."""

from __future__ import annotations

from typing import ClassVar

import click

from cli.main import LazyGroup


class AwsGroup(LazyGroup):
    """Each command brings boto3, which is slow to import."""

    modules: ClassVar[dict[str, str]] = {
        "attach-node-role": "cli.aws_nodes:attach_node_role",
        "read-role": "cli.aws_read_role:read_role",
        "setup": "cli.aws_setup:setup",
        "status": "cli.aws_setup:status",
        "teardown": "cli.aws_teardown:teardown",
    }


@click.group(cls=AwsGroup)
def aws() -> None:
    """What a cluster needs in AWS: OIDC provider, role, trust policy, permissions.

    Uses your own AWS credentials, found as the AWS CLI finds them; --profile names another profile. The hub never sees
    them.
    """
