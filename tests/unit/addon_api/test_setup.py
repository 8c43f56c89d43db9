"""What AWS needs, as text for other tools: made from the clusters of the role, refused with what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from addon_api.app import ApiSettings
from fleet.database import Database
from tests.support.hub import ISSUER, ROLE_ARN, Hub, make_hub, manifest, status

PATH = "/org/acme/mk8s/demo/-addons/awsECR/setup"
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
IDENTITY: dict[str, Any] = {"awsWorkloadIdentity": {}}
DEPLOY_ROLE = "arn:aws:iam::210987654321:role/deploy"
AWS = {
    "aws": {
        "region": "eu-west-1",
        "deployRoleArn": DEPLOY_ROLE,
        "image": {"recommended": "amazon/al2023"},
        "vpcId": "vpc-087b3e0f680a7e91e",
    }
}


def known(hub: Hub, name: str = "demo", issuer: str | None = None, **members: Any) -> None:
    """A cluster whose issuer is known."""
    answer = hub.put({**manifest(name), **members})
    assert answer.status_code in {200, 201}, answer.text
    hub.report(name, status(issuer or f"https://oidc.example.com/{name}"))


def spec(**changes: Any) -> dict[str, Any]:
    return {"spec": {**manifest()["spec"], **changes}}


def plan(hub: Hub, query: str = "") -> Any:
    answer = hub.get(f"{PATH}?format=json{query}", caller="viewer")
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text)


def refused(hub: Hub, query: str = "") -> tuple[int, str, str]:
    answer = hub.get(PATH + query)
    assert answer.json is not None
    return answer.status_code, answer.json["code"], answer.json["message"]


@pytest.mark.parametrize(
    ("form", "content_type", "file"),
    [
        ("cli", "text/x-shellscript; charset=utf-8", "demo-setup.sh"),
        ("cloudformation", "application/yaml", "demo-pullpass.yaml"),
        ("terraform", "text/plain; charset=utf-8", "demo-pullpass.tf"),
        ("json", "application/json", "demo-pullpass.json"),
    ],
)
def test_each_format_comes_as_a_file_of_its_own_kind(
    hub: Hub, form: str, content_type: str, file: str
) -> None:
    known(hub)
    answer = hub.get(f"{PATH}?format={form}", caller="viewer")
    assert (200, content_type, f'attachment; filename="{file}"') == (
        answer.status_code,
        answer.content_type,
        answer.headers["Content-Disposition"],
    )
    assert ISSUER in answer.text


def test_a_plan_names_provider_role_and_permissions(hub: Hub) -> None:
    known(hub, settings={"awsECR": {"registries": [REGISTRY]}})
    found = plan(hub)
    assert (ISSUER, ["sts.amazonaws.com"]) == (
        found["oidcProviders"][0]["url"],
        found["oidcProviders"][0]["audiences"],
    )
    assert ROLE_ARN == found["role"]["arn"]
    pull = found["role"]["inlinePolicies"]["pullpass-pull"]["Statement"][1]
    assert "arn:aws:ecr:eu-central-1:123456789012:repository/*" == pull["Resource"]


def test_it_is_for_every_cluster_that_shares_the_role(hub: Hub) -> None:
    known(hub)
    known(hub, "edge", settings={"awsECR": {"registries": [REGISTRY]}})
    known(hub, "other", **spec(addOns={**IDENTITY, "awsECR": {"roleArn": f"{ROLE_ARN}-2"}}))
    known(hub, "leaving")
    hub.call("DELETE", "/org/acme/mk8s/leaving")
    found = plan(hub)
    assert ["https://oidc.example.com/demo", "https://oidc.example.com/edge"] == [
        provider["url"] for provider in found["oidcProviders"]
    ]
    assert REGISTRY[:12] in json.dumps(found["role"]["inlinePolicies"])


def test_without_a_role_it_is_for_one_to_be_made_in_whichever_account(hub: Hub) -> None:
    known(hub, **spec(addOns={**IDENTITY, "awsECR": {}}))
    assert "arn:aws:iam::${AWS_ACCOUNT_ID}:role/pullpass" == plan(hub)["role"]["arn"]
    assert (
        "arn:aws:iam::${AWS_ACCOUNT_ID}:role/teams/made" == plan(hub, "&roleName=teams/made")["role"]["arn"]
    )


def test_without_a_registry_it_is_that_of_the_account_in_whichever_region(hub: Hub) -> None:
    known(hub)
    pull = "arn:aws:ecr:%s:123456789012:repository/*"
    for query, region in (("", "${AWS_REGION}"), ("&region=eu-west-1", "eu-west-1")):
        policy = plan(hub, query)["role"]["inlinePolicies"]["pullpass-pull"]
        assert pull % region == policy["Statement"][1]["Resource"]


def test_permissions_can_be_narrowed_widened_and_left_to_aws(hub: Hub) -> None:
    known(hub)
    query = f"&registry={REGISTRY}&repository=shop/*&repository=web&pullThrough=hub&public=true"
    statements = plan(hub, query)["role"]["inlinePolicies"]["pullpass-pull"]["Statement"]
    assert ["Login", "Pull", "PullThrough", "PublicLogin"] == [one["Sid"] for one in statements]
    assert 2 == len(statements[1]["Resource"])
    managed = plan(hub, "&permissions=pull-only")["role"]
    assert (["arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"], {}) == (
        managed["managedPolicies"],
        managed["inlinePolicies"],
    )


def test_a_cluster_of_aws_pulls_from_its_own_account(hub: Hub) -> None:
    known(hub, **spec(provider=AWS))
    found = plan(hub)
    assert "arn:aws:ecr:eu-west-1:210987654321:repository/*" in json.dumps(found["role"]["inlinePolicies"])
    assert ["210987654321"] == [side["account"] for side in found["otherAccounts"]]


def test_it_is_one_template_that_any_reader_of_yaml_reads(hub: Hub) -> None:
    known(hub)
    template = yaml.safe_load(hub.get(f"{PATH}?format=cloudformation").text)
    assert {"Provider1", "PullRole", "NodeRole", "NodeInstanceProfile"} == set(template["Resources"])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?format=pulumi", "expected one of cli, cloudformation, terraform, json"),
        ("?permissions=all", "expected one of least, pull-only"),
        ("?public=yes", "expected one of true, false"),
        ("?permissions=pull-only&repository=a", "go with permissions least"),
        ("?repository=A", "repository 'A'"),
        ("?registry=docker.io", "no ECR registry"),
        ("?region=Frankfurt", "expected a name as eu-central-1"),
        ("?roleName=other", f"has the role {ROLE_ARN} already"),
    ],
)
def test_what_it_cannot_be_asked_for_is_said(hub: Hub, query: str, words: str) -> None:
    known(hub)
    found = refused(hub, query)
    assert ((400, "INVALID"), True) == (found[:2], words in found[2]), found


def test_a_role_name_that_iam_would_refuse_is_refused(hub: Hub) -> None:
    known(hub, **spec(addOns={**IDENTITY, "awsECR": {}}))
    assert "role name 'a b'" in refused(hub, "?roleName=a%20b")[2]


def test_before_there_is_anything_to_say_it_is_said_what_to_do(hub: Hub) -> None:
    hub.put(manifest())
    assert (404, True) == (refused(hub)[0], "connect the cluster" in refused(hub)[2])
    hub.put({**manifest(), **spec(addOns={})})
    assert "pullpass addons enable demo awsECR" in refused(hub)[2]
    assert (404, "NOT_FOUND") == refused_of(hub, "nobody")


def refused_of(hub: Hub, name: str) -> tuple[int, str]:
    answer = hub.get(PATH.replace("demo", name))
    assert answer.json is not None
    return answer.status_code, answer.json["code"]


def test_nodes_with_the_role_of_their_instances_need_another_command(hub: Hub) -> None:
    known(hub, **spec(provider=AWS, addOns={**IDENTITY, "awsECR": {}}))
    assert "pullpass aws attach-node-role demo" in refused(hub)[2]
    assert 200 == hub.get(f"{PATH}?roleName=made").status_code


def test_an_issuer_that_iam_would_refuse_is_refused(hub: Hub) -> None:
    known(hub, issuer="https://kubernetes.default.svc.cluster.local")
    assert (422, "IssuerNotUsable") == refused(hub)[:2]


def test_a_policy_over_the_quota_is_refused_with_the_ways_out(database: Database) -> None:
    hub = make_hub(database, ApiSettings(trust_policy_quota=200))
    known(hub)
    assert (422, "TrustPolicyTooLong") == refused(hub)[:2]


def test_a_stranger_sees_nothing(hub: Hub) -> None:
    known(hub)
    assert 404 == hub.get(PATH, caller="stranger").status_code
