from __future__ import annotations

from typing import Any

import pytest

from addon_api.app import ApiSettings
from fleet.database import Database
from tests.support.hub import CONNECTION, ISSUER, ROLE_ARN, Hub, make_hub, manifest, status

PATH = "/org/acme/mk8s/demo/-addons/awsECR/trustPolicy"
AGENT = "system:serviceaccount:pullpass-system:pullpass-agent"
NODE = "system:serviceaccount:pullpass-system:pullpass-node"


def known(hub: Hub, name: str, **spec: Any) -> None:
    """A cluster whose issuer is known."""
    hub.put(manifest(name, **spec))
    hub.report(name, status(f"https://oidc.example.com/{name}"))


def subjects(policy: Any) -> list[str]:
    """The issuers that a policy trusts."""
    return [
        statement["Principal"]["Federated"].rpartition("oidc-provider/")[2]
        for statement in policy["Statement"]
    ]


def shown(hub: Hub, name: str = "demo") -> Any:
    return hub.show(name)["status"]["addOns"]["awsECR"]["trustPolicy"]


def test_the_document_is_bare_and_pins_audience_and_subject(hub: Hub) -> None:
    known(hub, "demo")
    answer = hub.get(PATH)
    assert answer.content_type == "application/json"
    assert answer.json == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/oidc.example.com/demo"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        "oidc.example.com/demo:aud": "sts.amazonaws.com",
                        "oidc.example.com/demo:sub": [AGENT, NODE],
                    }
                },
            }
        ],
    }


def test_the_document_covers_every_cluster_that_shares_the_role(hub: Hub) -> None:
    for name in ("demo", "other", "third"):
        known(hub, name)
    assert subjects(hub.get(PATH).json) == [f"oidc.example.com/{name}" for name in ("demo", "other", "third")]
    assert hub.get(PATH).json == shown(hub, "third")


def test_the_clusters_of_one_page_share_one_read_of_the_state(hub: Hub) -> None:
    for name in ("demo", "other"):
        known(hub, name)
    page = hub.get("/org/acme/mk8s").json
    assert page is not None
    policies = [item["status"]["addOns"]["awsECR"]["trustPolicy"] for item in page["items"]]
    assert [subjects(policy) for policy in policies] == [
        ["oidc.example.com/demo", "oidc.example.com/other"]
    ] * 2


def test_a_cluster_with_another_role_is_not_in_it(hub: Hub) -> None:
    known(hub, "demo")
    known(hub, "other", addOns={"awsWorkloadIdentity": {}, "awsECR": {"roleArn": f"{ROLE_ARN}-2"}})
    assert subjects(hub.get(PATH).json) == ["oidc.example.com/demo"]


def test_one_statement_alone_can_be_asked_for(hub: Hub) -> None:
    for name in ("demo", "other"):
        known(hub, name)
    assert subjects(hub.get(f"{PATH}?cluster=only").json) == ["oidc.example.com/demo"]


def test_a_change_of_another_cluster_shows_at_once(hub: Hub) -> None:
    for name in ("demo", "other"):
        known(hub, name)
    hub.call("PATCH", "/org/acme/mk8s/other", json={"spec": {"addOns": {"awsECR": None}}})
    assert subjects(hub.get(PATH).json) == ["oidc.example.com/demo"]


def test_a_cluster_being_removed_is_left_out(hub: Hub) -> None:
    for name in ("demo", "other"):
        known(hub, name)
    hub.call("PUT", "/org/acme/mk8s/other/-connection", json=CONNECTION)
    hub.call("DELETE", "/org/acme/mk8s/other")
    assert subjects(hub.get(PATH).json) == ["oidc.example.com/demo"]
    assert subjects(shown(hub, "other")) == ["oidc.example.com/demo"]


def test_without_a_role_it_is_the_template_for_the_role_to_be_created(hub: Hub) -> None:
    known(hub, "demo", addOns={"awsWorkloadIdentity": {}, "awsECR": {}})
    policy = hub.get(PATH).json
    assert policy is not None
    federated = policy["Statement"][0]["Principal"]["Federated"]
    assert federated == "arn:aws:iam::${AWS_ACCOUNT_ID}:oidc-provider/oidc.example.com/demo"
    assert policy == shown(hub)


def test_the_audience_of_the_settings_is_pinned(hub: Hub) -> None:
    hub.put({**manifest(), "settings": {"awsWorkloadIdentity": {"audience": "sts.amazonaws.com.cn"}}})
    hub.report("demo", status())
    policy = hub.get(f"{PATH}?cluster=only").json
    assert policy is not None
    pinned = policy["Statement"][0]["Condition"]["StringEquals"]["oidc.example.com/demo:aud"]
    assert pinned == "sts.amazonaws.com.cn"


@pytest.mark.parametrize("issuer", [None, "http://oidc.example.com/demo"])
def test_an_issuer_that_no_policy_can_name_gives_none(hub: Hub, issuer: str | None) -> None:
    hub.put(manifest())
    if issuer is not None:
        hub.report("demo", status(issuer))
    assert shown(hub) is None
    assert hub.get(PATH).status_code == 404


def test_one_bad_issuer_does_not_take_the_policy_from_the_others(hub: Hub) -> None:
    known(hub, "demo")
    hub.put(manifest("other"))
    hub.report("other", status("http://oidc.example.com/other"))
    assert subjects(hub.get(PATH).json) == ["oidc.example.com/demo"]


def test_there_is_none_where_the_add_on_is_not_enabled(hub: Hub) -> None:
    hub.put(manifest(addOns={}))
    hub.report("demo", status())
    assert hub.get(PATH).status_code == 404
    assert hub.show("demo")["status"]["addOns"]["awsWorkloadIdentity"]["trustPolicy"] is None


def test_a_policy_over_the_quota_is_refused_with_the_ways_out(database: Database) -> None:
    hub = make_hub(database, ApiSettings(trust_policy_quota=450))
    known(hub, "demo")
    assert hub.get(PATH).status_code == 200
    known(hub, "other")
    answer = hub.get(PATH)
    assert answer.json is not None
    assert (answer.status_code, answer.json["code"]) == (422, "TrustPolicyTooLong")
    assert "PULLPASS_TRUST_POLICY_QUOTA" in answer.json["message"]
    assert hub.get(f"{PATH}?cluster=only").status_code == 200


def test_workloads_get_a_template_for_roles_of_their_own(hub: Hub) -> None:
    known(hub, "demo")
    identity = hub.show("demo")["status"]["addOns"]["awsWorkloadIdentity"]
    assert identity["oidcProviderConfig"] == {"providerUrl": ISSUER, "audience": "sts.amazonaws.com"}
    condition = identity["trustPolicy"]["Statement"][0]["Condition"]["StringEquals"]
    assert condition["oidc.example.com/demo:sub"] == "system:serviceaccount:${NAMESPACE}:${SERVICE_ACCOUNT}"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [AGENT, NODE]),
        ({"delivery": "node"}, NODE),
        ({"delivery": "pullSecret"}, AGENT),
        (
            {"identity": "serviceAccount", "serviceAccounts": ["shop/web", "shop/api"]},
            ["system:serviceaccount:shop:api", "system:serviceaccount:shop:web"],
        ),
    ],
)
def test_who_is_trusted_follows_delivery_and_identity(
    hub: Hub, settings: dict[str, Any], expected: str | list[str]
) -> None:
    known(hub, "demo")
    hub.call("PATCH", "/org/acme/mk8s/demo", json={"settings": {"awsECR": settings}})
    for policy in (hub.get(PATH).json, hub.get(f"{PATH}?cluster=only").json):
        assert policy is not None
        condition = policy["Statement"][0]["Condition"]["StringEquals"]
        assert condition["oidc.example.com/demo:sub"] == expected


def test_the_role_of_instances_needs_no_policy(hub: Hub) -> None:
    aws = {
        "region": "eu-west-1",
        "deployRoleArn": "arn:aws:iam::210987654321:role/deploy",
        "vpcId": "vpc-1",
        "image": {"recommended": "amazon/al2023"},
        "nodePools": [],
    }
    known(hub, "demo", provider={"aws": aws}, addOns={"awsWorkloadIdentity": {}, "awsECR": {}})
    answer = hub.get(PATH)
    assert answer.json is not None
    assert (answer.status_code, shown(hub)) == (404, None)
    assert "the role of their instances" in answer.json["message"]
