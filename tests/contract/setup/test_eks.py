"""An EKS cluster from nothing to Ready without a kubeconfig: by `pullpass connect --eks` and the steps that it prints."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from click.testing import CliRunner

from addon_api.app import ApiSettings, create_app
from aws.trust_policy import TrustedWorkload, subject, trust_policy
from cli.hub import Hub
from cli.main import main
from fleet import tokens
from fleet.database import Database
from fleet.records import Role
from fleet.sealing import Sealer
from kube.client import Client
from reconcile.clock import SystemClock
from sandbox.world import World
from tests.contract.controller.harness import admin_access
from tests.contract.setup.scene import ACCOUNT, IMAGE, REGION, ROLE, agent, be_impatient, controlling, serving
from tests.unit.agent.cell import eventually

ISSUER = f"https://oidc.eks.{REGION}.amazonaws.com/id/EXAMPLE"
HUB_USER = "arn:aws:iam::111111111111:user/pullpass-hub"
DEPLOY = f"arn:aws:iam::{ACCOUNT}:role/pullpass-deploy"
AGENT = subject("pullpass-system", "pullpass-agent")
MANIFEST = {
    "kind": "mk8s",
    "name": "demo",
    "spec": {
        "version": "1.34.4",
        "provider": {
            "aws": {
                "region": REGION,
                "deployRoleArn": DEPLOY,
                "vpcId": "vpc-1",
                "image": {"recommended": "amazon/al2023"},
                "nodePools": [],
            }
        },
        "addOns": {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE}},
    },
    "settings": {"awsECR": {"verifyImage": IMAGE, "delivery": "pullSecret"}},
}


class Aws:
    """The commands of the printed steps, done with boto3: nothing but what stands in them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def run(self, command: list[str]) -> None:
        options = dict(zip(command[3::2], command[4::2], strict=True))
        if command[1] == "iam":
            client = boto3.session.Session(ACCOUNT, "any", region_name=REGION).client(
                "iam", endpoint_url=self._world.aws_endpoints["iam"]
            )
            named: dict[str, Any] = {
                "RoleName": options["--role-name"],
                "PolicyDocument": options["--policy-document"],
            }
            if "--policy-name" in options:
                client.put_role_policy(PolicyName=options["--policy-name"], **named)
            else:
                client.update_assume_role_policy(**named)
            client.close()
            return
        groups = [options["--kubernetes-groups"]]
        name, region = options["--cluster-name"], options["--region"]
        self._world.aws.create_access_entry(ACCOUNT, region, name, options["--principal-arn"], groups)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """AWS with a deploy role that nobody may assume yet, and the identity of the hub's process."""
    be_impatient(monkeypatch)
    started = World(run_workloads=False)
    started.start()
    started.add_image(IMAGE)
    started.add_cluster("prod", issuer=ISSUER, public=True)
    started.join_eks("prod", account=ACCOUNT, region=REGION)
    started.create_oidc_provider(ACCOUNT, ISSUER, ["sts.amazonaws.com"])
    started.create_role(ROLE, trust_policy(ROLE, [TrustedWorkload(ISSUER, "sts.amazonaws.com", (AGENT,))]))
    nobody = {"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": "*"}
    started.create_role(DEPLOY, {"Statement": [nobody]}, allow=[])
    started.aws.create_user(HUB_USER, allow=["sts:AssumeRole"])
    key = started.aws.create_access_key(HUB_USER)
    for name, value in {
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_ENDPOINT_URL_STS": started.aws_endpoints["sts"],
        "AWS_ENDPOINT_URL_EKS": started.aws_endpoints["eks"],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    yield started
    started.stop()


@pytest.fixture
def hub(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """API and engine, and a shell that speaks to them."""
    del world  # its identity is there before the engine
    database = Database(f"sqlite:///{tmp_path}/pullpass.db", sealer=Sealer((bytes(32),)))
    database.migrate()
    clock = SystemClock()
    settings = ApiSettings(aws_principal=HUB_USER, allow_loopback=True)
    token = tokens.issue(database, org="acme", role=Role.ADMIN, name="ada", now=clock.now())
    with ExitStack() as stack:
        stack.callback(database.close)
        endpoint = stack.enter_context(serving(create_app(database, settings, now=clock.now)))
        for name, value in (("ENDPOINT", endpoint), ("TOKEN", token), ("ORG", "acme")):
            monkeypatch.setenv(f"PULLPASS_{name}", value)
        stack.enter_context(controlling(database))
        yield Hub(endpoint, token, "acme")


def pullpass(*arguments: str) -> str:
    done = CliRunner().invoke(main, list(arguments))
    assert done.exit_code == 0, f"{done.output}{done.exception!r}"
    return done.stdout


def codes(hub: Hub) -> set[str]:
    status = hub.request("GET", hub.cluster("demo"))["status"]
    return {issue["code"] for issue in status.get("issues") or ()}


def state(hub: Hub) -> str:
    status = hub.request("GET", hub.cluster("demo"))["status"]
    return str(status["addOns"].get("awsECR", {}).get("state"))


def test_each_printed_step_brings_it_further_until_it_is_ready(
    world: World, hub: Hub, tmp_path: Path
) -> None:
    endpoints = world.aws_endpoints
    aws = {f"{name}Endpoint": endpoints[name] for name in ("sts", "ecr", "registry")}
    for name, document in (("demo", MANIFEST), ("settings", {"aws": aws})):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(document))
    pullpass("clusters", "apply", "-f", str(tmp_path / "demo.yaml"))

    printed = pullpass("connect", "demo", "--eks", "prod", "--settings", str(tmp_path / "settings.yaml"))

    trust, describe, enter, rights = (
        shlex.split(line) for line in printed.splitlines() if line.startswith("   ")
    )
    cloud = Aws(world)
    eventually(lambda: codes(hub) == {"DeployRoleRefused"})
    cloud.run(trust)
    eventually(lambda: codes(hub) == {"EksAccessDenied"})
    cloud.run(describe)
    eventually(lambda: codes(hub) == {"EksNoAccessEntry"})
    cloud.run(enter)
    eventually(lambda: codes(hub) == {"EksRightsMissing"})
    admin = Client(admin_access(world.clusters["prod"]))
    for obj in yaml.safe_load_all(pullpass(*rights[1 : rights.index("|")])):
        admin.apply(obj)
    admin.close()
    with agent(world.clusters["prod"], tmp_path):
        eventually(lambda: state(hub) == "Ready")
    assert codes(hub) == set()
    assert hub.request("GET", hub.cluster("demo"))["status"]["oidcProviderUrl"] == ISSUER
