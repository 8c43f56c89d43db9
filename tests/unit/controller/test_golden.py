"""Desired objects as YAML that a person reviews: `UPDATE_GOLDEN=1 pytest tests/unit/controller/test_golden.py` writes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from controller import rights
from controller.addons import aws_ecr, aws_workload_identity
from controller.applying import Desired
from kube.objects import KINDS, Object, in_apply_order, kind_of
from tests.unit.controller.samples import AWS, REGISTRY, context

EVERYTHING = {
    "awsECR": {
        "delivery": "pullSecret",
        "registries": [REGISTRY, "public.ecr.aws"],
        "pullSecret": {
            "name": "ecr",
            "publicName": "ecr-public-token",
            "namespaces": ["shop", "ci"],
            "namespaceSelector": {"team": "a"},
            "appendToPods": True,
            "retryPods": True,
            "labelled": {"failurePolicy": "Fail"},
            "customResources": True,
            "adopt": [{"resource": "ecrpullsecrets.alchemy.com"}],
        },
    }
}
GOLDEN = Path(__file__).with_name("golden")


def check(name: str, objects: list[Object]) -> None:
    text = yaml.safe_dump_all(objects, sort_keys=False, width=110)
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text


def test_what_connect_installs_is_as_reviewed() -> None:
    check("rights", rights.objects())


def test_what_aws_ecr_installs_is_as_reviewed() -> None:
    check("aws-ecr", in_apply_order(list(aws_ecr.desired(context()))))


def test_what_aws_ecr_installs_on_aws_is_as_reviewed() -> None:
    check("aws-ecr-on-aws", in_apply_order(list(aws_ecr.desired(context(provider=AWS, settings={})))))


def test_what_aws_ecr_installs_with_every_route_is_as_reviewed() -> None:
    check("aws-ecr-every-route", in_apply_order(list(aws_ecr.desired(context(settings=EVERYTHING)))))


def test_what_workload_identity_installs_is_as_reviewed() -> None:
    check("aws-workload-identity", in_apply_order(list(aws_workload_identity.desired(context()))))


def test_what_aws_ecr_installs_for_nodes_is_as_reviewed() -> None:
    settings = {
        "delivery": "node",
        "node": {"maxUnavailable": 3, "selector": {"pool": "apps"}, "restartDeviceNodes": True},
    }
    check("aws-ecr-node", in_apply_order(list(aws_ecr.desired(context(settings={"awsECR": settings})))))


def test_what_aws_ecr_installs_for_service_accounts_is_as_reviewed() -> None:
    settings = {"identity": "serviceAccount", "serviceAccounts": ["shop/web"]}
    objects = aws_ecr.desired(context(settings={"awsECR": settings}))
    check("aws-ecr-service-accounts", in_apply_order(list(objects)))


@pytest.mark.parametrize("obj", rights.objects(), ids=lambda obj: f"{obj['kind']}-{obj['metadata']['name']}")
def test_every_right_is_of_a_kind_that_can_be_applied(obj: Object) -> None:
    assert kind_of(obj) in KINDS


def test_nobody_may_escalate_or_use_a_wildcard() -> None:
    rules = [rule for obj in rights.objects() for rule in obj.get("rules", [])]
    verbs = {verb for rule in rules for verb in rule["verbs"]}
    named = {name for rule in rules for part in ("apiGroups", "resources") for name in rule.get(part, [])}
    assert not {"*", "escalate", "impersonate"} & (verbs | named)


def test_the_hub_binds_named_roles_alone() -> None:
    binding = [rule for obj in rights.objects() for rule in obj.get("rules", []) if "bind" in rule["verbs"]]
    assert [rule["resourceNames"] for rule in binding] == [list(rights.BOUND_ROLES)]


def test_the_hub_reads_no_secret_and_deletes_those_of_the_agent_alone() -> None:
    hub = [obj for obj in rights.objects() if obj["metadata"]["name"] == "pullpass-hub"]
    found = [
        (rule["verbs"], rule.get("resourceNames"))
        for obj in hub
        for rule in obj.get("rules", [])
        if "secrets" in rule.get("resources", [])
    ]
    assert found == [(["delete"], ["pullpass-credentials", "pullpass-webhook"])]


def test_both_add_ons_ask_for_the_same_agent() -> None:
    both = [*aws_ecr.desired(context()), *aws_workload_identity.desired(context())]
    assert {obj["kind"] for obj in Desired.of(both).objects.values()} >= {"Deployment", "Service"}


def test_add_ons_that_want_one_object_in_two_ways_are_a_bug() -> None:
    first, *_ = aws_ecr.desired(context())
    with pytest.raises(ValueError, match="in different ways"):
        Desired.of([first, {**first, "automountServiceAccountToken": True}])


def test_no_webhook_asks_about_our_own_namespace() -> None:
    for obj in (*aws_workload_identity.desired(context()), *aws_ecr.desired(context(settings=EVERYTHING))):
        for webhook in obj.get("webhooks", ()):
            expression = webhook["namespaceSelector"]["matchExpressions"][0]
            assert (expression["operator"], "pullpass-system" in expression["values"]) == ("NotIn", True)


def test_no_webhook_waits_long_or_brings_an_authority() -> None:
    for obj in (*aws_workload_identity.desired(context()), *aws_ecr.desired(context(settings=EVERYTHING))):
        for webhook in obj.get("webhooks", ()):
            assert webhook["timeoutSeconds"] <= 5
            assert "caBundle" not in webhook["clientConfig"]


def test_a_configuration_change_leaves_the_pods_alone() -> None:
    def pods(**settings: object) -> object:
        objects = aws_ecr.desired(context(settings={"awsECR": settings}))
        return [obj["spec"] for obj in objects if obj["kind"] in {"Deployment", "DaemonSet"}]

    changed = pods(pullSecret={"namespaces": ["shop"]}, node={"maxUnavailable": 2})
    assert pods(registries=[]) == changed
