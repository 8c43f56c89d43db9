from dataclasses import replace

import pytest

from agent.secrets.add_on import claims_of
from agent.secrets.claims import ClaimSource
from agent.secrets.registries import configured
from schemas.addons.aws_ecr import PullSecret
from schemas.agent_documents import AgentConfiguration

FRANKFURT = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"
PUBLIC = "public.ecr.aws"
CONFIGURATION = AgentConfiguration(
    generation=1,
    cluster_uid="c-1",
    organisation="acme",
    cluster="demo",
    removing=False,
    role_arn="arn:aws:iam::111122223333:role/pull",
    audience="sts.amazonaws.com",
    region=None,
    registries=(),
)
SEPARATE = PullSecret(public_name="ecr-public-token")


def claimed(registries: tuple[str, ...], pull_secret: PullSecret) -> list[tuple[ClaimSource, str, list[str]]]:
    configuration = replace(CONFIGURATION, registries=registries, pull_secret=pull_secret)
    return [
        (claim.key.source, claim.secret_name, [registry.host for registry in claim.registries])
        for claim in claims_of(configuration, configured(configuration))
    ]


def test_one_secret_holds_private_and_public_registries() -> None:
    assert claimed((FRANKFURT, PUBLIC), PullSecret()) == [
        (ClaimSource.ADD_ON, "pullpass-ecr", [FRANKFURT, PUBLIC])
    ]


def test_ecr_public_has_a_secret_of_its_own_by_choice() -> None:
    assert claimed((FRANKFURT, PUBLIC), SEPARATE) == [
        (ClaimSource.ADD_ON, "pullpass-ecr", [FRANKFURT]),
        (ClaimSource.PUBLIC, "ecr-public-token", [PUBLIC]),
    ]


def test_with_ecr_public_alone_there_is_one_claim() -> None:
    assert claimed((PUBLIC,), SEPARATE) == [(ClaimSource.PUBLIC, "ecr-public-token", [PUBLIC])]


def test_without_ecr_public_its_secret_is_not_claimed() -> None:
    assert claimed((FRANKFURT,), SEPARATE) == [(ClaimSource.ADD_ON, "pullpass-ecr", [FRANKFURT])]


def test_while_no_registry_is_known_what_stands_is_claimed() -> None:
    assert claimed((), SEPARATE) == [
        (ClaimSource.ADD_ON, "pullpass-ecr", []),
        (ClaimSource.PUBLIC, "ecr-public-token", []),
    ]


@pytest.mark.parametrize("name", ["pullpass-ecr", "shop-pull"])
def test_one_name_for_both_is_one_secret(name: str) -> None:
    assert claimed((FRANKFURT, PUBLIC), PullSecret(name=name, public_name=name)) == [
        (ClaimSource.ADD_ON, name, [FRANKFURT, PUBLIC])
    ]
