from __future__ import annotations

from typing import Any

import pytest

from schemas.addons.aws_ecr import Adopted, AdoptedKeys, AwsEcr, Label, Labelled, PullSecret
from schemas.addons.aws_workload_identity import AwsWorkloadIdentity
from schemas.agent_documents import AgentConfiguration, dump_configuration, load_configuration
from schemas.errors import Invalid, Mistake
from schemas.manifest import Manifest, parse

HOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
PUBLIC = "public.ecr.aws"
DOCUMENT = {
    "kind": "mk8s",
    "name": "demo",
    "spec": {
        "version": "1.34.4",
        "provider": {"generic": {"location": "aws-eu-central-1"}},
        "addOns": {"awsWorkloadIdentity": {}, "awsECR": {}},
    },
}


def read(settings: dict[str, Any]) -> Manifest:
    return parse(DOCUMENT, settings)


def pull_secret(**settings: Any) -> PullSecret:
    add_on = read({"awsECR": {"registries": [HOST, PUBLIC], "pullSecret": settings}}).aws_ecr
    assert isinstance(add_on, AwsEcr)
    return add_on.pull_secret


def refused(settings: dict[str, Any]) -> list[Mistake]:
    with pytest.raises(Invalid) as caught:
        read({"awsECR": settings})
    return list(caught.value.mistakes)


def test_names_and_routes_are_read() -> None:
    found = pull_secret(
        name="ecr",
        publicName="ecr-public-token",
        appendToPods=True,
        retryPods=True,
        customResources=True,
    )
    assert found == PullSecret(
        name="ecr",
        public_name="ecr-public-token",
        append_to_pods=True,
        retry_pods=True,
        custom_resources=True,
    )


@pytest.mark.parametrize("labelled", [{}, {"namespaceLabel": None, "failurePolicy": None}])
def test_labelled_secrets_are_turned_on_with_their_defaults_by_an_empty_object(labelled: Any) -> None:
    assert pull_secret(labelled=labelled).labelled == Labelled(
        Label("pullpass.dev/pull-secrets", "enabled"), Label("pullpass.dev/managed", "true"), "Ignore"
    )


@pytest.mark.parametrize(
    "settings", [{}, {"labelled": None, "adopt": None, "publicName": None, "name": None}]
)
def test_what_is_not_asked_for_is_off(settings: Any) -> None:
    assert pull_secret(**settings) == PullSecret()


def test_the_labels_of_another_tool_are_taken() -> None:
    found = pull_secret(
        labelled={
            "namespaceLabel": {"ecr-anywhere.centml.ai/namespace": "enabled"},
            "secretLabel": {"ecr-anywhere.centml.ai/managed": "true"},
            "failurePolicy": "Fail",
        }
    )
    assert found.labelled == Labelled(
        Label("ecr-anywhere.centml.ai/namespace", "enabled"),
        Label("ecr-anywhere.centml.ai/managed", "true"),
        "Fail",
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, Adopted("ecrpullsecrets.alchemy.com")),
        ({"registries": [HOST]}, Adopted("ecrpullsecrets.alchemy.com", (HOST,))),
        (
            {"keys": {"namespace": "ops", "name": "aws"}},
            Adopted("ecrpullsecrets.alchemy.com", keys=AdoptedKeys("ops", "aws")),
        ),
        (
            {"keys": {"namespace": "ops", "name": "aws", "accessKeyId": "id", "secretAccessKey": "key"}},
            Adopted("ecrpullsecrets.alchemy.com", keys=AdoptedKeys("ops", "aws", "id", "key")),
        ),
    ],
)
def test_adopted_objects_are_read(settings: Any, expected: Adopted) -> None:
    assert pull_secret(adopt=[{"resource": "ecrpullsecrets.alchemy.com", **settings}]).adopt == (expected,)


@pytest.mark.parametrize(
    ("settings", "path", "words"),
    [
        ({"pullSecret": {"publicName": "p"}}, "pullSecret.publicName", 'add "public.ecr.aws"'),
        (
            {"registries": [PUBLIC], "pullSecret": {"publicName": "pullpass-ecr"}},
            "pullSecret.publicName",
            "choose another name",
        ),
        (
            {"registries": [PUBLIC], "pullSecret": {"publicName": "a", "name": "a"}},
            "pullSecret.publicName",
            "choose another name",
        ),
        (
            {"pullSecret": {"adopt": [{"resource": "ecrpullsecrets.alchemy.com"}] * 2}},
            "pullSecret.adopt[1].resource",
            "keep one of them",
        ),
        ({"pullSecret": {"adopt": [{}]}}, "pullSecret.adopt[0].resource", ""),
        (
            {"pullSecret": {"adopt": [{"resource": "ecrpullsecrets.alchemy.co"}]}},
            "pullSecret.adopt[0].resource",
            "did you mean `ecrpullsecrets.alchemy.com`?",
        ),
        (
            {"pullSecret": {"adopt": [{"resource": "ecrpullsecrets.alchemy.com", "keys": {"name": "a"}}]}},
            "pullSecret.adopt[0].keys.namespace",
            "",
        ),
        (
            {"delivery": "node", "pullSecret": {"appendToPods": True}},
            "pullSecret.appendToPods",
            "use delivery",
        ),
        (
            {
                "identity": "serviceAccount",
                "serviceAccounts": ["shop/web"],
                "pullSecret": {"labelled": {}},
            },
            "pullSecret.labelled",
            "use identity `shared`, or leave it out",
        ),
        (
            {"pullSecret": {"labelled": {"secretLabel": {}}}},
            "pullSecret.labelled.secretLabel",
            "give exactly one label",
        ),
        (
            {"pullSecret": {"labelled": {"secretLabel": {"a": "b", "c": "d"}}}},
            "pullSecret.labelled.secretLabel",
            "give exactly one label",
        ),
        (
            {"pullSecret": {"labelled": {"namespaceLabel": {"a": True}}}},
            "pullSecret.labelled.namespaceLabel",
            "put it in quotes",
        ),
        (
            {"pullSecret": {"labelled": {"namespaceLabel": {"a b": "c"}}}},
            "pullSecret.labelled.namespaceLabel",
            "",
        ),
        ({"pullSecret": {"labelled": {"namespaceLabel": "a=b"}}}, "pullSecret.labelled.namespaceLabel", ""),
        (
            {"pullSecret": {"labelled": {"failurePolicy": "fail"}}},
            "pullSecret.labelled.failurePolicy",
            "did you",
        ),
        ({"pullSecret": {"name": "a/b"}}, "pullSecret.name", ""),
    ],
)
def test_what_does_not_go_together_is_refused_with_its_place_and_a_way_out(
    settings: Any, path: str, words: str
) -> None:
    found = refused(settings)
    assert [mistake.path for mistake in found] == [f"$.settings.awsECR.{path}"]
    assert words in found[0].hint


def test_the_settings_of_the_webhook_are_read() -> None:
    found = read(
        {
            "awsWorkloadIdentity": {
                "webhook": "off",
                "tokenExpiration": 600,
                "regionalSts": True,
                "region": "us-gov-west-1",
            }
        }
    )
    assert found.aws_workload_identity == AwsWorkloadIdentity(
        webhook="off", token_expiration=600, regional_sts=True, region="us-gov-west-1"
    )


@pytest.mark.parametrize(
    "settings", [{"webhook": True}, {"tokenExpiration": 599}, {"tokenExpiration": 86_401}, {"region": "EU"}]
)
def test_a_wrong_setting_of_the_webhook_is_refused(settings: Any) -> None:
    with pytest.raises(Invalid) as caught:
        read({"awsWorkloadIdentity": settings})
    assert [mistake.path for mistake in caught.value.mistakes] == [
        f"$.settings.awsWorkloadIdentity.{next(iter(settings))}"
    ]


def test_the_agent_reads_what_was_set() -> None:
    wanted = pull_secret(
        name="ecr",
        publicName="p",
        appendToPods=True,
        retryPods=True,
        labelled={"failurePolicy": "Fail", "secretLabel": {"a/b": "c"}},
        customResources=True,
        adopt=[
            {"resource": "ecrpullsecrets.alchemy.com", "keys": {"namespace": "ops", "name": "aws"}},
        ],
    )
    configuration = AgentConfiguration(
        generation=1,
        cluster_uid="uid",
        organisation="acme",
        cluster="demo",
        removing=False,
        role_arn="",
        audience="sts.amazonaws.com",
        region=None,
        registries=(HOST, PUBLIC),
        pull_secret=wanted,
        wide_secrets=True,
    )
    assert load_configuration(dump_configuration(configuration)) == configuration
