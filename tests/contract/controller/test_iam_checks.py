"""What AWS holds against what a cluster needs, read by the hub with a role that may only read, in a strict AWS."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from aws.setup import read_role
from fleet import external_ids, looking
from sandbox.world import World
from schemas.agent_documents import AGENT_ACCOUNT, NAMESPACE_NAME
from tests.contract.controller.harness import ALICE, BOTH, ISSUER, ROLE_ARN, Hub
from tests.unit.agent.cell import eventually

ACCOUNT, OTHER = "123456789012", "210987654321"
HUB = "arn:aws:iam::111111111111:user/pullpass-hub"
READER = f"arn:aws:iam::{ACCOUNT}:role/pullpass-read"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.example.org/id/1"
SUBJECT = f"system:serviceaccount:{NAMESPACE_NAME}:{AGENT_ACCOUNT}"
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "iam-checks.md"
READING = re.findall(r'"((?:iam|ecr):\w+)"', PAGE.read_text())  # the policy that people are told to give


def test_the_printed_commands_give_what_the_page_says() -> None:
    assert list(read_role.ACTIONS) == READING


@pytest.fixture
def world() -> Iterator[World]:
    """An AWS of its own: what another test leaves in IAM would be read here."""
    started = World(run_workloads=False)
    started.start()
    yield started
    started.stop()


@dataclass
class Checked:
    """A hub that may read IAM, and the account of the cluster's role as its owner sees it."""

    hub: Hub
    world: World
    iam: Any

    def answer(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """`status.addOns.awsECR.iam`, as soon as it is as it should be."""

        def look() -> dict[str, Any] | None:
            self.hub.run()
            found = dict(self.hub.ecr().details["iam"])
            return found if wanted(found) else None

        return eventually(look)

    def checked(self) -> list[str]:
        """The differences that a check finds from now on."""
        self.hub.clock.advance(3601)
        self.hub.report()
        now = self.hub.clock.now().replace(microsecond=0)
        at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        return list(self.answer(lambda found: found.get("checkedAt") == at)["differences"])

    def remedies(self) -> dict[str, str]:
        return {issue.code: issue.remedy for issue in self.hub.ecr().issues}


def let_in(world: World, external_id: str | None, allow: list[str], *, reader: str = READER) -> None:
    """The role that reads trusts the hub's user."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": HUB}}
    if external_id is not None:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    world.create_role(reader, {"Version": "2012-10-17", "Statement": [statement]}, allow=allow)


@pytest.fixture
def account(hub: Hub, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checked]:
    """Everything in place: provider, role, trust and permissions, made as `pullpass aws setup` does."""
    world.aws.create_user(HUB, allow=["sts:AssumeRole"])
    key = world.aws.create_access_key(HUB)
    endpoints = world.aws_endpoints
    for name, value in {
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_ENDPOINT_URL_STS": endpoints["sts"],
        "AWS_ENDPOINT_URL_IAM": endpoints["iam"],
        "AWS_ENDPOINT_URL_ECR": endpoints["ecr"],
    }.items():
        monkeypatch.setenv(name, value)
    let_in(world, external_ids.of_organisation(hub.database, "acme"), READING)
    world.create_oidc_provider(ACCOUNT, ISSUER, ["sts.amazonaws.com"])
    condition = {
        "oidc.example.org/id/1:aud": "sts.amazonaws.com",
        "oidc.example.org/id/1:sub": ["somebody:else", SUBJECT],
    }
    world.create_role(
        ROLE_ARN,
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Federated": PROVIDER},
                    "Action": "sts:AssumeRoleWithWebIdentity",
                    "Condition": {"StringEquals": condition},
                }
            ],
        },
    )
    hub.restart(iam_check_role="pullpass-read")
    hub.settle()
    iam = boto3.session.Session().client(
        "iam",
        region_name="us-east-1",
        endpoint_url=endpoints["iam"],
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="any",
    )
    checked = Checked(hub, world, iam)
    checked.answer(lambda found: bool(found["checked"]))
    yield checked
    iam.close()


def test_an_account_that_holds_all_has_no_differences_whatever_its_form(account: Checked) -> None:
    found = account.answer(lambda found: bool(found["checked"]))
    assert ([], []) == (found["differences"], found["notJudged"])
    assert {} == account.remedies()


def test_what_goes_missing_is_told_before_a_pull_fails_of_it(account: Checked) -> None:
    account.iam.remove_client_id_from_open_id_connect_provider(
        OpenIDConnectProviderArn=PROVIDER, ClientID="sts.amazonaws.com"
    )
    assert [
        f"the OIDC provider for {ISSUER} does not allow the audience sts.amazonaws.com"
    ] == account.checked()
    assert {
        "IamProviderDiffers": "With credentials for account 123456789012: pullpass aws setup demo --org acme"
    } == account.remedies()
    assert "Ready" == account.hub.ecr().state


def test_a_role_that_trusts_somebody_else(account: Checked) -> None:
    document = account.iam.get_role(RoleName="pull")["Role"]["AssumeRolePolicyDocument"]
    changed = json.dumps(document).replace(SUBJECT, "nobody")
    account.iam.update_assume_role_policy(RoleName="pull", PolicyDocument=changed)
    assert [f"the trust policy does not let {SUBJECT} of demo in"] == account.checked()
    assert ["IamTrustDiffers"] == list(account.remedies())


def test_a_role_that_may_not_log_in(account: Checked) -> None:
    account.iam.delete_role_policy(RoleName="pull", PolicyName="allow")
    found = account.checked()
    assert "ecr:GetAuthorizationToken on * is not allowed" == found[0]
    assert ["IamPermissionsDiffer"] == list(account.remedies())


def test_a_difference_goes_when_it_is_mended(account: Checked) -> None:
    account.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=PROVIDER)
    assert [f"there is no OIDC provider for {ISSUER}"] == account.checked()
    account.world.create_oidc_provider(ACCOUNT, ISSUER, ["sts.amazonaws.com"])
    assert [] == account.checked()
    assert {} == account.remedies()


def test_a_change_of_the_cluster_is_checked_at_once(account: Checked) -> None:
    account.hub.wish({**BOTH, "awsECR": {"roleArn": f"{ROLE_ARN}-other"}})
    found = account.answer(lambda found: bool(found.get("differences")))
    assert [f"the role {ROLE_ARN}-other does not exist"] == found["differences"]


def test_a_look_that_was_asked_for_asks_iam_again_before_the_hour_is_over(account: Checked) -> None:
    account.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=PROVIDER)
    account.hub.clock.advance(2)
    looking.look(account.hub.database, ALICE, account.hub.key, now=account.hub.clock.now())
    found = account.answer(lambda found: bool(found.get("differences")))
    assert [f"there is no OIDC provider for {ISSUER}"] == found["differences"]


def test_a_registry_whose_owner_does_not_let_the_role_in(account: Checked) -> None:
    image = f"{OTHER}.dkr.ecr.eu-central-1.amazonaws.com/shop/web:1"
    own = external_ids.of_organisation(account.hub.database, "acme")
    let_in(account.world, own, READING, reader=READER.replace(ACCOUNT, OTHER))
    owner = boto3.session.Session().client(
        "ecr",
        region_name="eu-central-1",
        endpoint_url=account.world.aws_endpoints["ecr"],
        aws_access_key_id=OTHER,
        aws_secret_access_key="any",
    )
    owner.set_repository_policy(repositoryName="shop/web", policyText='{"Statement": []}')
    settings = {"registries": [image.partition("/")[0]], "verifyImage": image, "delivery": "pullSecret"}
    account.hub.wish(BOTH, {"awsECR": settings})
    account.answer(lambda found: bool(found.get("differences")))
    words = shlex.split(account.remedies()["RegistryPolicyDiffers"].partition(": ")[2])
    assert ["aws", "ecr", "set-repository-policy", "--region", "eu-central-1"] == words[:5]
    assert ["--repository-name", "shop/web", "--policy-text"] == words[5:8]
    owner.set_repository_policy(repositoryName="shop/web", policyText=words[8])
    owner.close()
    assert [] == account.checked()


def test_a_registry_whose_account_gives_no_access_is_told_as_not_judged(account: Checked) -> None:
    account.hub.wish(BOTH, {"awsECR": {"registries": [f"{OTHER}.dkr.ecr.eu-central-1.amazonaws.com"]}})
    words = account.answer(lambda found: bool(found.get("notJudged")))["notJudged"]
    assert f"the registry of account {OTHER} in eu-central-1 was not checked: DeployRoleRefused" in words[0]


def test_without_access_it_is_not_checked_and_says_so(account: Checked) -> None:
    account.hub.restart()
    found = account.answer(lambda found: not found["checked"])
    assert {
        "checked": False,
        "reason": "not checked: the hub has not been given read access (PULLPASS_IAM_CHECK_ROLE)",
    } == found


def test_a_role_that_lets_any_organisation_read_is_not_used(account: Checked) -> None:
    let_in(account.world, None, READING)
    account.hub.restart(iam_check_role="pullpass-read")
    found = account.answer(lambda found: "external id" in found.get("reason", ""))
    assert found["reason"].startswith(f"not checked: {READER} does not ask for the external id pullpass-")


def test_a_permission_that_lacks_is_named(account: Checked) -> None:
    own = external_ids.of_organisation(account.hub.database, "acme")
    let_in(account.world, own, [action for action in READING if action != "iam:GetRole"])
    account.hub.restart(iam_check_role="pullpass-read")
    found = account.answer(lambda found: "iam:GetRole" in found.get("reason", ""))
    assert found["reason"].startswith(f"not checked: {READER} may not iam:GetRole: AccessDenied")


def test_an_aws_that_is_away_is_not_waited_for_and_not_taken_for_fine(account: Checked) -> None:
    account.world.aws.set_down("sts")
    account.hub.clock.advance(3601)
    account.hub.report()
    found = account.answer(lambda found: not found["checked"])
    assert found["reason"].startswith("not checked: HubAwsUnreachable: ")
    assert {} == account.remedies()
    assert "Ready" == account.hub.ecr().state


def test_an_aws_that_hangs_holds_no_reconcile_up(account: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{silent.getsockname()[1]}")
        account.hub.restart(iam_check_role="pullpass-read")
        account.hub.run()
        assert "not checked: AWS has not answered yet" == account.hub.ecr().details["iam"]["reason"]
        assert "Ready" == account.hub.ecr().state
