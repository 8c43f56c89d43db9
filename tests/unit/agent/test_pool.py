from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from agent.secrets.identity import CredentialKey, Identity, StoredKeys
from agent.secrets.pool import CredentialPool, name_of, role_of
from aws.credentials import RegistryCredential
from aws.identities import InstanceMetadata, RoleLink, WebIdentity
from aws.registry_hosts import RegistryHost, parse
from reconcile.clock import FakeRandom

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
LIFE = timedelta(hours=12)
IDENTITY = Identity(WebIdentity("arn:aws:iam::111122223333:role/pull", "sts.amazonaws.com"))
OTHER = Identity(StoredKeys("vault", "aws", version="u/1"))
FRANKFURT, DUBLIN = CredentialKey(IDENTITY, "eu-central-1"), CredentialKey(IDENTITY, "eu-west-1")


def credential(region: str = "eu-central-1", *, word: str = "one") -> RegistryCredential:
    return RegistryCredential(region, "AWS", word, NOW, NOW + LIFE)


def holding(*keys: CredentialKey, place: float = 0.5) -> CredentialPool:
    pool = CredentialPool(FakeRandom(place))
    for key in keys:
        pool.put(key, credential(key.region))
    return pool


def host(name: str) -> RegistryHost:
    found = parse(name)
    assert found is not None
    return found


def test_without_a_credential_one_is_due_at_once() -> None:
    assert holding().refresh_in(FRANKFURT, NOW) == 0.0


def test_in_the_middle_of_chance_a_refresh_is_due_at_half_of_the_life() -> None:
    assert holding(FRANKFURT).refresh_in(FRANKFURT, NOW) == 6 * 3600


@given(st.floats(0, 1))
def test_a_refresh_is_due_in_the_middle_third_of_the_life(place: float) -> None:
    assert 4 * 3600 - 1 <= holding(FRANKFURT, place=place).refresh_in(FRANKFURT, NOW) <= 8 * 3600 + 1


def test_a_refresh_that_was_missed_is_due_at_once() -> None:
    assert holding(FRANKFURT).refresh_in(FRANKFURT, NOW + timedelta(hours=9)) == 0.0


def test_what_has_expired_is_not_good() -> None:
    assert holding(FRANKFURT).good(FRANKFURT, NOW + LIFE) is None


def test_the_newer_one_replaces_the_older() -> None:
    pool = holding(FRANKFURT)
    pool.put(FRANKFURT, credential(word="two"))
    assert pool.good(FRANKFURT, NOW) == credential(word="two")


def test_each_identity_has_its_own() -> None:
    assert holding(FRANKFURT).good(CredentialKey(OTHER, "eu-central-1"), NOW) is None


def test_a_changed_secret_of_keys_is_another_identity() -> None:
    changed = Identity(StoredKeys("vault", "aws", version="u/2"))
    assert name_of(CredentialKey(OTHER, "eu-west-1")) != name_of(CredentialKey(changed, "eu-west-1"))


def test_an_offer_is_complete_with_a_credential_for_every_registry() -> None:
    registries = (
        host("111122223333.dkr.ecr.eu-central-1.amazonaws.com"),
        host("111122223333.dkr.ecr.eu-west-1.amazonaws.com"),
    )
    assert not holding(FRANKFURT).offer(IDENTITY, registries, NOW).complete
    assert holding(FRANKFURT, DUBLIN).offer(IDENTITY, registries, NOW).complete


def test_what_is_stored_and_taken_over_has_the_same_time_for_its_refresh() -> None:
    stored = holding(FRANKFURT, place=0.9).stored(NOW)
    pool = CredentialPool(FakeRandom(0.1))
    pool.restore({each.name: each for each in stored})
    assert pool.refresh_in(FRANKFURT, NOW) == stored[0].refresh_at.timestamp() - NOW.timestamp()


def test_what_has_expired_is_not_stored() -> None:
    assert holding(FRANKFURT).stored(NOW + LIFE) == ()


def test_what_is_no_longer_wanted_is_forgotten() -> None:
    pool = holding(FRANKFURT, DUBLIN)
    pool.keep_only([DUBLIN])
    assert [each.name for each in pool.stored(NOW)] == [name_of(DUBLIN)]


def test_the_role_is_the_last_of_a_chain() -> None:
    last = "arn:aws:iam::444455556666:role/last"
    assert role_of(Identity(InstanceMetadata(), (RoleLink("arn:aws:iam::1:role/a"), RoleLink(last)))) == last
    assert (role_of(IDENTITY), role_of(OTHER)) == ("arn:aws:iam::111122223333:role/pull", "")
