"""A connection that names an EKS cluster: what is taken, from where, and what it never takes from a user."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas import connection, connection_bodies, eks
from schemas.connection import Connection
from schemas.eks import EksCluster, EksDefaults, EksRole
from schemas.errors import Invalid, Mistake

NOW = datetime(2026, 11, 22, 5, 40, tzinfo=UTC)
DEPLOY = "arn:aws:iam::210987654321:role/deploy"
OTHER = "arn:aws:iam::210987654321:role/teams/other"
INNER = "arn:aws:iam::333333333333:role/inner"
DEFAULTS = EksDefaults("eu-central-1", (EksRole(DEPLOY),))
STORED = Connection(
    server="", eks=EksCluster("prod", "eu-central-1", (EksRole(DEPLOY),)), timeout_seconds=30.0
)


def manifest(**aws: Any) -> dict[str, Any]:
    provider = {"region": "eu-central-1", "deployRoleArn": DEPLOY, **aws}
    return {"kind": "mk8s", "name": "demo", "spec": {"provider": {"aws": provider}}}


def parse(body: Any, defaults: EksDefaults | None = DEFAULTS) -> Connection:
    return connection_bodies.parse(body, now=NOW, allow_loopback=False, eks_defaults=defaults)


def named(body: Any, defaults: EksDefaults | None = DEFAULTS) -> EksCluster:
    found = parse({"eks": body}, defaults).eks
    assert found is not None
    return found


def mistakes(body: Any, defaults: EksDefaults | None = DEFAULTS) -> list[Mistake]:
    with pytest.raises(Invalid) as caught:
        parse(body, defaults)
    return list(caught.value.mistakes)


def places(body: Any, defaults: EksDefaults | None = DEFAULTS) -> list[str]:
    return [mistake.path for mistake in mistakes(body, defaults)]


def test_a_name_is_enough_and_the_rest_is_the_manifests() -> None:
    assert EksCluster("prod", "eu-central-1", (EksRole(DEPLOY),)) == named({"cluster": "prod"})


def test_region_and_role_may_be_others_than_the_manifests() -> None:
    found = named({"cluster": "prod", "region": "us-gov-west-1", "roleArn": OTHER})
    assert EksCluster("prod", "us-gov-west-1", (EksRole(OTHER),)) == found


def test_the_chain_of_the_manifest_comes_behind_its_role() -> None:
    chain = [{"roleArn": INNER, "externalId": "inner", "sessionNamePrefix": "x-"}]
    defaults = eks.defaults_of(manifest(deployRoleChain=chain))
    found = named({"cluster": "prod"}, defaults)
    assert (EksRole(DEPLOY), EksRole(INNER, "inner", "x-")) == found.roles
    assert found.role_arn == INNER


def test_another_role_does_not_bring_the_manifests_chain() -> None:
    defaults = eks.defaults_of(manifest(deployRoleChain=[{"roleArn": INNER}]))
    assert (EksRole(OTHER),) == named({"cluster": "prod", "roleArn": OTHER}, defaults).roles


def test_a_chain_of_its_own_stands_behind_a_role_of_its_own() -> None:
    body = {"cluster": "prod", "roleArn": OTHER, "roleChain": [{"roleArn": INNER}]}
    assert (EksRole(OTHER), EksRole(INNER)) == named(body).roles


def test_the_first_role_has_no_external_id_that_anybody_chose() -> None:
    body = {"eks": {"cluster": "prod", "roleArn": OTHER, "externalId": "of-somebody-else"}}
    assert ["$.eks.externalId"] == places(body)


def test_only_a_cluster_of_provider_aws_has_one() -> None:
    (mistake,) = mistakes(
        {"eks": {"cluster": "prod"}},
        eks.defaults_of({"spec": {"provider": {"generic": {"location": "aws-eu-central-1"}}}}),
    )
    assert ("$.eks", "works with provider `aws` alone") == (mistake.path, mistake.message)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "$.eks.cluster"),
        ({"cluster": "-prod"}, "$.eks.cluster"),
        ({"cluster": "prod/../other"}, "$.eks.cluster"),
        ({"cluster": "p" * 101}, "$.eks.cluster"),
        ({"cluster": "prod", "region": "evil.example.com/"}, "$.eks.region"),
        ({"cluster": "prod", "region": "eu-central-1.evil.com"}, "$.eks.region"),
        ({"cluster": "prod", "roleArn": "arn:aws:iam::210987654321:user/alice"}, "$.eks.roleArn"),
        ({"cluster": "prod", "roleChain": [{"roleArn": INNER}]}, "$.eks.roleChain"),
        ({"cluster": "prod", "roleArn": OTHER, "roleChain": [{"roleArn": INNER}] * 5}, "$.eks.roleChain"),
        ({"cluster": "prod", "roleArn": OTHER, "roleChain": [{}]}, "$.eks.roleChain[0].roleArn"),
        ({"cluster": "prod", "kubeconfig": "x"}, "$.eks.kubeconfig"),
    ],
)
def test_what_is_no_eks_cluster_is_refused_where_it_stands(body: Any, path: str) -> None:
    assert path in places({"eks": body})


def test_a_region_of_the_manifest_that_is_none_has_to_be_given() -> None:
    defaults = eks.defaults_of(manifest(region="evil.example.com/"))
    assert ["$.eks.region"] == places({"eks": {"cluster": "prod"}}, defaults)


@pytest.mark.parametrize(
    "beside",
    [
        {"kubeconfig": "x"},
        {"server": "https://x.example.com"},
        {"token": "s3cret"},
        {"expiresAt": "2030-01-01T00:00:00Z"},
    ],
)
def test_no_other_access_stands_beside_it(beside: dict[str, str]) -> None:
    assert [f"$.{next(iter(beside))}"] == places({"eks": {"cluster": "prod"}, **beside})


def test_it_is_sealed_and_opened_as_it_is() -> None:
    body = {"cluster": "prod", "roleArn": OTHER, "roleChain": [{"roleArn": INNER, "externalId": "inner"}]}
    made = parse({"eks": body, "settings": {"timeoutSeconds": 20}})
    assert made == connection.from_json(json.loads(json.dumps(connection.to_json(made))))


def test_what_was_sealed_before_there_was_eks_opens() -> None:
    old = connection.to_json(Connection(server="https://x.example.com", token="t"))
    del old["eks"]
    assert connection.from_json(old).eks is None


def update(stored: Connection, body: Any) -> Connection:
    return connection_bodies.update(stored, body, now=NOW, allow_loopback=False, eks_defaults=DEFAULTS)


def test_another_cluster_replaces_it_and_keeps_the_settings() -> None:
    found = update(STORED, {"eks": {"cluster": "other"}})
    assert found.eks is not None
    assert ("other", 30.0) == (found.eks.cluster, found.timeout_seconds)


def test_a_token_of_its_own_replaces_it_whole_alone() -> None:
    body = {"server": "https://k8s.example.com", "token": "s3cret"}
    found = update(STORED, body)
    assert (None, "https://k8s.example.com", 30.0) == (found.eks, found.server, found.timeout_seconds)
    for part in ({"token": "s3cret"}, {"server": "https://k8s.example.com"}, {"certificateAuthority": "x"}):
        with pytest.raises(Invalid):
            update(STORED, part)


def test_it_replaces_a_token_and_nothing_of_it_stays() -> None:
    stored = Connection(
        server="https://k8s.example.com", token="s3cret", expires_at=NOW + timedelta(days=1), renewable=True
    )
    assert Connection(server="", eks=named({"cluster": "prod"})) == update(
        stored, {"eks": {"cluster": "prod"}}
    )


def test_settings_alone_leave_it() -> None:
    assert update(STORED, {"settings": {"timeoutSeconds": 20}}).eks == STORED.eks
