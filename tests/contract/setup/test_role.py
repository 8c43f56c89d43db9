"""The role lets the cluster's token not in: what the status says then, and what mends it."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.contract.setup.scene import ACCOUNT, OTHER, REGION, ROLE, Scene
from tests.support import aws_cli


def edit_trust(iam: Any, old: str, new: str) -> None:
    document = iam.get_role(RoleName="pullpass")["Role"]["AssumeRolePolicyDocument"]
    changed = json.dumps(document).replace(old, new)
    assert changed != json.dumps(document)
    iam.update_assume_role_policy(RoleName="pullpass", PolicyDocument=changed)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pullpass-system:pullpass-agent", "pullpass-system:pullpass-agents"),
        ("oidc.example.org", "oidc.example.net"),
    ],
    ids=["sub", "provider"],
)
def test_a_trust_policy_that_means_somebody_else(stage: Scene, old: str, new: str) -> None:
    stage.in_iam(lambda iam: edit_trust(iam, old, new))
    stage.look_again()
    assert "mend the statement of edge" in stage.follow(stage.broken("TrustPolicyMismatch"))
    stage.ready()


def test_a_role_that_does_not_exist(stage: Scene) -> None:
    wrong = f"{ROLE}-wrong"
    stage.patch({"spec": {"addOns": {"awsECR": {"roleArn": wrong}}}})
    assert f"create {wrong}" in stage.follow(stage.broken("TrustPolicyMismatch"))
    stage.ready()
    stage.patch({"spec": {"addOns": {"awsECR": {"roleArn": ROLE}}}})
    stage.ready()


def paste_as_owner(stage: Scene, printed: str) -> None:
    """The registry's owner runs what was printed for the whole registry."""
    commands = [line for line in printed.splitlines() if line.startswith("  aws ecr put-")]
    owner = boto3.session.Session().client(
        "ecr",
        region_name=REGION,
        endpoint_url=stage.world.aws_endpoints["ecr"],
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="any",
    )
    done = aws_cli.run("\n".join(commands), stage.folder / "aws-cli", lambda _: owner, account=ACCOUNT)
    owner.close()
    assert (2, 0, "") == (len(commands), done.returncode, done.stderr)


def test_a_role_in_another_account(stage: Scene) -> None:
    stage.patch({"spec": {"addOns": {"awsECR": {"roleArn": ROLE.replace(ACCOUNT, OTHER)}}}})
    stage.follow(stage.broken("OidcProviderMissing"), account=OTHER)
    printed = stage.follow(stage.broken("RegistryAccessDenied"), account=OTHER)
    paste_as_owner(stage, printed)
    stage.ready()
    stage.patch({"spec": {"addOns": {"awsECR": {"roleArn": ROLE}}}})
    stage.ready()
