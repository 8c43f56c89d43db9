"""`pullpass connect --eks`: what is sent, what is installed, and every step that is left, ready to paste."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import eks_steps
from fleet import connections, external_ids
from kube.client import Client
from kube.errors import NotFound
from kube.kubeconfig import access_from_kubeconfig
from kube.objects import CLUSTER_ROLE_BINDING, SERVICE_ACCOUNT
from sandbox.world import World
from schemas.eks import EksCluster, EksRole
from tests.support.hub import manifest
from tests.unit.cli.served import Shell

DEPLOY = "arn:aws:iam::210987654321:role/teams/deploy"
INNER = "arn:aws:iam::333333333333:role/inner"
HUB_ROLE = "arn:aws:iam::111111111111:role/hub"


def aws(**members: Any) -> dict[str, Any]:
    body = {
        "region": "eu-central-1",
        "deployRoleArn": DEPLOY,
        "vpcId": "vpc-1",
        "image": {"recommended": "amazon/al2023"},
        **members,
    }
    return manifest(provider={"aws": body})


@pytest.fixture
def known(shell: Shell) -> Shell:
    assert shell.hub.put(aws()).status_code == 201
    return shell


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    world = World(run_workloads=False)
    world.start()
    path = tmp_path / "kubeconfig"
    path.write_text(
        world.add_cluster("prod", issuer="https://oidc.example.com/prod", public=False).kubeconfig()
    )
    yield path
    world.stop()


def stored(shell: Shell) -> EksCluster | None:
    found = connections.read(shell.hub.database, shell.hub.stored("demo").uid)
    return None if found is None else found.eks


def commands(printed: str) -> list[list[str]]:
    """The indented lines, as a shell would take them apart."""
    return [shlex.split(line) for line in printed.splitlines() if line.startswith("   ")]


def test_the_cluster_is_named_and_nothing_secret_is_sent(known: Shell) -> None:
    known.fine("connect", "demo", "--eks", "prod")
    assert EksCluster("prod", "eu-central-1", (EksRole(DEPLOY),)) == stored(known)


def test_region_and_role_may_be_named(known: Shell) -> None:
    known.fine("connect", "demo", "--eks", "prod", "--region", "us-east-1", "--role-arn", INNER)
    assert EksCluster("prod", "us-east-1", (EksRole(INNER),)) == stored(known)


def test_every_step_is_printed_ready_to_paste(known: Shell) -> None:
    trust, describe, enter, rights = commands(known.fine("connect", "demo", "--eks", "prod"))
    statement = json.loads(trust[-1])["Statement"][0]
    external_id = external_ids.of_organisation(known.hub.database, "acme")
    assert trust[:5] == ["aws", "iam", "update-assume-role-policy", "--role-name", "deploy"]
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": external_id}}
    assert json.loads(describe[-1])["Statement"][0]["Action"] == "eks:DescribeCluster"
    assert enter == shlex.split(
        "aws eks create-access-entry --cluster-name prod --region eu-central-1"
        f" --principal-arn {DEPLOY} --kubernetes-groups pullpass-hub"
    )
    assert rights[:6] == ["pullpass", "connect", "demo", "--eks", "prod", "--print"]


def test_of_a_chain_the_first_lets_the_hub_in_and_the_last_goes_on(shell: Shell) -> None:
    shell.hub.put(aws(deployRoleChain=[{"roleArn": INNER}]))
    trust, describe, enter, _ = commands(shell.fine("connect", "demo", "--eks", "prod"))
    assert (trust[4], describe[4], enter[enter.index("--principal-arn") + 1]) == ("deploy", "inner", INNER)


def test_a_context_installs_the_rights_for_the_group_and_makes_no_account(
    known: Shell, kubeconfig: Path
) -> None:
    printed = known.fine("connect", "demo", "--eks", "prod", "--kubeconfig", str(kubeconfig), "--yes")
    client = Client(access_from_kubeconfig(str(kubeconfig), None))
    binding = client.get(CLUSTER_ROLE_BINDING, "pullpass-hub")
    assert [subject["kind"] for subject in binding["subjects"]] == ["Group"]
    with pytest.raises(NotFound):
        client.get(SERVICE_ACCOUNT, "pullpass-hub", namespace="pullpass-system")
    client.close()
    assert len(commands(printed)) == 3


@pytest.mark.parametrize("order", [("--eks", "prod", "--print"), ("--print", "--eks", "prod")])
def test_the_rights_for_eks_are_printed_without_a_hub(shell: Shell, order: tuple[str, ...]) -> None:
    result = shell.pullpass("connect", "demo", *order, environment={"PULLPASS_ENDPOINT": None})
    kinds = {
        subject["kind"] for obj in yaml.safe_load_all(result.stdout) for subject in obj.get("subjects", ())
    }
    assert (result.exit_code, kinds) == (0, {"Group"})


@pytest.mark.parametrize(
    "arguments",
    [
        ("--region", "eu-central-1"),
        ("--role-arn", DEPLOY),
        ("--eks", "prod", "--server", "https://x.example.com"),
    ],
)
def test_what_makes_no_sense_together_is_wrong_usage(known: Shell, arguments: tuple[str, ...]) -> None:
    assert known.pullpass("connect", "demo", *arguments).exit_code == 2
    assert stored(known) is None


def test_another_provider_is_refused_and_nothing_is_touched(shell: Shell, kubeconfig: Path) -> None:
    shell.hub.put(manifest())
    result = shell.pullpass("connect", "demo", "--eks", "prod", "--kubeconfig", str(kubeconfig), "--yes")
    client = Client(access_from_kubeconfig(str(kubeconfig), None))
    with pytest.raises(NotFound):
        client.get(CLUSTER_ROLE_BINDING, "pullpass-hub")
    client.close()
    assert (result.exit_code, "works with provider `aws` alone" in result.output) == (1, True)


def test_a_hub_that_says_who_it_is_leaves_nothing_to_fill_in() -> None:
    external = {"principal": HUB_ROLE, "trustPolicy": {"Statement": [{"Principal": {"AWS": HUB_ROLE}}]}}
    connected = {"cluster": "prod", "region": "eu-central-1", "roles": [DEPLOY]}
    printed = eks_steps.text("acme", "demo", connected, external, installed=False)
    assert "${" not in printed
    assert HUB_ROLE in printed


def test_reconnecting_installs_nothing_where_the_hub_enters_by_eks(known: Shell, kubeconfig: Path) -> None:
    known.fine("connect", "demo", "--eks", "prod")
    result = known.pullpass("reconnect", "demo", "--kubeconfig", str(kubeconfig), "--yes")
    client = Client(access_from_kubeconfig(str(kubeconfig), None))
    with pytest.raises(NotFound):
        client.get(CLUSTER_ROLE_BINDING, "pullpass-hub")
    client.close()
    assert (1, True) == (result.exit_code, "do: pullpass connect demo --eks prod" in result.stderr)
