from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

from fleet import external_ids
from fleet.database import Database


def test_an_organisation_has_one_for_ever(database: Database) -> None:
    first = external_ids.of_organisation(database, "acme")

    assert first == external_ids.of_organisation(database, "acme")


def test_each_organisation_has_its_own_and_nobody_guesses_it(database: Database) -> None:
    found = {external_ids.of_organisation(database, f"org-{number}") for number in range(20)}

    assert 20 == len(found)
    assert all(re.fullmatch(r"pullpass-[a-z2-7]{26}", one) for one in found)


def test_two_who_ask_first_at_once_are_told_the_same(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: external_ids.of_organisation(database, "acme"), range(16)))

    assert 1 == len(found)
