from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.custom_resources import resource
from agent.custom_resources.resource import FINALIZER
from agent.secrets.claims import Claim, ClaimKey, ClaimSource, Selection
from agent.secrets.identity import Identity, StoredKeys
from aws.identities import InstanceMetadata, RoleLink, WebIdentity
from aws.registry_hosts import PUBLIC
from schemas.addons.aws_ecr import Adopted, AdoptedKeys
from tests.unit.agent.custom_resources import makers
from tests.unit.agent.custom_resources.makers import AUDIENCE, REGISTRY, ROLE, SPEC, configuration

ADOPTED = Adopted("ecrpullsecrets.alchemy.com")


def no_version(namespace: str, name: str) -> str:
    return ""


def version(namespace: str, name: str) -> str:
    return f"{namespace}-{name}/1"


def claimed(**spec: Any) -> Claim:
    wanted = {key: value for key, value in (SPEC | spec).items() if value is not None}
    made = resource.claim(makers.resource(wanted), configuration(), version).claim
    assert made is not None
    return made


def adopted(spec: dict[str, Any], how: Adopted = ADOPTED, **changes: Any) -> resource.Reading:
    return resource.adopted_claim(makers.resource(spec), how, configuration(**changes), version)


def test_a_plain_object_is_a_claim() -> None:
    assert makers.claim() == claimed()


def test_an_object_is_read_as_the_server_sends_it() -> None:
    obj = {
        "metadata": {
            "name": "shop",
            "uid": "u-1",
            "resourceVersion": "7",
            "generation": 3,
            "deletionTimestamp": "2026-11-22T05:40:00Z",
            "finalizers": ["other", FINALIZER],
        },
        "spec": SPEC,
    }
    found = resource.read(obj)
    assert (True, True, {}) == (found.deleting, found.held, found.status)


def test_account_and_region_name_the_plain_host() -> None:
    made = claimed(registries=None, accountId="123456789012", region="cn-north-1")
    assert ["123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"] == [each.host for each in made.registries]


def test_public_registries_are_registries_too() -> None:
    assert {PUBLIC, "eu-central-1"} == {
        registry.region for registry in claimed(registries=["public.ecr.aws", REGISTRY]).registries
    }


def test_a_registry_under_a_wrong_domain_is_a_problem_and_takes_nothing_from_the_others() -> None:
    wrong = "123456789012.dkr.ecr.cn-north-1.amazonaws.com"
    spec = SPEC | {"registries": [wrong, REGISTRY]}
    reading = resource.claim(makers.resource(spec), configuration(), no_version)
    assert makers.claim() == reading.claim
    assert (f"{wrong} is no ECR registry: its region belongs under another domain",) == reading.problems


@pytest.mark.parametrize(
    ("given_accounts", "expected"),
    [(["*"], "all"), ([], "none"), (["default", "build"], ("default", "build"))],
)
def test_service_accounts_are_all_none_or_names(
    given_accounts: list[str], expected: str | tuple[str, ...]
) -> None:
    assert expected == claimed(serviceAccounts=given_accounts).service_accounts


def test_namespaces_are_selected_by_name_label_and_exclusion() -> None:
    made = claimed(
        namespaces=["team-*"],
        namespaceSelector={"matchLabels": {"team": "a"}},
        excludeNamespaces=["team-x"],
    )
    assert Selection(("team-*",), {"team": "a"}, ("team-x",)) == made.selection


def test_without_names_and_labels_nothing_is_selected() -> None:
    assert claimed(namespaces=None).selection.none


def test_keys_are_named_with_the_version_of_their_secret() -> None:
    made = claimed(identity={"secretKeys": {"namespace": "vault", "name": "aws", "accessKeyIdKey": "id"}})
    assert Identity(StoredKeys("vault", "aws", "id", version="vault-aws/1")) == made.identity


def test_roles_are_assumed_on_top_of_the_instance() -> None:
    made = claimed(
        identity={
            "instanceMetadata": {},
            "assumeRoles": [{"roleArn": ROLE, "externalId": "x1"}, {"roleArn": ROLE}],
        }
    )
    assert Identity(InstanceMetadata(), (RoleLink(ROLE, "x1"), RoleLink(ROLE))) == made.identity


def test_a_suspended_object_is_a_suspended_claim() -> None:
    assert claimed(suspend=True).suspended


def test_an_object_without_an_identity_claims_nothing() -> None:
    reading = resource.claim(makers.resource(SPEC | {"identity": {}}), configuration(), no_version)
    assert reading.claim is None
    assert 1 == len(reading.problems)


def test_an_adopted_object_is_served_as_its_operator_did() -> None:
    made = adopted({"secretName": "ecr", "namespaces": ["default", "shop"]}).claim
    expected = makers.claim(
        key=ClaimKey(ClaimSource.ADOPTED, "shop"),
        secret_name="ecr",
        selection=Selection(("default", "shop")),
        service_accounts="default",
        identity=Identity(WebIdentity(ROLE, AUDIENCE)),
    )
    assert expected == made


def test_an_adopted_object_uses_the_keys_that_the_settings_name() -> None:
    how = Adopted("ecrpullsecrets.alchemy.com", ("public.ecr.aws",), AdoptedKeys("ops", "aws"))
    made = adopted({"secretName": "ecr", "namespaces": ["shop"]}, how, role_arn="").claim
    assert made is not None
    assert Identity(StoredKeys("ops", "aws", version="ops-aws/1")) == made.identity
    assert ["public.ecr.aws"] == [registry.host for registry in made.registries]


def test_an_adopted_object_that_names_no_namespace_selects_none() -> None:
    made = adopted({"secretName": "ecr"}).claim
    assert made is not None
    assert made.selection.none


@pytest.mark.parametrize(
    ("spec", "role"), [({"namespaces": ["shop"]}, ROLE), ({"secretName": "ecr", "namespaces": ["shop"]}, "")]
)
def test_an_adopted_object_without_a_name_or_an_identity_claims_nothing(
    spec: dict[str, Any], role: str
) -> None:
    assert adopted(spec, role_arn=role).claim is None


@given(st.lists(st.sampled_from(["a", "b", FINALIZER]), unique=True), st.booleans())
def test_finalizers_of_others_stay(finalizers: list[str], held: bool) -> None:
    found = makers.resource(finalizers=tuple(finalizers))
    patched = resource.finalizer_patch(found, held=held)["metadata"]
    others = [name for name in finalizers if name != FINALIZER]
    assert (others + [FINALIZER] * held or None) == patched["finalizers"]
    assert "7" == patched["resourceVersion"]
