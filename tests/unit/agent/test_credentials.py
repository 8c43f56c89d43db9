from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.secrets.credentials import CredentialCache, Identity
from aws.credentials import AwsEndpoints, RegistryCredential
from reconcile.clock import FakeRandom

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
LIFE = timedelta(hours=12)
IDENTITY = Identity("arn:aws:iam::111122223333:role/pull", "sts.amazonaws.com", AwsEndpoints())
OTHER = Identity("arn:aws:iam::111122223333:role/other", "sts.amazonaws.com", AwsEndpoints())


def credential(
    region: str = "eu-central-1", *, issued_at: datetime = NOW, word: str = "one"
) -> RegistryCredential:
    return RegistryCredential(region, "AWS", word, issued_at, issued_at + LIFE)


def held(*credentials: RegistryCredential, place: float = 0.5) -> CredentialCache:
    cache = CredentialCache(FakeRandom(place))
    for each in credentials:
        cache.put(each, IDENTITY)
    return cache


def test_without_a_credential_one_is_due_at_once() -> None:
    assert held().refresh_in("eu-central-1", IDENTITY, NOW) == 0.0


def test_in_the_middle_of_chance_a_refresh_is_due_at_half_of_the_life() -> None:
    assert held(credential()).refresh_in("eu-central-1", IDENTITY, NOW) == 6 * 3600


@given(st.floats(0, 1))
def test_a_refresh_is_due_between_45_and_55_hundredths_of_the_life(place: float) -> None:
    due = held(credential(), place=place).refresh_in("eu-central-1", IDENTITY, NOW)
    assert 0.45 * 12 * 3600 - 1 <= due <= 0.55 * 12 * 3600 + 1


def test_a_refresh_that_was_missed_is_due_at_once() -> None:
    assert held(credential()).refresh_in("eu-central-1", IDENTITY, NOW + timedelta(hours=7)) == 0.0


def test_another_identity_makes_a_refresh_due_and_keeps_what_is_served() -> None:
    cache = held(credential())
    assert cache.refresh_in("eu-central-1", OTHER, NOW) == 0.0
    assert {"eu-central-1": credential()} == cache.good(["eu-central-1"], NOW)


def test_what_has_expired_is_not_good() -> None:
    assert held(credential()).good(["eu-central-1"], NOW + LIFE) == {}


def test_only_the_regions_asked_for_are_given() -> None:
    cache = held(credential(), credential("eu-west-1"))
    assert {"eu-west-1": credential("eu-west-1")} == cache.good(["eu-west-1", "us-east-1"], NOW)


def test_the_newer_one_replaces_the_older() -> None:
    cache = held(credential())
    cache.put(credential(word="two"), IDENTITY)
    assert cache.good(["eu-central-1"], NOW)["eu-central-1"].password == "two"


def test_the_role_is_named_when_all_are_for_one() -> None:
    cache = held(credential(), credential("eu-west-1"))
    assert cache.role_of(["eu-central-1", "eu-west-1"]) == IDENTITY.role_arn


@pytest.mark.parametrize("second", [OTHER, None])
def test_the_role_is_not_named_when_they_differ(second: Identity | None) -> None:
    cache = held(credential())
    cache.put(credential("eu-west-1"), second)
    assert cache.role_of(["eu-central-1", "eu-west-1"]) == ""


def test_a_recovered_one_for_the_same_role_is_as_good_as_a_fetched_one() -> None:
    cache = held()
    cache.put(credential(issued_at=NOW - timedelta(hours=2)), IDENTITY, recovered=True)
    assert cache.refresh_in("eu-central-1", IDENTITY, NOW) == 4 * 3600
    assert cache.is_recovered("eu-central-1")


def test_a_recovered_one_that_was_refused_is_due_and_stays_until_there_is_another() -> None:
    cache = held()
    cache.put(credential(), IDENTITY, recovered=True)
    cache.distrust("eu-central-1")
    assert cache.refresh_in("eu-central-1", IDENTITY, NOW) == 0.0
    assert {"eu-central-1": credential()} == cache.good(["eu-central-1"], NOW)


def test_regions_that_are_no_longer_wanted_are_forgotten() -> None:
    cache = held(credential(), credential("eu-west-1"))
    cache.keep_only(["eu-west-1"])
    assert cache.regions() == frozenset({"eu-west-1"})
