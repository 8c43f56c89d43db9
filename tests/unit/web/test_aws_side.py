"""What AWS needs: marks from what was seen, and commands that are whole."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from web import aws_side

ISSUER = "https://oidc.example.com/demo"


def cluster(role: str = "arn:aws:iam::123456789012:role/team/ecr", **registries: Any) -> dict[str, Any]:
    """A cluster as the API shows it; `registries` are members of awsECR's status."""
    partition, account = (
        ("aws", "${AWS_ACCOUNT_ID}") if not role else (role.split(":")[1], role.split(":")[4])
    )
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Principal": {
                    "Federated": f"arn:{partition}:iam::{account}:oidc-provider/oidc.example.com/demo"
                }
            }
        ],
    }
    status = {"trustPolicy": policy, "conditions": [], "issues": [], **registries}
    config = {"providerUrl": ISSUER, "audience": "sts.amazonaws.com"}
    return {
        "name": "demo",
        "spec": {"provider": {"generic": {}}, "addOns": {"awsECR": {"roleArn": role} if role else {}}},
        "status": {"addOns": {"awsECR": status, "awsWorkloadIdentity": {"oidcProviderConfig": config}}},
    }


def marks(**registries: Any) -> list[str]:
    return [str(item.mark) for item in aws_side.of_cluster(cluster(**registries))["checklist"]]


def command(key: str, shown: dict[str, Any]) -> str:
    return str(next(item.command for item in aws_side.of_cluster(shown)["checklist"] if item.key == key))


VERIFIED = [{"type": "CredentialsVerified", "status": "True"}]


def issue(code: str) -> list[dict[str, str]]:
    return [{"code": code, "message": f"about {code}"}]


def test_nothing_is_marked_before_it_was_seen() -> None:
    assert ["waiting"] * 4 == marks()


def test_what_is_refused_so_far_is_asked_again_and_what_comes_before_it_is_done() -> None:
    refused = {"code": "TrustPolicyMismatch", "message": "no", "until": "2026-11-22T06:00:00Z"}
    assert ["done", "done", "busy", "waiting"] == marks(
        refusedSoFar=refused, issues=issue("OidcProviderMissing")
    )


def test_a_verified_pull_marks_all() -> None:
    assert ["done"] * 4 == marks(conditions=VERIFIED)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("OidcProviderMissing", ["failed", "waiting", "waiting", "waiting"]),
        ("AudienceNotAllowed", ["done", "failed", "waiting", "waiting"]),
        ("TrustPolicyMismatch", ["done", "done", "failed", "waiting"]),
        ("EcrAccessDenied", ["done", "done", "done", "failed"]),
        ("StsUnreachable", ["waiting"] * 4),
    ],
)
def test_what_came_before_the_hop_that_failed_is_marked(code: str, expected: list[str]) -> None:
    assert expected == marks(issues=issue(code))


def test_a_mistake_now_counts_more_than_a_verification_before() -> None:
    assert ["done", "done", "failed", "waiting"] == marks(
        conditions=VERIFIED, issues=issue("TrustPolicyMismatch")
    )


def test_the_provider_is_made_with_its_audience() -> None:
    assert (
        f"aws iam create-open-id-connect-provider --url {ISSUER} --client-id-list sts.amazonaws.com"
        == command("provider", cluster())
    )
    assert "" == command("audience", cluster())


def test_an_audience_is_added_where_the_provider_lacks_it() -> None:
    found = command("audience", cluster(issues=issue("AudienceNotAllowed")))
    assert "arn:aws:iam::123456789012:oidc-provider/oidc.example.com/demo" in found


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_commands_are_for_the_partition_of_the_role(partition: str) -> None:
    shown = cluster(f"arn:{partition}:iam::123456789012:role/ecr")
    expected = f"--policy-arn arn:{partition}:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"
    assert command("permissions", shown).endswith(expected)


def test_the_permissions_that_the_api_knows_are_used() -> None:
    policy = {"Version": "2012-10-17", "Statement": [{"Sid": "Login"}]}
    found = command("permissions", cluster(permissionsPolicy=policy))
    assert found.startswith(
        "aws iam put-role-policy --role-name ecr --policy-name pullpass-pull --policy-document '{"
    )


def said_to_aws(line: str, folder: Path) -> list[str]:
    """What a shell hands to `aws` when `line` is pasted into it."""
    program = folder / "aws"
    program.write_text(
        '#!/bin/sh\n[ "$1" = sts ] && echo 210987654321 && exit\nfor each; do printf "%s\\n" "$each"; done\n'
    )
    program.chmod(0o755)
    path = {"PATH": f"{folder}:/usr/bin:/bin"}
    return subprocess.run(
        ["/bin/sh", "-c", line], env=path, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_pasting_the_trust_policy_needs_no_file(tmp_path: Path) -> None:
    shown = cluster()
    words = said_to_aws(command("trust", shown), tmp_path)
    assert ["iam", "update-assume-role-policy", "--role-name", "ecr", "--policy-document"] == words[:-1]
    assert shown["status"]["addOns"]["awsECR"]["trustPolicy"] == json.loads(words[-1])


def test_without_a_role_the_command_creates_one_in_the_account_of_whoever_pastes_it(tmp_path: Path) -> None:
    words = said_to_aws(command("trust", cluster("")), tmp_path)
    assert ["iam", "create-role", "--role-name", "pullpass"] == words[:4]
    principal = json.loads(words[-1])["Statement"][0]["Principal"]["Federated"]
    assert "arn:aws:iam::210987654321:oidc-provider/oidc.example.com/demo" == principal


def test_instances_of_aws_need_no_policy() -> None:
    shown = cluster("", trustPolicy=None)
    shown["spec"]["provider"] = {"aws": {}}
    found = aws_side.of_cluster(shown)
    assert (True, None) == (found["by_instance_role"], found["policy"])
