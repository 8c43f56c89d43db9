"""Each format, carried out on an account that holds nothing, leaves what `pullpass aws setup` leaves."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from aws import iam
from aws.setup.formats import FORMATS
from aws.setup.plan import plan
from aws.setup.wanted import NODE_ROLE_NAME, Wanted
from aws.trust_policy import ACCOUNT_PLACEHOLDER
from tests.support import aws_cli, cloudformation, iam_state, programs
from tests.support.aws import ISSUER, REGISTRY, AwsUnderTest, served
from tests.support.hcl import Terraform
from tests.support.moto_account import ACCOUNT, Clients, empty_account
from tests.support.plans import PLANS, cluster, wish

# The second looks like a page, which version 1 of the CLI would fetch.
AUDIENCES = ["sts.amazonaws.com", "https://127.0.0.1:1/audience"]


@pytest.fixture(params=list(PLANS.values()), ids=list(PLANS))
def wanted(request: pytest.FixtureRequest) -> Wanted:
    found: Wanted = request.param
    return found


class Carried:
    """A format carried out, with and without the role for nodes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def cli(self, text: str, clients: Clients, *, nodes: bool) -> None:
        done = aws_cli.run(
            text,
            self.folder / "bin",
            clients.of,
            account=ACCOUNT,
            AWS_REGION=clients.region,
            CREATE_NODE_ROLE=str(nodes).lower(),
        )
        assert (0, "") == (done.returncode, done.stderr)

    def cloudformation(self, text: str, clients: Clients, *, nodes: bool) -> None:
        cloudformation.apply(clients.of("cloudformation"), text, CreateNodeRole=str(nodes).lower())

    def terraform(self, text: str, clients: Clients, *, nodes: bool) -> None:
        data = {
            "data.aws_caller_identity.current.account_id": ACCOUNT,
            "data.aws_region.current.id": clients.region,
        }
        Terraform(clients.of("iam"), data, {"create_node_role": nodes}).apply(text)

    def json(self, text: str, clients: Clients, *, nodes: bool) -> None:
        """As a script of somebody's own would."""
        filled = text.replace(ACCOUNT_PLACEHOLDER, ACCOUNT).replace("${AWS_REGION}", clients.region)
        document, client = json.loads(filled), clients.of("iam")
        for provider in document["oidcProviders"]:
            client.create_open_id_connect_provider(
                Url=provider["url"], ClientIDList=provider["audiences"], Tags=listed(provider["tags"])
            )
        for role in [document["role"], *([document["nodeRole"]] if nodes else [])]:
            make_role(client, role)


def make_role(client: Any, role: dict[str, Any]) -> None:
    client.create_role(
        RoleName=role["name"],
        Path=role["path"],
        Description=role.get("description", ""),
        MaxSessionDuration=role.get("maxSessionSeconds", 3600),
        AssumeRolePolicyDocument=json.dumps(role["trustPolicy"]),
        Tags=listed(role["tags"]),
    )
    for name, policy in role.get("inlinePolicies", {}).items():
        client.put_role_policy(RoleName=role["name"], PolicyName=name, PolicyDocument=json.dumps(policy))
    for arn in role["managedPolicies"]:
        client.attach_role_policy(RoleName=role["name"], PolicyArn=arn)
    profile = role.get("instanceProfile")
    if profile is not None:
        client.create_instance_profile(InstanceProfileName=profile)
        client.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=role["name"])


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def filled(wanted: Wanted, region: str) -> Wanted:
    """As it is once account and region are known."""
    registries = tuple(
        replace(
            registry,
            account=registry.account.replace(ACCOUNT_PLACEHOLDER, ACCOUNT),
            region=registry.region.replace("${AWS_REGION}", region),
        )
        for registry in wanted.permissions.registries
    )
    return replace(
        wanted,
        role=replace(wanted.role, account=ACCOUNT),
        permissions=replace(wanted.permissions, registries=registries),
    )


def by_boto3(wanted: Wanted) -> dict[str, Any]:
    """What is there after `pullpass aws setup`."""
    with empty_account(wanted.role.partition) as clients:
        client, known = clients.of("iam"), filled(wanted, clients.region)
        found = plan(known, iam.read_state(client, known))
        assert () == found.obstacles
        list(iam.execute(client, found.steps, wait=lambda _: None))
        return iam_state.of_account(client, "pull", NODE_ROLE_NAME)


def by_format(form: str, wanted: Wanted, folder: Path, *, nodes: bool = False) -> dict[str, Any]:
    with empty_account(wanted.role.partition) as clients:
        getattr(Carried(folder), form)(FORMATS[form](wanted), clients, nodes=nodes)
        return iam_state.of_account(clients.of("iam"), "pull", NODE_ROLE_NAME)


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_has_the_effect_of_the_command(form: str, wanted: Wanted, tmp_path: Path) -> None:
    assert by_boto3(wanted) == by_format(form, wanted, tmp_path)


@pytest.mark.parametrize("form", FORMATS)
def test_the_role_for_nodes_is_made_where_it_is_asked_for(form: str, wanted: Wanted, tmp_path: Path) -> None:
    partition = wanted.role.partition
    service = "ec2.amazonaws.com.cn" if partition == "aws-cn" else "ec2.amazonaws.com"
    found = by_format(form, wanted, tmp_path, nodes=True)["roles"][NODE_ROLE_NAME]
    assert [f"arn:{partition}:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"] == found["attached"]
    assert [f"arn:{partition}:iam::{ACCOUNT}:instance-profile/{NODE_ROLE_NAME}"] == found["instance profiles"]
    assert service in found["trust"][0]
    assert "sts:assumerole" in found["trust"][0]
    assert {"managed-by": "pullpass", "pullpass.dev/organisation": "acme"} == found["tags"]


def test_the_script_makes_the_role_for_nodes_once(tmp_path: Path) -> None:
    _, mark, nodes = FORMATS["cli"](PLANS["one cluster"]).partition("# CREATE_NODE_ROLE")
    with empty_account() as clients:
        for _ in range(2):
            Carried(tmp_path).cli(f"set -euo pipefail\n{mark}{nodes}", clients, nodes=True)


@pytest.mark.parametrize("audience", AUDIENCES)
def test_the_script_is_taken_by_a_strict_iam_and_run_again_changes_nothing(
    tmp_path: Path, audience: str
) -> None:
    world = AwsUnderTest()
    wanted = wish(cluster("demo", audience, issuer=ISSUER), registries=(REGISTRY,))
    wanted = replace(wanted, role=replace(wanted.role, account="210987654321"))
    with served(world.aws.wsgi_app) as url:
        client = boto3.session.Session().client(
            "iam",
            region_name="us-east-1",
            endpoint_url=f"{url}/iam",
            aws_access_key_id=wanted.role.account,
            aws_secret_access_key="any",
        )
        for _ in range(2):
            done = aws_cli.run(
                FORMATS["cli"](wanted), tmp_path / "bin", lambda _: client, account=wanted.role.account
            )
            assert (0, "") == (done.returncode, done.stderr)
            assert () == plan(wanted, iam.read_state(client, wanted)).steps
        client.close()


@pytest.mark.parametrize("audience", AUDIENCES)
def test_the_aws_cli_itself_takes_the_script(tmp_path: Path, audience: str) -> None:
    if programs.find("aws") is None:
        pytest.skip("the AWS CLI is not here")
    world = AwsUnderTest()
    wanted = wish(cluster("demo", audience, issuer=ISSUER), registries=(REGISTRY,))
    account = {"AWS_ACCESS_KEY_ID": wanted.role.account, "AWS_SECRET_ACCESS_KEY": "any"}
    nothing = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    with served(world.aws.wsgi_app) as url:
        where = {"AWS_ENDPOINT_URL_IAM": f"{url}/iam", "AWS_DEFAULT_REGION": "us-east-1"}
        done = subprocess.run(
            ["bash"],
            input=FORMATS["cli"](wanted),
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **account, **nothing, **where},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (0, "") == (done.returncode, done.stderr)
        client = boto3.session.Session().client(
            "iam",
            region_name="us-east-1",
            endpoint_url=f"{url}/iam",
            aws_access_key_id=wanted.role.account,
            aws_secret_access_key="any",
        )
        assert () == plan(wanted, iam.read_state(client, wanted)).steps
        client.close()
