import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.secrets.content import LabelledContent, Offer, auths_of, covers, filled, hosts_of
from aws.credentials import RegistryCredential
from aws.registry_hosts import RegistryHost, parse

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
ROLE = "arn:aws:iam::111122223333:role/pull"


def credential(region: str, word: str = "fresh", hours: float = 12) -> RegistryCredential:
    return RegistryCredential(region, "AWS", f"{word}-{region}", NOW, NOW + timedelta(hours=hours))


def host(name: str) -> RegistryHost:
    found = parse(name)
    assert found is not None
    return found


FRANKFURT = host("111122223333.dkr.ecr.eu-central-1.amazonaws.com")
DUBLIN = host("444455556666.dkr.ecr.eu-west-1.amazonaws.com")
PUBLIC = host("public.ecr.aws")


def offer(
    *credentials: RegistryCredential, registries: tuple[RegistryHost, ...] = (FRANKFURT, DUBLIN)
) -> Offer:
    return Offer(registries, {each.region: each for each in credentials}, ROLE)


def made(*credentials: RegistryCredential, standing: LabelledContent | None = None) -> LabelledContent:
    found = filled(offer(*credentials), standing, NOW)
    assert found is not None
    return found


def passwords(content: LabelledContent) -> dict[str, str]:
    return {name: entry["password"] for name, entry in auths_of(content.data).items()}


def test_it_names_exact_hosts_and_the_glob_of_their_region() -> None:
    assert passwords(made(credential("eu-central-1"), credential("eu-west-1"))) == {
        "111122223333.dkr.ecr.eu-central-1.amazonaws.com": "fresh-eu-central-1",
        "*.dkr.ecr.eu-central-1.amazonaws.com": "fresh-eu-central-1",
        "444455556666.dkr.ecr.eu-west-1.amazonaws.com": "fresh-eu-west-1",
        "*.dkr.ecr.eu-west-1.amazonaws.com": "fresh-eu-west-1",
    }


def test_ecr_public_goes_by_both_its_names() -> None:
    assert hosts_of([PUBLIC]) == {"public.ecr.aws": "public", "ecr-public.aws.com": "public"}


def test_each_entry_carries_its_pair_in_base64() -> None:
    (entry, *_) = auths_of(made(credential("eu-west-1")).data).values()
    assert base64.b64decode(entry["auth"]) == b"AWS:fresh-eu-west-1"


def test_without_any_credential_there_is_nothing_that_could_replace_something() -> None:
    assert filled(offer(), made(credential("eu-west-1")), NOW) is None


def test_a_region_without_a_credential_keeps_what_stands() -> None:
    old = made(credential("eu-central-1", "old"), credential("eu-west-1", "old"))
    found = passwords(made(credential("eu-central-1"), standing=old))
    assert set(found.values()) == {"fresh-eu-central-1", "old-eu-west-1"}


def test_what_has_expired_is_not_kept() -> None:
    old = LabelledContent(made(credential("eu-west-1", "old")).data, NOW, NOW, ROLE)
    assert set(passwords(made(credential("eu-central-1"), standing=old)).values()) == {"fresh-eu-central-1"}


def test_a_registry_that_nobody_wants_any_more_is_not_kept() -> None:
    old = LabelledContent(
        json.dumps({"auths": {"elsewhere.example": {}}}).encode(), NOW, NOW + timedelta(hours=1), ROLE
    )
    assert "elsewhere.example" not in passwords(made(credential("eu-central-1"), standing=old))


def test_it_is_good_until_the_first_of_its_credentials_expires() -> None:
    old = made(credential("eu-west-1", "old", hours=3))
    assert made(credential("eu-central-1", hours=12), standing=old).expires_at == NOW + timedelta(hours=3)


def test_the_role_is_not_named_when_entries_are_of_several() -> None:
    old = LabelledContent(made(credential("eu-west-1")).data, NOW, NOW + timedelta(hours=1), "another")
    assert made(credential("eu-central-1"), standing=old).role_arn == ""


def test_it_covers_what_it_has_an_entry_for() -> None:
    content = made(credential("eu-central-1"))
    assert (covers(content, [FRANKFURT]), covers(content, [FRANKFURT, DUBLIN])) == (True, False)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"auths": 1}', b"FAKE"])
def test_what_cannot_be_read_has_no_entries(data: bytes) -> None:
    assert auths_of(data) == {}


@given(st.sets(st.sampled_from(["eu-central-1", "eu-west-1"])))
def test_a_failure_never_takes_an_entry_away(regions: set[str]) -> None:
    old = made(credential("eu-central-1", "old"), credential("eu-west-1", "old"))
    found = filled(offer(*(credential(region) for region in regions)), old, NOW) or old
    assert passwords(found).keys() == passwords(old).keys()


def test_no_representation_shows_what_it_holds() -> None:
    assert "fresh" not in repr(made(credential("eu-central-1")))
