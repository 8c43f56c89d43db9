"""`pullpass aws read-role`: what it prints makes the role, by the `aws` command."""

from __future__ import annotations

from pathlib import Path

from tests.support import aws_cli
from tests.support.moto_account import ACCOUNT, empty_account
from tests.unit.cli.served import Shell


def test_what_is_printed_makes_a_role_that_asks_for_the_external_id(shell: Shell, tmp_path: Path) -> None:
    printed = shell.fine("aws", "read-role", "--role-name", "teams/look")
    external = shell.hub.get("/org/acme/-external-id").json
    with empty_account() as clients:
        done = aws_cli.run(printed, tmp_path / "bin", clients.of, account=ACCOUNT)
        assert (0, "") == (done.returncode, done.stderr)
        iam = clients.of("iam")
        role = iam.get_role(RoleName="look")["Role"]
        policy = iam.get_role_policy(RoleName="look", PolicyName="read")["PolicyDocument"]
    assert external is not None
    assert ("/teams/", external["trustPolicy"]) == (role["Path"], role["AssumeRolePolicyDocument"])
    assert "iam:GetRole" in policy["Statement"][0]["Action"]


def test_a_hub_that_does_not_know_itself_says_what_is_left_to_fill_in(shell: Shell) -> None:
    result = shell.pullpass("aws", "read-role")
    assert (0, True) == (result.exit_code, "${HUB_PRINCIPAL}" in result.stdout)
    assert "the hub's operator knows it" in result.stderr
