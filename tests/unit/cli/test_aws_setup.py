"""`pullpass aws` as a person runs it: on an account that holds nothing, against the playground, with its own process."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.playground import ACCOUNT, ROOT, Playground, running

ISSUER = "https://oidc.eks.eu-central-1.amazonaws.com/id/0F1E2D3C4B5A69788796A5B4C3D2E1F0"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER.removeprefix('https://')}"
MADE = f"arn:aws:iam::{ACCOUNT}:role/teams/made"
OTHER = "210987654321"


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with running(tmp_path_factory.mktemp("playground")) as playground:
        yield playground


@pytest.fixture
def iam(playground: Playground) -> Iterator[Any]:
    client = boto3.session.Session().client(
        "iam",
        region_name="us-east-1",
        endpoint_url=f"{playground.aws_url}/iam",
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="any",
    )
    yield client
    client.close()


@pytest.fixture
def empty(playground: Playground, iam: Any) -> Any:
    """An account with neither provider nor role, and the cluster demo with awsECR on, without a role."""
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for attached in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=attached["PolicyArn"])
        iam.delete_role(RoleName=name)
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=PROVIDER)
    add_ons = {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": None}}
    playground.call("PATCH", "/demo", {"spec": {"addOns": add_ons}})
    playground.wait(lambda: "trustPolicy" in playground.add_on("demo"), "acted upon")
    return iam


def pullpass(
    playground: Playground,
    *arguments: str,
    account: str = ACCOUNT,
    stdin: int = subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(playground.directory)}
        | playground.environment(account=account)
        | dict(environment or {}),
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def set_up(playground: Playground, *more: str) -> subprocess.CompletedProcess[str]:
    done = pullpass(playground, "aws", "setup", "demo", "--role-name", "teams/made", "--yes", *more)
    assert 0 == done.returncode, done.stderr
    return done


def verbs(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [step["permission"] for step in json.loads(done.stdout)["steps"]]


def test_from_an_empty_account_to_ready_and_nothing_more_to_do(playground: Playground, empty: Any) -> None:
    done = set_up(playground)
    assert f"demo uses {MADE} now" in done.stdout
    playground.wait(lambda: playground.add_on("demo").get("state") == "Ready", "Ready")
    assert MADE == playground.call("GET", "/demo")["spec"]["addOns"]["awsECR"]["roleArn"]
    again = pullpass(playground, "aws", "setup", "demo", "--yes")
    assert (0, f"AWS account {ACCOUNT} holds all that demo needs.\n") == (again.returncode, again.stdout)
    assert 0 == pullpass(playground, "aws", "status", "demo").returncode


def test_on_a_terminal_it_asks_before_aws_and_before_the_hub(playground: Playground, empty: Any) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"y\nn\n")
    try:
        done = pullpass(playground, "aws", "setup", "demo", "--role-name", "made", stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert 0 == done.returncode, done.stderr
    assert f"Do this in AWS account {ACCOUNT} as arn:aws:iam::{ACCOUNT}:user/administrator?" in done.stdout
    assert ["made"] == [role["RoleName"] for role in empty.list_roles()["Roles"]]
    assert (
        f"later: pullpass addons enable demo awsECR --role-arn arn:aws:iam::{ACCOUNT}:role/made"
        in done.stderr
    )
    assert "roleArn" not in playground.call("GET", "/demo")["spec"]["addOns"]["awsECR"]


def test_what_is_broken_is_found_and_mended(playground: Playground, empty: Any) -> None:
    set_up(playground)
    empty.remove_client_id_from_open_id_connect_provider(
        OpenIDConnectProviderArn=PROVIDER, ClientID="sts.amazonaws.com"
    )
    empty.delete_role_policy(RoleName="made", PolicyName="pullpass-pull")
    found = pullpass(playground, "aws", "status", "demo", "-o", "json")
    assert (1, ["iam:AddClientIDToOpenIDConnectProvider", "iam:PutRolePolicy"]) == (
        found.returncode,
        verbs(found),
    )
    set_up(playground)
    assert 0 == pullpass(playground, "aws", "status", "demo").returncode


def test_a_dry_run_changes_nothing(playground: Playground, empty: Any) -> None:
    found = pullpass(playground, "aws", "setup", "demo", "--role-name", "made", "--dry-run", "-o", "json")
    assert ["iam:CreateOpenIDConnectProvider", "iam:CreateRole", "iam:PutRolePolicy"] == verbs(found)
    assert (0, []) == (found.returncode, empty.list_roles()["Roles"])
    assert "roleArn" not in playground.call("GET", "/demo")["spec"]["addOns"]["awsECR"]


def test_teardown_leaves_nothing_of_ours(playground: Playground, empty: Any) -> None:
    set_up(playground)
    done = pullpass(playground, "aws", "teardown", "demo", "--yes")
    assert 0 == done.returncode, done.stderr
    assert [] == empty.list_roles()["Roles"]
    assert [] == empty.list_open_id_connect_providers()["OpenIDConnectProviderList"]


def test_permissions_can_be_narrowed_widened_and_left_to_aws(playground: Playground, empty: Any) -> None:
    set_up(playground, "--repository", "shop/*", "--pull-through", "hub", "--public")
    policy = empty.get_role_policy(RoleName="made", PolicyName="pullpass-pull")["PolicyDocument"]
    assert {"Login", "Pull", "PullThrough", "PublicLogin"} == {one["Sid"] for one in policy["Statement"]}
    assert f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/shop/*" == policy["Statement"][1]["Resource"]
    set_up(playground, "--permissions", "pull-only")
    attached = empty.list_attached_role_policies(RoleName="made")["AttachedPolicies"]
    assert ["AmazonEC2ContainerRegistryPullOnly"] == [one["PolicyName"] for one in attached]
    assert [] == empty.list_role_policies(RoleName="made")["PolicyNames"]


def test_the_owner_of_another_accounts_registry_is_told_what_to_run(
    playground: Playground, empty: Any
) -> None:
    done = set_up(playground, "--registry", f"{OTHER}.dkr.ecr.us-east-1.amazonaws.com")
    assert "aws ecr put-registry-policy --region us-east-1 --policy-text" in done.stdout
    assert "aws ecr set-repository-policy --region us-east-1 --repository-name REPOSITORY" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["setup", "demo"], 2, "--role-name"),
        (["setup", "demo"], 2, "pullpass aws attach-node-role demo"),
        (["setup", "demo", "--role-name", "made"], 2, "pass --yes"),
        (["setup", "demo", "--role-name", "a b", "--yes"], 2, "--role-name"),
        (["setup", "nobody", "--yes"], 1, "nobody"),
        (["setup", "edge", "--yes"], 1, "IssuerNotUsable"),
        (["setup", "demo", "--role-name", "a", "--yes", "--repository", "A"], 2, "repository 'A'"),
        (["setup", "demo", "--role-name", "a", "--yes", "--registry", "x"], 2, "no ECR registry"),
        (["setup", "demo", "--yes", "--permissions", "pull-only", "--public"], 2, "--permissions least"),
        (["teardown", "demo", "--yes"], 1, "nothing of it is in AWS"),
        (["attach-node-role", "edge", "--yes"], 2, "not of provider aws"),
    ],
)
def test_what_cannot_be_done_is_said(
    playground: Playground, empty: Any, arguments: list[str], code: int, words: str
) -> None:
    if arguments == ["setup", "demo"]:
        arguments = [*arguments, "--dry-run"]
    done = pullpass(playground, "aws", *arguments)
    assert (code, True) == (done.returncode, words in done.stderr), done.stderr


@pytest.mark.parametrize("form", ["cli", "cloudformation", "terraform", "json"])
@pytest.mark.parametrize("options", [[], ["--registry", f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com"]])
def test_it_is_printed_for_others_without_asking_aws(
    playground: Playground, empty: Any, form: str, options: list[str]
) -> None:
    nothing = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    done = pullpass(
        playground,
        "aws",
        "setup",
        "demo",
        "--role-name",
        "made",
        "--format",
        form,
        *options,
        environment=nothing,
    )
    assert 0 == done.returncode, done.stderr
    assert "oidc.eks.eu-central-1.amazonaws.com/id/" in done.stdout
    assert [] == empty.list_roles()["Roles"]


def test_credentials_of_another_account_are_told_apart(playground: Playground, empty: Any) -> None:
    set_up(playground)
    done = pullpass(playground, "aws", "setup", "demo", "--yes", account=OTHER)
    assert (1, True) == (done.returncode, f"these credentials (arn:aws:iam::{OTHER}:" in done.stderr)


def test_without_aws_credentials_it_says_how_to_get_some(playground: Playground, empty: Any) -> None:
    nothing = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    done = pullpass(playground, "aws", "setup", "demo", "--role-name", "made", "--yes", environment=nothing)
    assert (1, True) == (done.returncode, "no AWS credentials found" in done.stderr)
    assert "refused" not in done.stderr  # nobody was asked


@pytest.mark.parametrize(
    ("more", "account"),
    [(["--profile", "theirs"], OTHER), ([], ACCOUNT)],
    ids=["a named profile wins over keys in the environment", "keys win over the environment's profile"],
)
def test_credentials_are_found_as_the_aws_cli_finds_them(
    playground: Playground, empty: Any, tmp_path: Path, more: list[str], account: str
) -> None:
    set_up(playground)
    file = tmp_path / "config"
    file.write_text(f"[profile theirs]\naws_access_key_id = {OTHER}\naws_secret_access_key = any\n")
    environment = {"AWS_PROFILE": "theirs", "AWS_CONFIG_FILE": str(file)}
    done = pullpass(playground, "aws", "status", "demo", *more, environment=environment)
    assert (account == OTHER) == (f"these credentials (arn:aws:iam::{OTHER}:" in done.stderr), done.stderr
